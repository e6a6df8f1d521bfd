"""The command line with foreign data in the database: strange events, records that can't be read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.cell import Cell, cell
from support.shell import lines, read_until, run, running
from system.conftest import BACKENDS, KNOBS

from worker.cli.exits import Exit

FOREIGN = {
    "id": "x-1",
    "source": "/s",
    "type": "canceller.cancellation.{}.v1",
    "time": "2026-01-02T03:04:05Z",
    "backend": "ess",
    "subject": "7",
}
ODD = ({"command_ids": 7}, {"joined": "x", "gate": [], "action": 1, "children": 3, "answer": []})
"""Data of events that can be read but make no sense."""


def strew(one: Cell) -> None:
    """Add entries that are not events, and events that make no sense, to the stream."""
    stream = "{canceller}:events"
    for fields in ({"x": "y"}, {"event": "{"}, {"event": b"\xff"}, {"event": "{}"}):
        one.redis.xadd(stream, fields)
    for name in ("joined", "finished", "force_held", "attested", "nobodys"):
        for data in ODD:
            foreign = {**FOREIGN, "type": FOREIGN["type"].format(name), "data": data}
            one.redis.xadd(stream, {"event": json.dumps(foreign)})


@pytest.fixture(scope="module")
def strewn(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cell]:
    """A deployment with strange events: one cancellation has ended, two are open, and one of these can't be read."""
    with cell(tmp_path_factory.mktemp("strange"), BACKENDS, knobs=KNOBS) as one:
        worker = one.start_worker()
        one.simulator.add_job("ess", "1")
        one.simulator.add_job("ess", "8", "stuck")
        one.simulator.add_job("ess", "9", "stuck")
        one.send("cancel", backend="ess", job_id="1", command_id="k-1")
        one.send("cancel", backend="ess", job_id="8", command_id="k-8")
        one.send("cancel", backend="ess", job_id="9", command_id="k-9")
        one.wait_finished(1)
        one.wait_until(lambda: len(one.of("cancel_sent")) == 3)
        one.wait_until(lambda: len(one.simulator.log("ess", "9", "look")) >= 2)  # so that it was seen in CANCELLING
        worker.stop()
        (damaged,) = [event["cancellationid"] for event in one.of("accepted") if event["subject"] == "8"]
        strew(one)
        one.redis.set(f"{{canceller}}:hot:{damaged}", b"\x00")
        yield one


COMMANDS: dict[str, tuple[tuple[str, ...], Exit, str]] = {
    "events": (("events",), Exit.DONE, "ess 1  finished"),
    "list": (("list",), Exit.DONE, "\tess\t9\t"),
    "list of what has ended": (("list", "--finished"), Exit.DONE, "\tess\t1\t"),
    "status of what has ended": (("status", "ess", "1"), Exit.DONE, "cancelled"),
    "status of what is open": (("status", "k-9"), Exit.DONE, "CANCELLING"),
    "wait for what has ended": (("wait", "k-1"), Exit.DONE, "cancelled"),
    "wait for what is open": (("wait", "k-9", "--timeout", "1s"), Exit.STILL_OPEN, "still open"),
    "wait for several": (("wait", "k-8", "k-1"), Exit.ERROR, "ess 1  cancelled"),
}


@pytest.mark.parametrize(("words", "code", "shown"), COMMANDS.values(), ids=COMMANDS)
def test_a_command_goes_on_beside_what_strangers_wrote(
    words: tuple[str, ...], code: Exit, shown: str, strewn: Cell
) -> None:
    done = run(strewn.env, *words)

    assert (done.returncode, shown in done.stdout) == (code, True), done.stdout + done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("words", [("events",), ("list", "--finished")], ids=" ".join)
def test_skipped_entries_are_told_on_standard_error(words: tuple[str, ...], strewn: Cell) -> None:
    assert 4 == run(strewn.env, *words).stderr.count("of the event stream is not an event and is skipped")


def test_a_record_that_can_not_be_read_is_told_beside_the_list(strewn: Cell) -> None:
    done = run(strewn.env, "list", "--json")

    assert ["9"] == [one["job_id"] for one in lines(done)]
    assert "can't be read" in done.stderr


@pytest.mark.parametrize(
    "words", [("status", "k-8"), ("status", "ess", "8"), ("abort", "k-8", "--by", "a", "--reason", "r")], ids=" ".join
)
def test_a_record_that_can_not_be_read_is_one_line(words: tuple[str, ...], strewn: Cell) -> None:
    done = run(strewn.env, *words)

    assert (done.returncode, done.stderr.count("\n")) == (Exit.ERROR, 1), done.stderr
    assert "can't be read" in done.stderr


def test_a_wait_for_a_record_that_can_not_be_read_ends(strewn: Cell) -> None:
    (told,) = lines(run(strewn.env, "wait", "k-8", "--json"))

    assert (told["outcome"], "can't be read" in told["error"]) == (None, True)


def test_events_are_followed_past_strange_ones(strewn: Cell) -> None:
    with running(strewn.env, "events", "--follow", "--after", "0") as following:
        read_until(following, "ess 1  finished")
        strew(strewn)
        read_until(following, "ess 7  nobodys")


def test_a_wait_ends_once_its_known_record_is_gone(tmp_path: Path) -> None:
    with cell(tmp_path, BACKENDS, knobs=KNOBS) as one:
        worker = one.start_worker()
        one.simulator.add_job("ess", "9", "stuck")
        one.send("cancel", backend="ess", job_id="9", command_id="k-9")
        one.wait_until(lambda: len(one.of("cancel_sent")) == 1)
        worker.stop()
        one.redis.config_set("slowlog-log-slower-than", 0)
        one.redis.config_set("slowlog-max-len", 100_000)
        with running(one.env, "wait", "k-9") as waiting:
            one.wait_until(lambda: is_known_to(one))
            one.redis.flushall()
            read_until(waiting, "its record was there and is gone")
            assert Exit.ERROR == waiting.wait(timeout=60)


def is_known_to(one: Cell) -> bool:
    """Whether the waiting command has read the record."""
    return any(entry["command"].startswith(b"MGET {canceller}:hot:") for entry in one.redis.slowlog_get(100_000))
