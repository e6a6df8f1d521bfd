"""With `require_signed`, only commands that a producer has signed, and may send, are taken in."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from support.cell import Cell
from support.guarded import KEY, OTHER, guarded_cell, signed
from support.rolling import start_without
from support.shell import run

from worker.store.retention import LETTERS


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Cell]:
    with guarded_cell(tmp_path) as one:
        yield one


def sent(command: dict[str, Any]) -> dict[str, Any]:
    """Return a command as `worker.cancel` carries it: without the verb, which is in the task's name."""
    return {name: value for name, value in command.items() if name != "verb"}


def letters(guarded: Cell) -> list[Any]:
    """Return all dead letters, those of unverified senders included."""
    return [letter for name in LETTERS for letter in guarded.redis.xrange(f"{{canceller}}:{name}")]


def test_one_valid_command_of_each_kind_passes(guarded: Cell) -> None:
    for number in range(1, 5):
        guarded.simulator.add_job("ess", number, "stuck" if number == 4 else "runs")
    cancel = signed({"verb": "cancel", "backend": "ess", "job_id": "1"}, "billing", KEY)
    guarded.send("cancel", **sent(cancel))
    guarded.send("delete", **sent(signed({"verb": "delete", "backend": "ess", "job_id": "2"})))
    guarded.send("submit", commands=[signed({"verb": "cancel", "backend": "ess", "job_id": "3"})])
    stuck = guarded.send("cancel", **sent(signed({"verb": "cancel", "backend": "ess", "job_id": "4"})))
    guarded.wait_until(lambda: len(guarded.of("force_held")) == 1)
    guarded.send("attest", **sent(signed({"verb": "attest", "id": stuck, "by": "ann", "reason": "it is gone"})))
    guarded.wait_finished(4)
    outcomes = {event["subject"]: event["outcome"] for event in guarded.of("finished")}

    assert outcomes == {"1": "cancelled", "2": "deleted", "3": "cancelled", "4": "force_cancelled"}
    assert not guarded.of("rejected")


CANCEL = {"verb": "cancel", "backend": "ess", "job_id": "7"}
SIGNATURE = "the signature is not accepted"
REACH = "this producer may not do this"


def forgeries() -> dict[str, tuple[dict[str, Any], str]]:
    """Return commands that must not pass, each with the reason that is reported."""
    late = datetime.fromtimestamp(time.time() - 900, UTC)
    return {
        "unsigned": (CANCEL, SIGNATURE),
        "signed with another's key": (signed(CANCEL, "billing", OTHER), SIGNATURE),
        "signed by nobody known": (signed(CANCEL, "stranger", KEY), SIGNATURE),
        "expired": (signed(CANCEL, now=late), SIGNATURE),
        "with another job": ({**signed(CANCEL), "job_id": "8"}, SIGNATURE),
        "with one more field": ({**signed(CANCEL), "remote_stopped": True}, SIGNATURE),
        "with another command's token": ({**CANCEL, "token": signed({**CANCEL, "job_id": "9"})["token"]}, SIGNATURE),
        "with garbage": ({**CANCEL, "token": "garbage"}, SIGNATURE),
        "on another backend": (signed({**CANCEL, "backend": "oml"}, "billing", KEY), REACH),
        "with a verb that is not the producer's": (signed({**CANCEL, "verb": "delete"}, "billing", KEY), REACH),
        "with a word that is not the producer's": (signed({**CANCEL, "remote_stopped": True}, "billing", KEY), REACH),
    }


def test_no_forgery_passes_and_none_learns_why(guarded: Cell) -> None:
    guarded.simulator.add_job("ess", 7)
    cases = forgeries()
    ids = {name: guarded.send(command["verb"], **sent(command)) for name, (command, _) in cases.items()}
    guarded.wait_until(lambda: len(guarded.of("rejected")) == len(cases))
    told = {event["data"]["command_id"]: event["data"]["error"] for event in guarded.of("rejected")}

    assert {name: told[ids[name]] for name in cases} == {name: reason for name, (_, reason) in cases.items()}
    assert len(letters(guarded)) == len(cases)
    assert guarded.simulator.job("ess", 7).log == ()


def test_a_token_is_used_once(guarded: Cell) -> None:
    guarded.simulator.add_job("ess", 1)
    command = sent(signed({"verb": "cancel", "backend": "ess", "job_id": "1"}))
    guarded.send("cancel", **command)
    guarded.wait_finished(1)
    guarded.send("cancel", **command)
    guarded.wait_until(lambda: len(guarded.of("rejected")) == 1)

    assert guarded.of("rejected")[0]["data"]["error"] == SIGNATURE


def test_no_token_is_written_anywhere(guarded: Cell) -> None:
    guarded.simulator.add_job("ess", 1)
    good, bad = signed({"verb": "cancel", "backend": "ess", "job_id": "1"}), signed(CANCEL, "billing", OTHER)
    for command in (good, bad):
        guarded.send("cancel", **sent(command))
    guarded.wait_until(lambda: bool(guarded.of("rejected")) and bool(guarded.of("finished")))
    written = f"{guarded.events} {guarded.logs()} {letters(guarded)}"

    for command in (good, bad):
        assert command["token"] not in written


def test_a_worker_that_does_not_know_a_backend_leaves_the_judging_of_a_signature_to_one_that_does(
    guarded: Cell,
) -> None:
    start_without(guarded, "oml")
    for number in range(20):
        guarded.simulator.add_job("oml", f"job-{number}")
        content = {"verb": "cancel", "backend": "oml", "job_id": f"job-{number}"}
        guarded.send("cancel", **sent(signed(content)))
        guarded.send("cancel", **sent(signed(content, key=KEY)))
        guarded.send("cancel", **sent(content))
    guarded.wait_until(lambda: len(guarded.of("finished")) == 20 and len(guarded.of("rejected")) == 40)

    assert {event["data"]["error"] for event in guarded.of("rejected")} == {"the signature is not accepted"}
    assert guarded.redis.keys("{canceller}:handover:*") == []
    letters = b"".join(fields[b"raw"] for _, fields in guarded.redis.xrange("{canceller}:dead"))
    assert b"eyJ" not in letters


def test_strangers_fill_neither_redis_nor_the_dead_letters(guarded: Cell) -> None:
    guarded.simulator.add_job("ess", 1)
    guarded.send("cancel", **sent(signed({**CANCEL, "job_id": "x"})))  # rejected, although correctly signed
    guarded.redis.config_set("maxmemory", 60_000_000)
    for number in range(64):
        guarded.send("cancel", **sent(CANCEL), reason=f"{number:02}" * 450_000)
        guarded.wait_until(lambda count=number + 2: len(guarded.of("rejected")) == count)  # type: ignore[misc]
    guarded.send("cancel", **sent(signed({**CANCEL, "job_id": "1"})))
    guarded.wait_finished(1)
    told = run(guarded.env, "check").stdout

    assert guarded.redis.xlen("{canceller}:dead") == 1
    assert guarded.redis.memory_usage("{canceller}:dead:unsigned", samples=0) < 700_000
    assert "65 dead letters" in told
    assert "64 of them unsigned" in told
