"""Finds the cancellation that is meant by the id of a cancellation or command, or by a backend and job id."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass

from ..client.async_client import Rejected
from ..domain.errors import NewerFormat, UnknownCancellation, UnreadableRecord
from ..store.codec import Snapshot
from .options import JOB_WORDS
from .output import Meter, Output
from .session import Session

RECENT = 20_000
"""Events that can be searched for a job's end in a moment; a longer search shows its progress."""
LOOK_EVERY = 0.2


async def cancellation_named(session: Session, words: Sequence[str], output: Output) -> Snapshot:
    """Find the cancellation that an id, or a backend and its job's id, names.

    Raises:
        UnknownCancellation: there is none; the text says so if the id is that of a rejected command.

    """
    if len(words) == JOB_WORDS:
        return await of_job(session, words[0], words[1], output)
    return await _of_id(session, words[0])


async def cancellations_named(session: Session, words: Sequence[str], output: Output) -> list[Snapshot]:
    """Find the cancellations that ids name, or that of a backend and its job's id.

    Raises:
        UnknownCancellation: there is none, as in `cancellation_named`.

    """
    if len(words) == JOB_WORDS and not await _known(session, words[0]):
        return [await of_job(session, words[0], words[1], output)]
    return [await _of_id(session, word) for word in words]


async def _of_id(session: Session, reference: str) -> Snapshot:
    try:
        return await session.client.get(reference)
    except Rejected as rejected:
        raise UnknownCancellation(f"command {reference} was rejected: {rejected}") from rejected


async def of_job(session: Session, backend: str, job_id: str, output: Output, limit: int | None = None) -> Snapshot:
    """Find the open cancellation of a job, else the last one that ended; dry runs do not count.

    For the latter the newest `limit` events are searched, or all if it is None; a long search shows its progress.

    Raises:
        UnknownCancellation: there is none, or its events are past their retention.

    """
    with suppress(UnknownCancellation):
        return await session.client.open_of(backend, job_id)
    with ExitStack() as shown:
        searched = Searched(shown, output, await session.store.kept_events())
        event = await session.store.last_end(backend, job_id, limit, searched.advance)
    if event is None or not event.cancellationid:
        raise UnknownCancellation(f"no cancellation of {backend} {job_id} is open, and no event shows one that ended")
    return await session.client.get(event.cancellationid)


@dataclass(slots=True)
class Searched:
    """Shows the progress of a search through `kept` events, once it takes long."""

    shown: ExitStack
    output: Output
    kept: int
    count: int = 0
    meter: Meter | None = None

    def advance(self, count: int) -> None:
        """Count more events as searched."""
        self.count += count
        if self.meter is not None:
            self.meter(count)
        elif RECENT <= self.count < self.kept:
            self.meter = self.shown.enter_context(self.output.meter("events searched", self.kept))
            self.meter(self.count)


async def names_job(session: Session, words: Sequence[str], backends: Collection[str]) -> bool:
    """Whether words that name nothing known are a backend and its job's id, rather than two ids."""
    return len(words) == JOB_WORDS and words[0] in backends and not await _known(session, words[0])


async def job_named(session: Session, words: Sequence[str], patience: float, output: Output) -> Snapshot | None:
    """Return the cancellation of the job that two words name; None if they are ids, or name nothing known.

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
            if ended_too or late:  # a search through what has ended takes a while: first a short one, last a whole one
                return await of_job(session, backend, job_id, output, None if late else RECENT)
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
