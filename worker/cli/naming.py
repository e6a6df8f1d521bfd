"""Finds the cancellation that is meant by the id of a cancellation or command, or by a backend and job id."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress

from ..client.async_client import Rejected
from ..errors import NewerFormat, UnknownCancellation, UnreadableRecord
from ..store.codec import Snapshot
from .options import JOB_WORDS
from .session import Session

SEARCHED_ENDS = 2000
"""How many ended cancellations are searched for a job if none is open."""
LOOK_EVERY = 0.2


async def cancellation_named(session: Session, words: Sequence[str]) -> Snapshot:
    """Find the cancellation that an id, or a backend and its job's id, names.

    Raises:
        UnknownCancellation: there is none; the text says so if the id is that of a rejected command.

    """
    return await (_of_id(session, words[0]) if len(words) == 1 else of_job(session, *words))


async def cancellations_named(session: Session, words: Sequence[str]) -> list[Snapshot]:
    """Find the cancellations that ids name, or that of a backend and its job's id.

    Raises:
        UnknownCancellation: there is none, as in `cancellation_named`.

    """
    if len(words) == JOB_WORDS and not await _known(session, words[0]):
        return [await of_job(session, *words)]
    return [await _of_id(session, word) for word in words]


async def _of_id(session: Session, reference: str) -> Snapshot:
    try:
        return await session.client.get(reference)
    except Rejected as rejected:
        raise UnknownCancellation(f"command {reference} was rejected: {rejected}") from rejected


async def of_job(session: Session, backend: str, job_id: str) -> Snapshot:
    """Find the open cancellation of a job, else the last one that ended; no dry run.

    Raises:
        UnknownCancellation: there is none, or it ended too long ago.

    """
    try:
        return await session.client.open_of(backend, job_id)
    except UnknownCancellation:
        for event in await session.client.list_finished(backend, SEARCHED_ENDS):
            if event.subject == job_id and event.cancellationid and event.outcome != "planned":
                return await session.client.get(event.cancellationid)
    raise UnknownCancellation(
        f"no cancellation of {backend} {job_id} is open, and none is among the last {SEARCHED_ENDS} that ended"
    )


async def job_named(session: Session, words: Sequence[str], patience: float) -> Snapshot | None:
    """Return the cancellation of the job that two words name; None if they are ids, or nothing is known by them.

    The command may still be on its way to a worker, so both readings are tried for `patience` seconds.
    """
    if len(words) != JOB_WORDS:
        return None
    backend, job_id = words
    loop = asyncio.get_running_loop()
    deadline, ended_too = loop.time() + patience, True
    while not await _known(session, backend):
        late = loop.time() >= deadline
        with suppress(UnknownCancellation):
            if ended_too or late:  # a search through what has ended takes a while, so it is made first and last only
                return await of_job(session, backend, job_id)
            return await session.client.open_of(backend, job_id)
        if late:
            break
        ended_too = False
        await asyncio.sleep(LOOK_EVERY)
    return None


async def _known(session: Session, reference: str) -> bool:
    try:
        await session.client.get(reference)
    except UnknownCancellation:
        return False
    except (Rejected, UnreadableRecord, NewerFormat):
        pass
    return True
