"""`wait`, `status` and `list` against a real deployment."""

from __future__ import annotations

import json
from typing import cast

import pytest
from support.cell import Cell
from support.shell import lines, read_until, run, running

from worker.cli.exits import Exit


def test_waits_by_a_backend_and_its_jobs_id(deployment: Cell) -> None:
    deployment.start_worker()
    deployment.simulator.add_job("ess", "1")
    deployment.simulator.add_job("ess", "9", "stuck")
    run(deployment.env, "cancel", "ess", "1", "--wait")
    run(deployment.env, "cancel", "ess", "9")
    deployment.wait_until(lambda: len(deployment.of("accepted")) == 2)

    ended = run(deployment.env, "wait", "ess", "1", "--json")
    open_ = run(deployment.env, "wait", "ess", "9", "--timeout", "3s")

    assert (ended.returncode, lines(ended)[0]["outcome"]) == (Exit.DONE, "cancelled")
    assert "no cancellation of ess 1 is open; the last one has ended" in ended.stderr
    assert (open_.returncode, open_.stdout.startswith("ess 9  still open")) == (Exit.STILL_OPEN, True)


@pytest.mark.parametrize("named", [["k-1"], ["k-1", "k-1"], ["ess", "1"]], ids=" ".join)
def test_waits_for_a_command_that_is_still_on_its_way(named: list[str], deployment: Cell) -> None:
    deployment.simulator.add_job("ess", "1")
    run(deployment.env, "cancel", "ess", "1", "--command-id", "k-1")
    with running(deployment.env, "wait", *named, "--patience", "60s") as waiting:
        deployment.start_worker()
        read_until(waiting, "ess 1  cancelled")
        assert waiting.wait(timeout=60) == Exit.DONE


def test_does_not_wait_for_what_nobody_knows(deployment: Cell) -> None:
    one = run(deployment.env, "wait", "k-1", "--patience", "0s", "--json")
    two = run(deployment.env, "wait", "ess", "1", "--patience", "100ms")

    assert (one.returncode, lines(one)[0]["known"]) == (Exit.ERROR, False)
    assert (two.returncode, "no cancellation of ess 1 is known" in two.stderr) == (Exit.ERROR, True)


def test_a_job_that_ended_before_thousands_of_others_is_found(deployment: Cell) -> None:
    deployment.start_worker()
    deployment.simulator.add_job("ess", "1")
    run(deployment.env, "cancel", "ess", "1", "--wait")
    key = "{canceller}:events"
    (_, last), *_ = cast("list[tuple[bytes, dict[bytes, bytes]]]", deployment.redis.xrevrange(key, count=1))
    other = last[b"event"].replace(b'"subject":"1"', b'"subject":"2"')
    assert other != last[b"event"]
    with deployment.redis.pipeline() as pipe:
        for _ in range(2001):
            pipe.xadd(key, {b"event": other})
        pipe.execute()

    status = run(deployment.env, "status", "ess", "1", "--json")
    waited = run(deployment.env, "wait", "ess", "1", "--json")
    aborted = run(deployment.env, "abort", "ess", "1", "--by", "ann", "--reason", "wrong job")

    assert (status.returncode, lines(status)[0]["outcome"]) == (Exit.DONE, "cancelled")
    assert (waited.returncode, lines(waited)[0]["outcome"]) == (Exit.DONE, "cancelled")
    assert (aborted.returncode, "too late" in aborted.stdout) == (Exit.NOT_AS_ASKED, True)


@pytest.mark.parametrize("words", [("--patience", "100ms"), ("--timeout", "200ms")], ids=" ".join)
def test_a_job_that_nobody_knows_is_one_answer(words: tuple[str, ...], deployment: Cell) -> None:
    deployment.start_worker()
    pair = run(deployment.env, "wait", "oml", "m0-0", *words, "--json")
    ids = run(deployment.env, "wait", "k-7", "k-8", *words, "--json")
    mistyped = run(deployment.env, "wait", "omk", "m0-0", *words)

    (answer,) = lines(pair)
    assert (pair.returncode, answer["backend"], answer["job_id"]) == (Exit.ERROR, "oml", "m0-0")
    assert (answer["known"], "no cancellation of oml m0-0 is known" in answer["error"]) == (False, True)
    assert [one["id"] for one in lines(ids)] == ["k-7", "k-8"]
    told = "no cancellation of omk m0-0 is known either; no worker serves a backend omk; did you mean oml?"
    assert (mistyped.stdout.count("no cancellation or command has this id"), mistyped.stderr.count(told)) == (2, 1)


