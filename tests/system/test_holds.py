"""Dry runs, expectations and holds by the command line; holds around a due force while workers are killed."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.cell import Cell, cell
from support.shell import lines, run

from worker.cli.exits import Exit

WHY = ("--by", "ann", "--reason", "wait for the auditors")
FORCES = """
[backends.ess]
kind = "oracle-ess"
base_url = "{ess}"
auth = { type = "none" }
force = "auto"
force_after = "1s"
poll = { first = "100ms", max = "200ms" }
timeout = "2s"
"""


def changing(one: Cell, job_id: str) -> list[str]:
    return [entry.verb for entry in one.simulator.log("ess", job_id) if entry.verb in {"cancel", "delete", "force"}]


def looks(one: Cell, job_id: str) -> int:
    return len(one.simulator.log("ess", job_id, "look"))


def soon(seconds: float) -> str:
    return (datetime.now(UTC) + timedelta(seconds=seconds)).isoformat()


# Dry runs and expectations


def test_a_dry_run_tells_what_would_be_sent_and_sends_nothing(deployment: Cell) -> None:
    deployment.start_worker()
    for job_id, life in (("1", "runs"), ("2", "finished")):
        deployment.simulator.add_job("ess", job_id, life)
    told = run(deployment.env, "cancel", "ess", "1", "2", "3", "--dry-run")
    deleted = lines(run(deployment.env, "delete", "ess", "1", "--dry-run", "--command-id", "k-1", "--json"))
    status = run(deployment.env, "status", "k-1")
    by_job = run(deployment.env, "status", "ess", "1")

    assert told.returncode == Exit.DONE, told.stderr
    assert {line.split(":")[0] for line in told.stdout.splitlines()} == {
        "ess 1  planned; would send cancel",
        "ess 2  planned; would send nothing",
        "ess 3  planned; would send nothing",
    }
    assert deleted[0]["data"]["plan"]["would"] == "delete"
    assert "would send: delete: " in status.stdout
    assert "outcome: planned" in status.stdout
    assert by_job.returncode == Exit.ERROR
    assert [changing(deployment, job_id) for job_id in "123"] == [[], [], []]


def test_a_job_that_is_not_as_expected_is_left(deployment: Cell) -> None:
    deployment.start_worker()
    for job_id in ("1", "2"):
        deployment.simulator.add_job("ess", job_id)
    changed = run(deployment.env, "cancel", "ess", "1", "--expect-state", "BLOCKED", "--wait")
    stopped = run(deployment.env, "cancel", "ess", "2", "--expect", "raw_state=RUNNING", "--wait")

    assert (changed.returncode, changed.stdout.split(";")[0]) == (Exit.NOT_AS_ASKED, "ess 1  changed")
    assert "expected 'BLOCKED', but the job is in 'RUNNING'" in changed.stdout
    assert (stopped.returncode, stopped.stdout.split(";")[0]) == (Exit.DONE, "ess 2  cancelled")
    assert changing(deployment, "1") == []


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        pytest.param(["--expect", "RUNNING"], "is not key=value", id="no-key"),
        pytest.param(["--expect", "state=RUNNING"], "expect.state:", id="another-key"),
        pytest.param(["--expect", "raw_state=A", "--expect-state", "A"], "the same as --expect", id="twice"),
    ],
)
def test_what_can_not_be_expected_is_an_error_of_usage(deployment: Cell, words: list[str], problem: str) -> None:
    done = run(deployment.env, "cancel", "ess", "1", *words)
    assert (done.returncode, problem in " ".join(done.stderr.split())) == (Exit.USAGE, True), done.stderr


# Holds


def test_an_operators_way_with_a_hold(deployment: Cell) -> None:
    deployment.start_worker()
    deployment.simulator.add_job("ess", "9")
    deployment.send("cancel", backend="ess", job_id="9", command_id="k-9", not_before=soon(3600))
    deployment.wait_until(lambda: bool(deployment.of("accepted")))
    held = run(deployment.env, "hold", "ess", "9", *WHY)
    deployment.send("cancel", backend="ess", job_id="9")  # at once
    deployment.wait_until(lambda: looks(deployment, "9") > 1)
    status = run(deployment.env, "status", "k-9")
    state = json.loads(run(deployment.env, "status", "k-9", "--json").stdout)
    untouched = changing(deployment, "9")
    released = run(deployment.env, "release", "k-9", *WHY)
    again = run(deployment.env, "release", "k-9", *WHY)
    deployment.wait_finished(1)
    late = run(deployment.env, "hold", "ess", "9", *WHY, "--json")
    deployment.check_sequences()

    assert (held.returncode, held.stdout.split(":")[0]) == (Exit.DONE, "held"), held.stderr
    assert "held by ann since" in status.stdout
    assert state["orders"]["hold"]["reason"] == "wait for the auditors"
    assert untouched == []
    assert (released.returncode, released.stdout.split(":")[0]) == (Exit.DONE, "released"), released.stderr
    assert again.returncode in {Exit.NOT_ALLOWED, Exit.NOT_AS_ASKED}
    assert (late.returncode, lines(late)[0]["order"]) == (Exit.NOT_AS_ASKED, "too_late")
    assert deployment.finished("ess", "9")["outcome"] == "cancelled"
    (event,) = deployment.of("held")
    assert event["data"]["action"] == {"name": "hold", "by": "ann", "reason": "wait for the auditors"}


def test_several_are_held_for_a_while(deployment: Cell) -> None:
    deployment.start_worker()
    for job_id in ("1", "2", "3"):
        deployment.simulator.add_job("ess", job_id)
        deployment.send("cancel", backend="ess", job_id=job_id, command_id=f"k-{job_id}", not_before=soon(3600))
    deployment.wait_until(lambda: len(deployment.of("accepted")) == 3)
    two = run(deployment.env, "hold", "k-1", "k-2", "--for", "1s", *WHY)
    three = run(deployment.env, "hold", "k-1", "k-2", "k-3", "--for", "1s", *WHY, "--json")
    deployment.wait_until(lambda: {event["subject"] for event in deployment.of("released")} == {"1", "2", "3"})

    assert (two.returncode, len(two.stdout.splitlines())) == (Exit.DONE, 2)
    assert (three.returncode, [one["order"] for one in lines(three)]) == (Exit.DONE, ["held"] * 3)
    assert {event["data"]["action"]["by"] for event in deployment.of("released")} == {"canceller"}
    assert len(deployment.of("held")) == 5


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        pytest.param(["hold", "k-1", "--for", "soon", *WHY], "'soon'", id="no-time"),
        pytest.param(["hold", "k-1", "--for", "0", *WHY], "for: ", id="no-while"),
        pytest.param(["hold", "k-1", "--by", " ", "--reason", "x"], "can't be empty", id="nobody"),
        pytest.param(["release", "k-1", "--by", "ann"], "--reason", id="no-reason"),
    ],
)
def test_a_hold_that_can_not_be_is_an_error_of_usage(deployment: Cell, words: list[str], problem: str) -> None:
    deployment.start_worker()
    deployment.simulator.add_job("ess", "1", "stuck")
    deployment.send("cancel", backend="ess", job_id="1", command_id="k-1")
    deployment.wait_until(lambda: bool(deployment.of("accepted")))
    done = run(deployment.env, *words)
    assert (done.returncode, problem in " ".join(done.stderr.split())) == (Exit.USAGE, True), done.stderr


def test_where_another_must_attest_a_requester_may_not(tmp_path: Path) -> None:
    strict = FORCES.replace('force = "auto"', 'attest = "another"')
    with cell(tmp_path, strict, knobs={"ess": {"force_window": 0.5, "cancel_delay": 0.1}}) as one:
        one.start_worker()
        one.simulator.add_job("ess", "9", "stuck")
        nameless = run(one.env, "cancel", "ess", "9", "--wait")
        words = ("cancel", "ess", "9", "--by", "ann", "--remote-stopped", "--command-id", "k-1")
        run(one.env, *words)
        one.wait_until(lambda: bool(one.of("force_held")))
        own = run(one.env, "attest", "k-1", "--by", "ann", "--reason", "seen dead")
        others = run(one.env, "attest", "k-1", "--by", "bob", "--reason", "seen dead")
        one.wait_finished(1)

        assert (nameless.returncode, "requested_by: this backend requires it" in nameless.stdout) == (Exit.USAGE, True)
        assert (own.returncode, "ann requested this cancellation" in own.stdout) == (Exit.NOT_ALLOWED, True)
        assert others.returncode == Exit.DONE
        (accepted,) = one.of("accepted")
        assert accepted["data"]["effective"]["attest"] == "another"
        ended = one.finished("ess", "9")
        assert (ended["outcome"], ended["data"]["attested_by"]) == ("force_cancelled", "bob: seen dead")


JOBS = 12


def test_no_force_follows_a_hold_whoever_is_killed(tmp_path: Path) -> None:
    with cell(tmp_path, FORCES, knobs={"ess": {"force_window": 0.5, "cancel_delay": 0.1}}) as one:
        workers = [one.start_worker(), one.start_worker()]
        ids = [str(100 + number) for number in range(JOBS)]
        for number, job_id in enumerate(ids):
            one.simulator.add_job("ess", job_id, "stuck")
            after = 1.0 + number / 2
            one.send("cancel", backend="ess", job_id=job_id, command_id=f"k-{job_id}", force_after=after)
        one.wait_until(lambda: len(one.of("force_sent")) >= 2)  # every half second one more comes due
        for job_id in ids:
            one.send("hold", id=f"k-{job_id}", by="ann", reason="wait")
        workers[0].kill()
        acknowledged: dict[str, list[str]] = {}

        def all_held() -> bool:
            for event in (*one.of("held"), *one.of("finished")):
                acknowledged.setdefault(event["subject"], changing(one, event["subject"]))
            return len(acknowledged) == JOBS

        one.wait_until(all_held)
        held = {event["subject"] for event in one.of("held")} - {event["subject"] for event in one.of("finished")}
        before = {job_id: looks(one, job_id) for job_id in held}
        one.start_worker()
        workers[1].kill()
        one.wait_until(lambda: all(looks(one, job_id) >= before[job_id] + 3 for job_id in held))
        after = {job_id: changing(one, job_id) for job_id in held}
        for job_id in held:
            one.send("release", id=f"k-{job_id}", by="ann", reason="go on")
        one.wait_finished(JOBS)
        one.check_sequences()

        assert held
        assert after == {job_id: acknowledged[job_id] for job_id in held}
        assert outcomes(one) == {"force_cancelled"}


def outcomes(one: Cell) -> set[Any]:
    return {event["outcome"] for event in one.of("finished")}
