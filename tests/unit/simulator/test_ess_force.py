"""The 30-minute rule and the family rule of ESS, as pure functions."""

from __future__ import annotations

from dataclasses import replace

import pytest

from worker.simulator.ess_state import force_objection, last_check_in, parent_moment
from worker.simulator.job import Job, Moment
from worker.simulator.knobs import EssKnobs
from worker.simulator.life import Life

T = 1_000_000.0
CANCELLING = Moment("CANCELLING", T)


def job(**life: object) -> Job:
    return Job("ess", "1", Life(**life), T, CANCELLING)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("life", "after", "allowed"),
    [
        pytest.param({}, 1799.9, False, id="too early"),
        pytest.param({}, 1800, True, id="at 30 minutes"),
        pytest.param({"sync": True}, 9999, False, id="not asynchronous"),
        pytest.param({"checks_in_every": 600}, 99999, False, id="checks in for ever"),
        pytest.param({"checks_in_every": 600, "check_ins": 2}, 2999, False, id="too early after the last check-in"),
        pytest.param({"checks_in_every": 600, "check_ins": 2}, 3000, True, id="30 minutes after the last check-in"),
    ],
)
def test_force_needs_thirty_silent_minutes(life: dict[str, object], after: float, *, allowed: bool) -> None:
    objection = force_objection(job(**life), CANCELLING, T + after, EssKnobs(), is_parent=False)

    assert (objection == "") is allowed


def test_force_is_refused_outside_cancelling() -> None:
    assert force_objection(job(), Moment("RUNNING", T), T + 9999, EssKnobs(), is_parent=False)


@pytest.mark.parametrize(("rule", "allowed"), [("refuse", False), ("accept", True)])
def test_force_on_a_parent_is_a_switch(rule: str, *, allowed: bool) -> None:
    objection = force_objection(job(), CANCELLING, T + 1800, EssKnobs(force_on_parent=rule), is_parent=True)

    assert (objection == "") is allowed


def test_a_check_in_by_call_resets_the_clock() -> None:
    subject = replace(job(), check_ins=(T + 100, T + 700))

    assert last_check_in(subject, T, T + 800, EssKnobs()) == T + 700


def test_a_check_in_that_lies_ahead_does_not_count() -> None:
    assert last_check_in(job(checks_in_every=600), T, T + 599, EssKnobs()) == T


@pytest.mark.parametrize(
    ("last", "children", "rule", "expected"),
    [
        pytest.param("CANCELLING", ["RUNNING"], "follows", "CANCELLING", id="waits for the last child"),
        pytest.param("CANCELLING", ["CANCELLED", "SUCCEEDED"], "follows", "CANCELLED", id="ends with the last child"),
        pytest.param("CANCELLING", ["CANCELLED"], "stays", "SCHEDULE_ENDED", id="stays"),
        pytest.param("RUNNING", ["CANCELLED"], "follows", "FINISHED", id="finishes when nobody cancelled it"),
        pytest.param("CANCELLED", ["RUNNING"], "follows", "CANCELLED", id="forced"),
    ],
)
def test_a_parent_follows_its_children(last: str, children: list[str], rule: str, expected: str) -> None:
    parent = replace(job(), last=Moment(last, T))
    born = [Moment(state, T + number) for number, state in enumerate(children)]

    assert parent_moment(parent, parent.last, born, rule).state == expected
