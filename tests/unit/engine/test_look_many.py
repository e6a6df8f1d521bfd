"""Lists that ask for time by `Retry-After`: no job that they could show is looked at before that time is over."""

from __future__ import annotations

import json
from asyncio import sleep

import pytest
from support.jumping_loop import run

from worker.backends.adapter import Reply, Request
from worker.backends.sahara import Sahara
from worker.domain.model import Answer, AnswerKind, Job, Observation, Policy
from worker.domain.polling import LONGEST_DELAY
from worker.engine.backend import Backend
from worker.engine.look_many import USELESS, ListReader, Sightings

JOBS = [Job(str(number)) for number in range(20)]
ASKED = 40


def listed(*numbers: int, seconds: int | None = None) -> Reply:
    """A list of running jobs, with a `Retry-After` if `seconds` are given."""
    rows = [{"id": str(number), "info": {"status": "RUNNING"}} for number in numbers]
    return Reply(200, asking(seconds), json.dumps({"jobs": rows}).encode())


def failed(seconds: int | None = None, status: int = 503) -> Reply:
    return Reply(status, asking(seconds), b"not now")


def asking(seconds: int | None) -> dict[str, str]:
    return {} if seconds is None else {"retry-after": str(seconds)}


class Lists:
    """Answers the calls for lists in turn, and counts them."""

    def __init__(self, *script: Reply) -> None:
        self.made = 0
        self._script = script

    async def ready(self) -> None:
        """Do nothing: there is no credential."""

    async def send(self, request: Request, *, traceparent: str | None = None) -> Reply:
        assert (request.path[-1], traceparent) == ("jobs", None)
        self.made += 1
        return self._script[self.made - 1]


def reader(lists: Lists) -> ListReader:
    return ListReader(Backend("b", Sahara("p", "v2"), Policy(Sahara.steps), lists))


async def read(one: ListReader) -> Sightings:
    assert one.ready
    plan = one.plan_for(JOBS)
    assert plan is not None
    return await one.read(plan)


def waits(told: Sightings) -> dict[str, float | None]:
    """How long each job must not be looked at, for the jobs whose list asked for time."""
    busy = {job_id: one for job_id, one in told.items() if isinstance(one, Answer)}
    assert {one.kind for one in busy.values()} <= {AnswerKind.BUSY}
    return {job_id: one.retry_after for job_id, one in busy.items()}


@pytest.mark.parametrize("status", [429, 503, 403, 200])
@pytest.mark.parametrize(("asked", "heeded"), [(ASKED, ASKED), (86400, LONGEST_DELAY)])
def test_where_a_list_fails_and_asks_for_time_no_job_is_looked_at_before(
    status: int, asked: int, heeded: float
) -> None:
    async def main() -> None:
        told = await read(reader(Lists(failed(asked, status))))
        assert waits(told) == {job.id: heeded for job in JOBS}

    run(main())


def test_meanwhile_no_list_is_asked_for_either() -> None:
    async def main() -> None:
        later = 10
        lists = Lists(failed(ASKED))
        one = reader(lists)
        await read(one)
        await sleep(later)
        assert waits(await read(one)) == {job.id: ASKED - later for job in JOBS}
        assert lists.made == 1

    run(main())


def test_when_the_time_is_over_a_list_comes_before_looks() -> None:
    async def main() -> None:
        lists = Lists(failed(ASKED), listed(*range(20)))
        one = reader(lists)
        await read(one)
        await sleep(ASKED)
        told = await read(one)
        assert [isinstance(seen, Observation) for seen in told.values()] == [True] * 20
        assert (lists.made, waits(told)) == (2, {})

    run(main())


def test_after_the_second_list_in_a_row_that_asks_for_time_jobs_are_looked_at_one_by_one() -> None:
    async def main() -> None:
        one = reader(Lists(failed(ASKED), failed(ASKED)))
        for _ in range(2):
            assert len(waits(await read(one))) == 20
            await sleep(ASKED)
        assert not one.ready
        await sleep(USELESS)
        assert one.ready

    run(main())


def test_a_list_that_was_read_meanwhile_begins_a_new_row() -> None:
    async def main() -> None:
        one = reader(Lists(failed(ASKED), listed(*range(20)), failed(ASKED)))
        await read(one)
        await sleep(ASKED)
        await read(one)
        await read(one)
        await sleep(ASKED)
        assert one.ready

    run(main())


def test_a_list_that_fails_without_asking_for_time_leaves_the_jobs_to_looks() -> None:
    async def main() -> None:
        one = reader(Lists(failed()))
        assert await read(one) == {}
        assert not one.ready

    run(main())


def test_a_list_that_succeeds_and_asks_for_time_asks_it_for_the_jobs_that_it_leaves_out_too() -> None:
    async def main() -> None:
        told = await read(reader(Lists(listed(*range(15), seconds=ASKED))))
        assert waits(told) == {str(number): ASKED for number in range(15, 20)}

    run(main())
