"""Listing and waiting soon warn, in addition to the result, that no worker is alive."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.cell import Cell
from support.shell import lines, read_until, run, running

from worker.cli.exits import Exit

NONE = "no worker is running (1 command in 'commands' waiting): start one with `canceller up`"


def test_a_list_says_that_no_worker_lives_and_how_many_commands_wait(deployment: Cell) -> None:
    run(deployment.env, "cancel", "ess", "1")
    done = run(deployment.env, "list", "--json")

    assert (done.returncode, done.stdout) == (Exit.DONE, "")
    assert NONE in done.stderr


@pytest.mark.parametrize("words", [("cancel", "ess", "1", "--wait"), ("wait", "k-1")], ids=lambda words: words[0])
def test_a_wait_says_once_that_no_worker_lives_and_goes_on(words: tuple[str, ...], deployment: Cell) -> None:
    if words[0] == "wait":
        run(deployment.env, "cancel", "ess", "1")
    done = run(deployment.env, *words, "--timeout", "4s", "--json")

    assert done.returncode == Exit.STILL_OPEN
    assert [one["outcome"] for one in lines(done)] == [None]
    assert done.stderr.count(NONE) == 1


def test_nothing_is_said_while_a_worker_lives(deployment: Cell) -> None:
    deployment.start_worker().wait_for("ready.")
    deployment.simulator.add_job("ess", "9", "stuck")
    listed = run(deployment.env, "list")
    waited = run(deployment.env, "cancel", "ess", "9", "--wait", "--timeout", "3s")

    assert (listed.stderr, waited.stderr) == ("no cancellation is open\n", "")


def test_a_worker_that_stopped_is_none(deployment: Cell) -> None:
    worker = deployment.start_worker()
    worker.stop()
    assert "no worker is running: start one" in run(deployment.env, "list").stderr


def test_a_worker_that_comes_later_ends_the_wait(deployment: Cell) -> None:
    deployment.simulator.add_job("ess", "1")
    with running(deployment.env, "cancel", "ess", "1", "--wait") as waiting:
        read_until(waiting, "no worker is running")
        deployment.start_worker()
        read_until(waiting, "ess 1  cancelled")
        assert waiting.wait(timeout=60) == Exit.DONE


def test_a_batch_that_is_not_watched_is_left_once_a_worker_knows_it(deployment: Cell, tmp_path: Path) -> None:
    deployment.simulator.add_job("ess", "1")
    file = tmp_path / "jobs.txt"
    file.write_text("1", encoding="utf-8")
    with running(deployment.env, "batch", "apply", "--unplanned", str(file), "--max", "1", "--backend", "ess") as left:
        read_until(left, "no worker is running")
        deployment.start_worker()
        read_until(left, "the batch goes on: canceller batch watch")
        assert left.wait(timeout=60) == Exit.DONE
