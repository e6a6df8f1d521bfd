"""Parents of Oracle ESS: a cancellation is final only when the request and all its children are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.cell import Cell, cell
from support.shell import run

from worker.cli.exits import Exit

BACKENDS = """
[backends.ess]
kind = "oracle-ess"
base_url = "{ess}"
auth = { type = "none" }
force_after = "1s"
poll = { first = "200ms", max = "500ms" }
"""


@pytest.fixture
def ess(tmp_path: Path) -> Iterator[Cell]:
    with cell(tmp_path, BACKENDS, knobs={"ess": {"cancel_delay": 0.3, "force_window": 1.0, "page_size": 2}}) as one:
        one.start_worker()
        yield one


def outcomes(event: dict[str, object]) -> dict[str, str]:
    """Return the outcome of each child in a `finished` event."""
    data = event["data"]
    assert isinstance(data, dict)
    return {child["job_id"]: child["outcome"] for child in data["children"]}


def test_a_parent_ends_with_its_children_and_lists_them(ess: Cell) -> None:
    children = [
        {"id": 11, "life": "runs"},
        {"id": 12, "life": "race"},
        {"id": 13, "cancels_after": 1.5},
        {"id": 14, "life": "runs"},
        {"id": 15, "life": "runs"},
    ]
    ess.simulator.add_job("ess", 10, children=children)
    ess.send("cancel", backend="ess", job_id=10)
    ess.wait_finished(1)
    event = ess.finished("ess", "10")

    assert event["outcome"] == "cancelled"
    ended = {str(number): "completed_anyway" if number == 12 else "cancelled" for number in range(11, 16)}
    assert outcomes(event) == ended
    assert event["data"]["calls"]["cancel"] == 1


def test_a_stuck_child_goes_through_the_force_gate_by_itself(ess: Cell) -> None:
    children = [{"id": 21, "life": "runs"}, {"id": 22, "life": "stuck"}, {"id": 23, "life": "stuck"}]
    ess.simulator.add_job("ess", 20, children=children)
    ess.send("cancel", backend="ess", job_id=20, remote_stopped=True, requested_by="billing")
    ess.wait_finished(1)
    event = ess.finished("ess", "20")

    assert event["outcome"] == "force_cancelled"
    assert outcomes(event) == {"21": "cancelled", "22": "force_cancelled", "23": "force_cancelled"}
    assert [entry.job_id for entry in ess.simulator.log("ess", verb="force")] == ["22", "23"]
    assert ess.simulator.job("ess", 20).ended_at is not None


def test_a_stuck_step_of_a_parent_in_the_middle_is_forced(ess: Cell) -> None:
    steps = [{"id": 42, "life": "runs"}, {"id": 43, "life": "stuck"}]
    ess.simulator.add_job("ess", 40, children=[{"id": 41, "children": steps}, {"id": 44, "children": [45]}])
    ess.send("cancel", backend="ess", job_id=41, remote_stopped=True, requested_by="billing")
    ess.wait_finished(1)
    event = ess.finished("ess", "41")

    assert event["outcome"] == "force_cancelled"
    assert outcomes(event) == {"42": "cancelled", "43": "force_cancelled"}
    assert [entry.job_id for entry in ess.simulator.log("ess", verb="force")] == ["43"]
    assert ess.simulator.job("ess", 45).ended_at is None


def test_a_word_about_one_child_forces_that_child_alone(ess: Cell) -> None:
    ess.simulator.add_job("ess", 20, children=[{"id": 21, "life": "stuck"}, {"id": 22, "life": "stuck"}])
    command_id = ess.send("cancel", backend="ess", job_id=20)
    ess.wait_until(lambda: len(ess.of("force_held")) == 2)

    noted = run(ess.env, "attest", command_id, "--child", "21", "--by", "ann", "--reason", "21 is dead")
    ess.wait_until(lambda: bool(ess.of("force_sent")))
    ess.sender.send_task(
        "worker.attest", kwargs={"id": command_id, "by": "bob", "reason": "dead", "child": 22}, queue="commands"
    )
    ess.wait_finished(1)
    steps = [event["type"].split(".")[2] for event in ess.events]
    about = [event["data"]["child"] for event in ess.of("attested")]

    assert (noted.returncode, "the word on job 21" in noted.stdout) == (Exit.DONE, True)
    assert steps[-6:] == ["force_held", "attested", "force_sent", "attested", "force_sent", "finished"]
    assert about == [event["data"]["target_job_id"] for event in ess.of("force_sent")] == ["21", "22"]
    assert ess.finished("ess", "20")["data"]["evidence"] == "attested"


def test_a_child_is_not_deleted(ess: Cell) -> None:
    ess.simulator.add_job("ess", 30, children=[{"id": 31, "life": "finished"}])
    ess.send("delete", backend="ess", job_id=31)
    ess.wait_finished(1)
    event = ess.finished("ess", "31")

    assert event["outcome"] == "refused"
    assert "30" in event["data"]["detail"]
    assert ess.simulator.job("ess", 31).effects("delete") == 0
