"""The drawn timeline: states one after the other, marks that can be told apart."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from worker.protocol.messages import Event
from worker.views.timeline import WIDTH, timeline

T = datetime(2026, 11, 22, 10, tzinfo=UTC)


def event(name: str, seconds: float) -> Event:
    at = (T + timedelta(seconds=seconds)).isoformat()
    return Event(id=f"{name}{seconds}", source="/c", type=f"a.{name}.v1", time=at, data={})


def test_a_state_lasts_until_the_event_that_ends_it() -> None:
    drawn = timeline([event("accepted", 0), event("cancel_sent", 1), event("joined", 50), event("finished", 100)])
    accepted, sent = drawn.phases

    assert [moment.name for moment in drawn.moments] == ["accepted", "cancel_sent", "joined", "finished"]
    assert (accepted.state, sent.state) == ("accepted", "cancel_sent")
    assert sent.x + sent.width == drawn.moments[-1].x


def test_the_last_state_of_an_open_one_goes_on_to_the_edge() -> None:
    (phase,) = timeline([event("accepted", 0)]).phases

    assert phase.goes_on
    assert phase.x + phase.width == WIDTH


def test_without_events_nothing_is_drawn() -> None:
    assert timeline([]).moments == ()


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=120))
def test_marks_stay_in_order_and_inside(times: list[float]) -> None:
    marks = [moment.x for moment in timeline([event("accepted", at) for at in sorted(times)]).moments]

    assert all(one < other for one, other in pairwise(marks))
    assert 0 < marks[0] <= marks[-1] <= WIDTH
