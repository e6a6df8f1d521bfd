"""What looks at a recurrence with 2,500 past runs cost, for each behaviour that its server may have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from msgspec.structs import replace
from unit.backends.ess_exchanges import ESS

from worker.backends.adapter import Reply, Request
from worker.backends.oracle_ess_family import FOREIGN, MOST_CALLS
from worker.domain.model import Answer, Job, JobState, Observation
from worker.simulator.dispatch import answer
from worker.simulator.knobs import Knobs
from worker.simulator.spec import add
from worker.simulator.wire import Call
from worker.simulator.world import World

T = 1_763_899_200.0
MANY, FEWER = 2500, 400
"""Numbers of past runs; the second is large enough to show a server's behaviour."""
PAGE = 10
TOP = "1000"
LIVING = ("1200", "5001", "5002")
"""A run that never ended, and the two newest."""
OFTEN = 6
"""The most calls that a look may take on average."""
SEEN_ALIVE = frozenset({JobState.ACTIVE, JobState.CANCELLING})


class Recurrence:
    """A recurrence on a simulated server, and the memory that repeated looks at it build up."""

    def __init__(self, runs: int = FEWER, **knobs: Any) -> None:
        self.world = World(knobs=Knobs().changed({"ess": {"page_size": PAGE, "cancel_delay": 1.0, **knobs}}))
        self.at = T
        self.job = Job(TOP)
        self.calls: list[int] = []
        past = [number for number in range(1001, 1001 + runs) if str(number) not in LIVING]
        children = [{"id": number, "life": "finished"} for number in past] + [{"id": number} for number in LIVING]
        add(self.world, {"system": "ess", "id": TOP, "children": children}, self.at)
        add(self.world, {"system": "ess", "id": "7"}, self.at)

    def send(self, request: Request) -> Reply:
        path = "/".join(quote(part, safe="") for part in request.path)
        reply = answer(self.world, Call(request.method, f"/{path}?{urlencode(request.query)}", self.at)).reply
        return Reply(reply.http, {"content-type": reply.content_type}, reply.body)

    def look(self) -> Observation:
        """Look once; remember the living children, and how far the list was read."""
        seen, calls = self.played(self.job)
        assert isinstance(seen, Observation)
        self.calls.append(calls)
        ended = {child.job_id for child in seen.children if child.final}
        alive = [child.job_id for child in seen.children if child.state in SEEN_ALIVE]
        living = tuple(one for one in dict.fromkeys((*self.job.living, *alive)) if one not in ended)
        self.job = Job(self.job.id, parent=seen.parent, living=living, pages=seen.pages, long=seen.long)
        return seen

    def played(self, job: Job) -> tuple[Observation | Answer, int]:
        exchange = ESS.look(job)
        request, calls = next(exchange), 1
        while True:
            try:
                request = exchange.send(self.send(request))
            except StopIteration as stop:
                return stop.value, calls
            calls += 1

    def cancel(self) -> None:
        """Cancel the recurrence; everything has ended a while later."""
        self.send(Request("POST", ("ess", "rest", "scheduler", "v1", "requests", TOP, "cancel")))
        self.at += 60


HABITS: Mapping[str, tuple[int, Mapping[str, Any]]] = {
    "filters-by-state": (MANY, {}),
    "counts-in-all": (FEWER, {"count_is_total": True}),
    "begins-at-page-1": (FEWER, {"search_from": 1}),
    "knows-no-or": (FEWER, {"or_in_q": False}),
    "knows-no-ne": (FEWER, {"ne_in_q": False}),
    "knows-no-ne-and-begins-at-page-1": (FEWER, {"ne_in_q": False, "search_from": 1}),
    "knows-no-ne-and-counts-in-all": (FEWER, {"ne_in_q": False, "count_is_total": True}),
    "knows-neither": (FEWER, {"ne_in_q": False, "or_in_q": False}),
}


