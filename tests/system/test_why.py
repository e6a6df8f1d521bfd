"""`why` answers who, when, why not earlier and what proves it; every event on the way is one that was published."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from cloudevents.core.formats.json import JSONFormat
from support.cell import Cell, cell
from support.shell import run

from worker.cli.exits import Exit

BACKENDS = """
[backends.ess]
kind = "oracle-ess"
base_url = "{ess}"
auth = { type = "none" }
force_after = "6s"
poll = { first = "200ms", max = "500ms" }
believe_after = "1s"
watch_after = ["300ms", "2s", "4s", "8s", "16s"]
reopen = true
"""
KNOBS = {"ess": {"cancel_delay": 0.3, "force_window": 6.0}}


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cell]:
    """A deployment in which all of these cases have happened."""
    with cell(tmp_path_factory.mktemp("why"), BACKENDS, knobs=KNOBS) as one:
        first = one.start_worker()
        live(one)
        first.kill()
        one.simulator.add_job("ess", BACK)
        one.start_worker()
        one.wait_until(lambda: len(one.of("reappeared")) == 1 and len(ends_of(one, BACK)) == 2)
        one.check_sequences()
        yield one


FORCED, JOINED, REFUSED, BACK, DRY, THEIRS, ENDED, UNASKED, NOWHERE = map(str, range(101, 110))
"""The ids of the jobs; no command names THEIRS, UNASKED or NOWHERE, and NOWHERE does not exist."""
LIVES = {FORCED: "stuck", JOINED: "runs", REFUSED: "forbidden", BACK: "runs", DRY: "runs", THEIRS: "runs"}


def live(one: Cell) -> None:
    for job_id, life in LIVES.items():
        one.simulator.add_job("ess", job_id, life)
    for job_id in (ENDED, UNASKED):
        one.simulator.add_job("ess", job_id, "finished", state="CANCELLED")
    one.send("cancel", backend="ess", job_id=FORCED, reason="budget", requested_by="billing", command_id="k-forced")
    one.wait_until(lambda: bool(one.of("force_held")))
    run(one.env, "attest", "ess", FORCED, "--by", "ann", "--reason", "the process is gone")
    stop: dict[str, Any] = {"verb": "cancel", "backend": "ess"}
    one.send(
        "submit",
        commands=[
            {**stop, "job_id": JOINED, "requested_by": "billing", "command_id": "k-1"},
            {
                **stop,
                "verb": "delete",
                "job_id": JOINED,
                "requested_by": "audit",
                "command_id": "k-2",
                "reason": "tidy",
            },
            {**stop, "job_id": REFUSED, "requested_by": "billing"},
            {**stop, "job_id": ENDED},
            {**stop, "job_id": DRY, "dry_run": True, "expect": {"raw_state": "RUNNING"}},
            {**stop, "verb": "stop", "job_id": JOINED},
        ],
    )
    one.wait_finished(5)
    one.send("cancel", backend="ess", job_id=BACK)  # sent last: it is watched for a while after its end
    one.wait_finished(6)


def ends_of(one: Cell, job_id: str) -> list[dict[str, Any]]:
    return [event for event in one.of("finished") if event["subject"] == job_id]


def told(one: Cell, *named: str) -> str:
    done = run(one.env, "why", *named)
    assert done.returncode == Exit.DONE, done.stderr
    return done.stdout


FORCED_STORY = [
    f"cancel ess {FORCED}: force_cancelled",
    "cancel asked for by billing (command k-forced): budget",
    'a force step, where the backend has one: "attested", after 6 s at the earliest',
    "cancel sent: the backend took it",
    "the force step must wait 6 s (force_after)",
    "the force step is due and held: nobody has given their word that the remote process is gone",
    "condition its waiting time is over: met; ",
    "on the backend's own clock",
    "condition the remote process is gone: not met; nobody has given their word",
    "the remote process is gone, attested by ann: the process is gone",
    "force sent: the backend took it",
    "force_cancelled: seen cancelled after our force call",
    "proof: attested, somebody gave their word that it is gone",
    "the remote process is gone: attested by ann: the process is gone",
    "safe to run again: yes",
]
JOINED_STORY = [
    f"delete ess {JOINED}: deleted",
    "(command k-1)",
    "joined by audit (command k-2): tidy",
    "the verb is delete; one cancellation serves all its commands",
    "delete sent: the backend took it",
    "deleted: its record is seen gone after our delete",
]
REFUSED_STORY = [
    f"cancel ess {REFUSED}: refused",
    "asked for by billing",
    "cancel sent: refused (403",
    "refused: the backend will not",
    "proof: none, nothing was seen to end",
    "safe to run again: no",
]


@pytest.mark.parametrize(
    ("job_id", "sentences"),
    [
        (FORCED, FORCED_STORY),
        (JOINED, JOINED_STORY),
        (REFUSED, REFUSED_STORY),
        (ENDED, [f"cancel ess {ENDED}: already_finished", "not by us: the backend shows the job cancelled"]),
        (DRY, ["a dry run: look, and send nothing", "would send cancel"]),
    ],
    ids=["forced", "joined", "refused", "stopped-by-others", "dry-run"],
)
def test_tells_the_story_of_a_job(lived: Cell, job_id: str, sentences: list[str]) -> None:
    story = told(lived, "ess", job_id)
    places = [story.find(sentence) for sentence in sentences]

    assert -1 not in places, (sentences[places.index(-1)], story)
    assert places == sorted(places), story


def test_a_rejected_command_is_a_part_of_the_story(lived: Cell) -> None:
    assert "rejected: verb: " in told(lived, "ess", JOINED)


def test_the_newest_cancellation_comes_first(lived: Cell) -> None:
    story = told(lived, "ess", BACK)
    again, first = story.split(f"cancel ess {BACK}: cancelled")[1:]

    assert "asked for by canceller" in again
    assert "the job lives again: the backend shows it active" in first


def test_one_cancellation_is_named_by_its_command(lived: Cell) -> None:
    assert told(lived, "k-forced").count("cancellation ") == 1


def test_with_json_each_cancellation_is_an_object(lived: Cell) -> None:
    done = run(lived.env, "why", "ess", BACK, "--json")
    story = [json.loads(line) for line in done.stdout.splitlines()]

    assert [chapter["outcome"] for chapter in story] == ["cancelled", "cancelled"]
    assert [line["name"] for line in story[1]["lines"]][-1] == "reappeared"
    assert not any(chapter["missing"] for chapter in story)


@pytest.mark.parametrize(
    ("job_id", "sentence", "code"),
    [
        (THEIRS, "the backend shows it active (RUNNING), and nobody has asked to cancel it here", Exit.DONE),
        (UNASKED, "not by us: the backend shows the job cancelled", Exit.DONE),
        (NOWHERE, "the backend knows no such job either", Exit.ERROR),
    ],
    ids=["runs", "stopped-by-others", "unknown"],
)
def test_the_backend_is_asked_about_a_job_that_was_never_ours(
    lived: Cell, job_id: str, sentence: str, code: Exit
) -> None:
    done = run(lived.env, "why", "ess", job_id)

    assert (done.returncode, sentence in done.stdout) == (code, True), done.stdout
    assert f"nothing is known of ess {job_id} here" in done.stderr


def test_the_backends_file_is_asked_for_where_only_it_could_tell_more(lived: Cell) -> None:
    env = {name: value for name, value in lived.env.items() if name != "CANCELLER_BACKENDS"}
    done = run(env, "why", "ess", NOWHERE)

    assert done.returncode == Exit.USAGE
    assert "--backends" in done.stderr
    assert "mistakes" not in done.stderr


def test_an_unknown_backend_is_a_mistake(lived: Cell) -> None:
    done = run(lived.env, "why", "es", "1")

    assert (done.returncode, "no backend is called 'es'" in " ".join(done.stderr.split())) == (Exit.USAGE, True)


def test_the_cloudevents_sdk_reads_every_event(lived: Cell) -> None:
    for event in lived.events:
        read = JSONFormat().read(None, json.dumps(event).encode())
        assert (read.get_id(), read.get_type(), read.get_subject()) == (
            event["id"],
            event["type"],
            event.get("subject"),
        )
