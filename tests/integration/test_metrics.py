"""What a worker counts: the commands that it takes in, and what it does for them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from support.served import Series, Served, served, value

BACKENDS = """
[backends.ess]
kind = "oracle-ess"
base_url = "{ess}"
auth = { type = "none" }
poll = { first = "200ms", max = "500ms" }
"""
STRANGE = 'no "backend" of ours'
JOBS = 20
NAMES = {
    "canceller_commands_total",
    "canceller_finished_total",
    "canceller_calls_total",
    "canceller_call_seconds",
    "canceller_pass_seconds",
    "canceller_schedule_lateness_seconds",
    "canceller_commit_seconds",
}


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A worker that was sent commands with every verdict, and has carried out those that it took in."""
    with served(tmp_path_factory.mktemp("metrics"), BACKENDS) as place:
        cell = place.cell
        cell.simulator.add_job("ess", 1, "stuck")
        cell.send("cancel", backend="ess", job_id=1, command_id="first")
        cell.wait_until(lambda: len(cell.of("cancel_sent")) == 1)
        cell.send("delete", backend="ess", job_id=1, command_id="second")
        cell.wait_until(lambda: len(cell.of("joined")) == 1)
        cell.send("cancel", backend="ess", job_id=1, command_id="first")
        cell.send("cancel", backend="ess", job_id=1, command_id="first", reason="another content")
        cell.send("cancel", backend=STRANGE, job_id="2")
        cell.send("steal", backend="ess", job_id="2")
        for index in range(JOBS):
            cell.simulator.add_job("ess", 100 + index)
            cell.send("cancel", backend="ess", job_id=100 + index)
        cell.wait_until(lambda: len(cell.of("rejected")) == 3)
        cell.wait_finished(JOBS)
        cell.send("abort", id="first", by="ann", reason="enough")
        cell.wait_finished(JOBS + 1)
        assert place.until(lambda: finished(place.series()) == JOBS + 1)
        yield place


def finished(found: Series) -> float:
    return sum(count for name, count in found.items() if name.startswith("canceller_finished_total"))


COMMANDS = {
    "accepted": ("ess", "cancel", "accepted", JOBS + 1),
    "joined": ("ess", "delete", "joined", 1),
    "the same again": ("ess", "cancel", "same", 1),
    "an id of another command": ("ess", "cancel", "rejected", 1),
    "an unknown backend": ("unknown", "cancel", "rejected", 1),
    "an unknown task": ("ess", "unknown", "rejected", 1),
    "an operator action": ("ess", "abort", "accepted", 1),
}


@pytest.mark.parametrize(("backend", "verb", "verdict", "count"), COMMANDS.values(), ids=COMMANDS.keys())
def test_each_message_counts_by_what_became_of_it(
    one: Served, backend: str, verb: str, verdict: str, count: int
) -> None:
    labels = {"backend": backend, "verb": verb, "verdict": verdict}

    assert value(one.series(), "canceller_commands_total", **labels) == count


def test_no_label_holds_what_a_producer_has_written(one: Served) -> None:
    assert "ours" not in one.get("/metrics")[1]
    assert "steal" not in one.get("/metrics")[1]


@pytest.mark.parametrize(
    ("outcome", "evidence", "count"), [("cancelled", "reported", JOBS), ("aborted", "none", 1)], ids=str
)
def test_each_end_counts_by_its_outcome_and_evidence(one: Served, outcome: str, evidence: str, count: int) -> None:
    labels = {"backend": "ess", "outcome": outcome, "evidence": evidence}

    assert value(one.series(), "canceller_finished_total", **labels) == count


def test_each_changing_call_counts_by_its_answer(one: Served) -> None:
    labels = {"backend": "ess", "action": "cancel", "kind": "accepted"}

    assert value(one.series(), "canceller_calls_total", **labels) == JOBS + 1


@pytest.mark.parametrize("name", ["call", "pass", "commit", "schedule_lateness"])
def test_what_takes_time_has_a_histogram(one: Served, name: str) -> None:
    found = one.series()
    count = found[f"canceller_{name}_seconds_count"]

    assert count >= 1
    assert found[f'canceller_{name}_seconds_bucket{{le="+Inf"}}'] == count
    assert 0 < found[f"canceller_{name}_seconds_sum"] < count * 30


def test_every_metric_of_a_worker_is_served_and_no_other_of_ours(one: Served) -> None:
    types = [line.split()[2] for line in one.get("/metrics")[1].splitlines() if line.startswith("# TYPE")]

    assert {name for name in types if name.startswith("canceller")} == NAMES