@pytest.mark.parametrize(("runs", "habit"), HABITS.values(), ids=HABITS)
def test_a_long_recurrence_is_seen_to_its_end_at_six_calls_a_look(runs: int, habit: Mapping[str, Any]) -> None:
    recurrence = Recurrence(runs, **habit)
    while recurrence.look().unlisted is not None:
        assert len(recurrence.calls) < runs / PAGE
    while_running = [recurrence.look() for _ in range(3)]
    assert set(recurrence.job.living) == set(LIVING)

    recurrence.cancel()
    last = recurrence.look()

    assert not any(one.final for one in while_running)
    assert last.final
    assert recurrence.look().final
    assert {child.job_id: child.raw for child in last.children}.items() >= dict.fromkeys(LIVING, "CANCELLED").items()
    assert max(recurrence.calls) <= MOST_CALLS
    assert sum(recurrence.calls) <= OFTEN * len(recurrence.calls)


def test_a_list_of_2500_runs_is_read_on_at_six_calls_a_look() -> None:
    recurrence = Recurrence(MANY, ne_in_q=False)
    first = [recurrence.look() for _ in range(6)]
    pages = recurrence.job.pages
    recurrence.job = replace(recurrence.job, pages=MANY // PAGE - 5)  # the state after some sixty more looks
    last = [recurrence.look() for _ in range(3)]

    assert [one.unlisted is None for one in (*first, *last)] == [*[False] * 7, *[True] * 2]
    assert pages > 6 * 2
    assert recurrence.calls[0] <= MOST_CALLS
    assert max(recurrence.calls[1:]) <= OFTEN


@pytest.mark.parametrize("habit", [{}, {"ne_in_q": False}], ids=["filters-by-state", "knows-no-ne"])
def test_a_family_with_a_living_child_is_never_final(habit: Mapping[str, Any]) -> None:
    recurrence = Recurrence(parent_end="stays", **habit)
    add(recurrence.world, {"system": "ess", "id": 5003, "life": "stuck", "parent": TOP}, T)
    recurrence.cancel()

    assert not any(recurrence.look().final for _ in range(FEWER // PAGE))
    assert recurrence.job.living == ("5003",)


def test_a_family_is_not_final_before_its_list_was_read_to_the_end() -> None:
    recurrence = Recurrence(ne_in_q=False)
    recurrence.cancel()
    looks = 1
    while not recurrence.look().final:
        looks += 1
        assert looks < FEWER / PAGE

    assert looks > FEWER / PAGE / 5
    assert recurrence.look().final
    assert recurrence.calls[-1] <= 4


def test_a_server_that_does_not_heed_the_filter_never_shows_the_family_whole() -> None:
    recurrence = Recurrence(heeds_q=False)
    seen = [recurrence.look() for _ in range(3)]
    recurrence.cancel()
    seen.append(recurrence.look())

    assert {one.unlisted.detail for one in seen if one.unlisted} == {FOREIGN}
    assert [one.unlisted is not None and not one.final for one in seen] == [True] * 4
    assert [one.raw for one in seen] == [*["RUNNING"] * 3, "CANCELLED"]
    assert ([one.children for one in seen], max(recurrence.calls)) == ([()] * 4, 2)


def test_a_parent_in_the_middle_of_a_long_recurrence_costs_few_calls_too() -> None:
    recurrence = Recurrence()
    steps = [{"id": 9001}, {"id": 9002, "children": [9003]}]
    add(recurrence.world, {"system": "ess", "id": "9000", "parent": TOP, "children": steps}, T)
    recurrence.job = Job("9000")
    seen = [recurrence.look() for _ in range(3)]

    assert [{child.job_id for child in one.children} for one in seen] == [{"9001", "9002", "9003"}] * 3
    assert [one.unlisted for one in seen] == [None] * 3
    assert (recurrence.calls[0] <= MOST_CALLS, recurrence.calls[1:]) == (True, [6, 6])
