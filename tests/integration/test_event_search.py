"""The search for one job's events: what it finds, and that it reads no more than it is allowed to."""

from __future__ import annotations

from datetime import timedelta

import pytest
from support.commands import FINISHED, claim, command, commit

from worker.cli.history import history_of
from worker.protocol.messages import Event
from worker.store.store import Store


async def opened(store: Store, *job_ids: str) -> None:
    for job_id in job_ids:
        await store.accept(command(job_id, f"c-{job_id}"))


def subjects(events: tuple[Event, ...]) -> list[str | None]:
    return [event.subject for event in events]


async def test_finds_all_events_of_a_job_and_those_of_its_backends_breaker(store: Store) -> None:
    await opened(store, "1", "12", "2")
    for one in (await claim(store)).claims:
        await store.commit(commit(one, "finish", facts=FINISHED, verdict="bad:1:1000"))
    counted: list[int] = []
    found = await store.search_back("ess", "1", None, counted.append)

    assert [event.name for event in found.events] == ["accepted", "paused", "finished"]
    assert {event.subject for event in found.events} == {"1", "ess"}
    assert (found.whole, found.searched, sum(counted)) == (True, 7, 7)


async def test_reads_no_more_than_it_may(store: Store) -> None:
    await opened(store, "1", "2", "3")
    found = await store.search_back("ess", "1", 2, lambda _: None)

    assert (found.events, found.searched, found.whole) == ((), 2, False)
    assert found.back_to is not None


@pytest.mark.parametrize("limit", [3, 4], ids=["as-many-as-there-are", "more"])
async def test_says_whether_older_events_are_left(store: Store, limit: int) -> None:
    await opened(store, "1", "2", "3")
    found = await store.search_back("ess", "1", limit, lambda _: None)

    assert (subjects(found.events), found.whole) == (["1"], limit == 4)


async def test_an_empty_stream_has_nothing_to_find(store: Store) -> None:
    found = await store.search_back("ess", "1", None, lambda _: None)

    assert (found.events, found.searched, found.back_to, found.whole) == ((), 0, None, True)
    assert await store.kept_events() == 0


@pytest.mark.parametrize("job_id", ['a"b\\c', "ü/é", "漢"])
async def test_an_id_is_found_as_it_is_written(store: Store, job_id: str) -> None:
    await opened(store, job_id)
    found = await store.search_back("ess", job_id, None, lambda _: None)

    assert subjects(found.events) == [job_id]


async def test_a_job_of_another_backend_is_another_job(store: Store) -> None:
    await opened(store, "1")
    await store.accept(command("1", "c-oml", backend="oml"))

    assert [event.backend for event in (await store.search_back("oml", "1", None, lambda _: None)).events] == ["oml"]


async def test_a_search_from_the_beginning_ends_in_time(store: Store) -> None:
    await opened(store, "1", *map(str, range(2, 9)))
    event = (await store.search_back("ess", "1", None, lambda _: None)).events[0]
    since = (await store.get(event.cancellationid or "")).record.cancellation.accepted_at

    assert subjects(await store.search_from("ess", "1", since, 1)) == ["1"]
    assert await store.search_from("ess", "8", since, 3) == ()
    assert await store.search_from("ess", "1", since + timedelta(hours=1), 100) == ()


async def finished(store: Store, job_id: str) -> str:
    """Take a job's cancellation to its end; return the cancellation's id."""
    await opened(store, job_id)
    (one,) = (await claim(store)).claims
    await store.commit(commit(one, "finish", facts=FINISHED))
    return one.record.cancellation.id


async def test_the_history_of_a_job_has_each_of_its_cancellations(store: Store) -> None:
    first = await finished(store, "1")
    await store.accept(command("1", "c-again"))
    found = await history_of(store, "ess", "1", "", None, lambda _: None)

    assert sorted(len(one.events) for one in found.known) == [1, 2]
    assert {one.cancellation_id: one.seen and one.seen.record.outcome for one in found.known}[first] == "cancelled"


async def test_the_last_end_of_a_job_is_found_however_many_others_ended_since(store: Store) -> None:
    await finished(store, "1")
    await store.accept(command("1", "c-again"))
    (again,) = (await claim(store)).claims
    await store.commit(commit(again, "finish", facts=FINISHED))
    for number in range(2, 5):
        await finished(store, str(number))
    counted: list[int] = []
    found = await store.last_end("ess", "1", None, counted.append)

    assert found is not None
    assert (found.cancellationid, counted) == (again.record.cancellation.id, [10])
    assert await store.last_end("ess", "1", 6, counted.append) is None
    assert await store.last_end("oml", "1", None, counted.append) is None


@pytest.mark.parametrize("by_id", [True, False], ids=["ended", "open"])
async def test_what_is_named_or_open_is_found_however_few_events_are_searched(store: Store, by_id: bool) -> None:  # noqa: FBT001 - a table's column
    ended = await finished(store, "1")
    await store.accept(command("1", "c-again"))
    await opened(store, "2", "3")
    found = await history_of(store, "ess", "1", ended if by_id else "", 1, lambda _: None)
    (one,) = found.known

    assert [event.name for event in one.events] == (["accepted", "finished"] if by_id else ["accepted"])
    assert (one.cancellation_id == ended, found.searched.whole) == (by_id, False)
