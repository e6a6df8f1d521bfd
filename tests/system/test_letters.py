"""`canceller dead-letters` as its users run it."""

from __future__ import annotations

import json

from support.cell import Cell
from support.shell import lines, run


def canceller(cell: Cell, *arguments: str, code: int = 0) -> str:
    """Run a command and return what it wrote."""
    ended = run(cell.env, "dead-letters", *arguments)
    assert ended.returncode == code, ended.stderr
    assert "Traceback" not in ended.stderr
    return ended.stdout


def listed(cell: Cell) -> list[dict[str, str]]:
    """Return the dead letters as the command lists them."""
    return [json.loads(line) for line in canceller(cell, "list", "--json").splitlines()]


def test_shows_replays_and_drops_what_was_refused(deployment: Cell) -> None:
    deployment.simulator.add_job("ess", 1)
    deployment.start_worker()
    command_id = deployment.send("cancel", backend="nowhere", job_id=1)
    deployment.redis.lpush("commands", b"\xff garbage")
    deployment.wait_until(lambda: len(deployment.of("rejected")) == 2)
    by_reason = {letter["reason"].partition(":")[0]: letter["id"] for letter in listed(deployment)}

    assert command_id in canceller(deployment, "show", by_reason["backend"])
    assert "garbage" in canceller(deployment, "show", by_reason["message"])

    newest = run(deployment.env, "dead-letters", "list", "--limit", "1", "--json")
    assert [one["id"] for one in lines(newest)] == [max(by_reason.values())]
    assert "these are the newest 1 of 2: --limit 2 shows all" in newest.stderr

    # A replay is a new try: the backend is still unknown, so the command is rejected and reported again.
    canceller(deployment, "replay", by_reason["backend"])
    deployment.wait_until(lambda: len(deployment.of("rejected")) == 3)
    assert deployment.of("rejected")[-1]["data"]["command_id"] == command_id

    canceller(deployment, "replay", by_reason["message"], code=1)
    canceller(deployment, "drop", "--all")
    assert listed(deployment) == []


def test_wrong_usage_is_said_in_a_line(deployment: Cell) -> None:
    canceller(deployment, "drop", code=2)
    canceller(deployment, "show", "1-1", code=1)
