"""Every outcome of the contract on every dialect where it can occur, as an outsider sees it: bare Celery and XREAD."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pytest
from support.cell import Cell, cell

COMMON = """
auth = { type = "none" }
force_after = "1s"
poll = { first = "200ms", max = "500ms" }
timeout = "5s"
believe_after = "1s"
"""
BACKENDS = f"""
[backends.ess]
kind = "oracle-ess"
base_url = "{{ess}}"
{COMMON}
[backends.oml]
kind = "oracle-ml"
base_url = "{{oml}}"
{COMMON}
[backends.oml-py]
kind = "oracle-ml"
base_url = "{{oml}}"
scripts = "py-scripts"
{COMMON}
[backends.mrs]
kind = "mrs"
base_url = "{{mrs}}"
project_id = "p1"
{COMMON}
[backends.mrs-v2]
kind = "mrs"
base_url = "{{mrs}}"
project_id = "p1"
dialect = "v2"
cluster_id = "c1"
{COMMON}
[backends.sahara]
kind = "sahara"
base_url = "{{sahara}}"
project_id = "p1"
{COMMON}
[backends.sahara-v2]
kind = "sahara"
base_url = "{{sahara}}"
project_id = "p1"
dialect = "v2"
{COMMON}
"""
KNOBS = {
    "ess": {"cancel_delay": 0.3, "force_window": 1.0},
    "mrs": {"cancel_delay": 0.3},
    "sahara": {"engine_delay": 0.3},
}
SYSTEMS = {
    "ess": "ess",
    "oml": "oml",
    "oml-py": "oml",
    "mrs": "mrs",
    "mrs-v2": "mrs",
    "sahara": "sahara",
    "sahara-v2": "sahara",
}
LOOKS_FIRST = frozenset({"oml", "oml-py", "mrs", "mrs-v2"})


@dataclass(frozen=True)
class Case:
    """One job's script, the command for it, and the result; `most` bounds the changing calls."""

    name: str
    backend: str
    outcome: str
    script: dict[str, Any]
    command: dict[str, Any] = field(default_factory=dict)
    verb: str = "cancel"
    evidence: str = "reported"
    most: dict[str, int] = field(default_factory=dict)


def shared(backend: str) -> Iterator[Case]:
    """What can occur on every dialect."""
    before = 0 if backend in LOOKS_FIRST else 1
    stop = "delete" if backend.startswith("oml") else "cancel"
    yield Case("cancelled", backend, "cancelled", {"life": "runs"}, most={stop: 1})
    yield Case("already", backend, "already_finished", {"life": "finished"}, most={stop: before})
    yield Case("missing", backend, "not_found", {"life": "absent"}, evidence="none", most={stop: before})
    yield Case("refused", backend, "refused", {"life": "forbidden"}, evidence="none", most={stop: 6})
    yield Case(
        "timed-out",
        backend,
        "timed_out",
        {"life": "stuck"},
        {"give_up_after": 2.5, "force": "never"},
        evidence="none",
        most={stop: 1},
    )
    yield Case("aborted", backend, "aborted", {"life": "stuck"}, evidence="none", most={stop: 1})
    deletes = {"delete": 1} if backend.startswith("oml") else {"cancel": 1, "delete": 1}
    yield Case("deleted", backend, "deleted", {"life": "runs"}, verb="delete", most=deletes)
    yield Case("deleted-finished", backend, "deleted", {"life": "finished"}, verb="delete", most={"delete": 1})
    yield Case("deleted-missing", backend, "not_found", {"life": "absent"}, verb="delete", evidence="none", most={})


def cases() -> Iterator[Case]:
    """Return all cases."""
    for backend, system in SYSTEMS.items():
        yield from shared(backend)
        if system == "oml":
            yield Case("raced", backend, "completed_anyway", {"life": "stuck"}, most={"delete": 1})
        else:
            yield Case("raced", backend, "completed_anyway", {"life": "race"}, most={"cancel": 1})
    yield Case(
        "forced",
        "ess",
        "force_cancelled",
        {"life": "stuck"},
        {"remote_stopped": True, "requested_by": "billing"},
        evidence="attested",
        most={"cancel": 1, "force": 1},
    )
    yield Case("protected", "sahara", "refused", {"life": "protected"}, evidence="none", most={"cancel": 1})