def test_an_unknown_id_keeps_nobody_from_the_others(deployment: Cell) -> None:
    deployment.start_worker()
    deployment.simulator.add_job("ess", "9", "stuck")
    run(deployment.env, "cancel", "ess", "9", "--command-id", "k-9", "--force", "never", "--give-up-after", "3s")
    deployment.wait_until(lambda: bool(deployment.of("accepted")))

    done = run(deployment.env, "wait", "k-9", "k-8", "--patience", "1s", "--json")

    assert done.returncode == Exit.ERROR
    assert {one["id"]: one["outcome"] for one in lines(done)} == {"k-8": None, "k-9": "timed_out"}


def test_a_rejected_command_is_told_afterwards(deployment: Cell) -> None:
    deployment.start_worker()
    run(deployment.env, "cancel", "nowhere", "1", "--command-id", "k-1", "--wait")

    waited = run(deployment.env, "wait", "k-1", "--patience", "0s")
    asked = run(deployment.env, "status", "k-1")

    assert (waited.returncode, "no backend has this name" in waited.stdout) == (Exit.USAGE, True)
    assert (asked.returncode, "k-1 was rejected: " in asked.stderr) == (Exit.ERROR, True)


def test_what_has_ended_has_no_next_step(deployment: Cell) -> None:
    deployment.start_worker()
    run(deployment.env, "cancel", "ess", "1", "--command-id", "k-1", "--wait")

    state = json.loads(run(deployment.env, "status", "k-1", "--json").stdout)

    assert (state["outcome"], "next" in state["progress"]) == ("not_found", False)


def test_lists_begin_with_the_same_columns_and_say_when_they_are_empty(deployment: Cell) -> None:
    deployment.start_worker()
    empty = [run(deployment.env, "list", *words).stderr for words in ([], ["--finished"], ["--backend", "oml"])]
    deployment.simulator.add_job("ess", "9", "stuck")
    run(deployment.env, "cancel", "ess", "9", "--command-id", "k-9")
    run(deployment.env, "delete", "ess", "1", "--wait")
    deployment.wait_until(lambda: len(deployment.of("accepted")) == 2)
    open_, ended = (run(deployment.env, "list", *words).stdout.split("\t") for words in ([], ["--finished"]))

    assert empty == [
        "no cancellation is open\n",
        "no cancellation has ended\n",
        "no cancellation of oml is open\n",
    ]
    assert (open_[1:4], ended[1:5]) == (["ess", "9", "cancel"], ["ess", "1", "delete", "not_found"])


def test_a_file_that_points_elsewhere_is_told_by_status_and_check(deployment: Cell) -> None:
    file = deployment.directory / "backends.toml"
    worker = deployment.start_worker()
    deployment.simulator.add_job("ess", "9", "stuck")
    run(deployment.env, "cancel", "ess", "9", "--command-id", "k-9")
    deployment.wait_until(lambda: bool(deployment.of("cancel_sent")))
    before = run(deployment.env, "check", "--json")
    worker.stop()
    here = deployment.simulator.base_url("ess")
    there = here.replace("127.0.0.1", "localhost")
    file.write_text(file.read_text().replace(f'"{here}"', f'"{there}"'))
    deployment.start_worker().wait_for("backend.moved")

    status = run(deployment.env, "status", "k-9")
    check = run(deployment.env, "check", "--json")
    aborted = run(deployment.env, "abort", "k-9", "--by", "ops", "--reason", "it moved")

    assert "another place" not in before.stdout
    assert f"it was accepted for oracle-ess at {here}, and ess is oracle-ess at {there} now" in status.stdout
    warnings = [one["text"] for one in json.loads(check.stdout)["findings"] if "another place" in one["text"]]
    assert [text.split(" were")[0] for text in warnings] == ["1 of 1 open cancellations"]
    assert aborted.returncode == Exit.DONE, aborted.stdout + aborted.stderr