CASES = {f"{case.backend}-{case.name}": case for case in cases()}


def number(case: Case) -> str:
    """Return the case's job id: a number if the system requires one."""
    return str(1000 + list(CASES.values()).index(case)) if case.backend == "ess" else f"{case.backend}-{case.name}"


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cell]:
    """A deployment in which all cases were sent at once and have ended."""
    with cell(tmp_path_factory.mktemp("outcomes"), BACKENDS, knobs=KNOBS) as one:
        for case in CASES.values():
            place = {"project": "p1"} if SYSTEMS[case.backend] in {"mrs", "sahara"} else {}
            place |= {"cluster": "c1"} if case.backend == "mrs-v2" else {}
            one.simulator.add_job(SYSTEMS[case.backend], number(case), **place, **case.script)
        one.start_worker()
        ids = {
            name: one.send(case.verb, backend=case.backend, job_id=number(case), **case.command)
            for name, case in CASES.items()
        }
        aborted = [name for name in CASES if name.endswith("-aborted")]
        raced = [name for name in CASES if name.startswith("oml") and name.endswith("-raced")]
        sent = {"delete_sent", "cancel_sent"}
        one.wait_until(
            lambda: (
                {event["subject"] for event in one.events if event["type"].split(".")[2] in sent}
                >= {number(CASES[name]) for name in (*aborted, *raced)}
            )
        )
        for name in raced:
            one.simulator.add_job("oml", number(CASES[name]), "finished")
        for name in aborted:
            one.sender.send_task(
                "worker.abort", kwargs={"id": ids[name], "by": "ops", "reason": "not wanted"}, queue="commands"
            )
        one.wait_finished(len(CASES))
        yield one


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_ends_as_the_contract_says(ended: Cell, case: Case) -> None:
    event = ended.finished(case.backend, number(case))

    assert case.outcome == event["outcome"] == event["data"]["outcome"], event
    assert case.evidence == event["data"]["evidence"], event


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_makes_no_more_changing_calls_than_the_rules_allow(ended: Cell, case: Case) -> None:
    log = ended.simulator.log(SYSTEMS[case.backend], number(case))
    made = [entry.verb for entry in log if entry.verb in {"cancel", "force", "delete"}]

    assert all(made.count(verb) <= case.most.get(verb, 0) for verb in made), made


ENDED = {"cancelled", "force_cancelled", "already_finished", "completed_anyway"}


@pytest.mark.parametrize(
    "case", [case for case in CASES.values() if case.outcome in ENDED], ids=lambda case: f"{case.backend}-{case.name}"
)
def test_finishes_only_after_the_job_is_final_in_the_backends_own_log(ended: Cell, case: Case) -> None:
    event = ended.finished(case.backend, number(case))
    truth = ended.simulator.job(SYSTEMS[case.backend], number(case))

    assert truth.ended_at is not None or truth.deleted_at is not None, truth
    end = truth.ended_at if truth.ended_at is not None else truth.deleted_at
    assert end is not None
    assert end <= datetime.fromisoformat(event["time"]).timestamp() + 0.001


def test_every_cancellation_has_gapless_events_and_one_end(ended: Cell) -> None:
    ended.check_sequences()


def test_every_event_carries_the_commands_own_fields(ended: Cell) -> None:
    for event in ended.events:
        fields = {"cancellation_id", "command_ids", "backend", "job_id", "verb", "reason", "requested_by", "labels"}
        assert fields | {"batch_id"} <= set(event["data"]), event


def test_says_when_it_is_safe_to_run_the_work_again(ended: Cell) -> None:
    for event in ended.of("finished"):
        known = event["data"]["evidence"] in {"reported", "probed", "attested"}
        assert event["data"]["safe_to_rerun"] == (known and event["outcome"] in {*ENDED, "deleted"})
