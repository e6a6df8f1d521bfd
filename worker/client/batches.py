"""Batches as a client sends and follows them."""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from math import inf
from tempfile import SpooledTemporaryFile
from typing import TYPE_CHECKING, Any

from ..aio.daemon import in_daemon_thread
from ..domain.errors import InvalidCommand, UnknownBatch
from ..protocol.batches import (
    EMPTY,
    PART_LIMIT,
    PARTS_LIMIT,
    BatchCounts,
    BatchOptions,
    BatchResult,
    BatchState,
    BatchStatus,
    parse_part,
)
from ..protocol.envelope import plain
from ..protocol.messages import Command, parse_command
from .ends import Rejected, StillOpen
from .identified import AS_READ

if TYPE_CHECKING:
    from .async_client import AsyncClient

IN_MEMORY = 8 * 1024 * 1024
"""Bytes of parts that are kept in memory before they are sent; beyond that, a temporary file keeps them."""
FIRST_LOOK, LONGEST_PAUSE = 0.05, 1.0
"""Seconds between two looks at a batch while waiting for it; they grow from the first value to the second."""
TAKEN_IN = 10.0
"""Seconds that `taken_in`, and thus an order about a batch or its report, waits for what was just sent."""
OLDER = ": a worker of an older version took it; once all are upgraded, send the batch again with the same id"
UNTAKEN = "is not known after {:g} s: no worker has taken it in yet (is one running?), or nothing has this id"


class Parts:
    """The checked parts of a batch, kept until all commands are read: only then is the number of parts known."""

    def __init__(self, commands: Iterable[Mapping[str, Any] | Command]) -> None:
        """Read and check all commands.

        Raises:
            InvalidCommand: there are none or too many, or one is wrong; the text names the first wrong one's index.

        """
        self.count = 0
        self._file = SpooledTemporaryFile(IN_MEMORY)  # noqa: SIM115 - `close` closes it
        self.close = self._file.close
        try:
            self._read(commands)
        except BaseException:
            self.close()
            raise

    def _read(self, commands: Iterable[Mapping[str, Any] | Command]) -> None:
        part: list[Mapping[str, Any]] = []
        for index, content in enumerate(commands):
            part.append(checked(content, f"commands.{index}"))
            if len(part) == PART_LIMIT:
                self._add(part)
                part = []
        if part:
            self._add(part)
        if not self.count:
            raise InvalidCommand(EMPTY)

    def __iter__(self) -> Iterator[list[Mapping[str, Any]]]:
        self._file.seek(0)
        while head := self._file.read(8):
            yield json.loads(zlib.decompress(self._file.read(int.from_bytes(head, "big"))))

    def _add(self, part: list[Mapping[str, Any]]) -> None:
        self.count += 1
        if self.count > PARTS_LIMIT:
            raise InvalidCommand(f"commands: a batch holds {PARTS_LIMIT * PART_LIMIT} at most")
        packed = zlib.compress(json.dumps(part).encode(), 1)
        self._file.write(len(packed).to_bytes(8, "big") + packed)


def checked(content: Mapping[str, Any] | Command, place: str) -> Mapping[str, Any]:
    """Check a command of a batch; return its fields as they are sent.

    Raises:
        InvalidCommand: the text says what is wrong, and at which place.

    """
    if isinstance(content, Command):
        content = content.model_dump(mode="json", exclude_defaults=True)
    fields = plain(content)
    try:
        command = parse_command(fields)
    except InvalidCommand as error:
        raise InvalidCommand(f"{place}: {error}") from None
    texts = {name: getattr(command, name) for name in AS_READ if fields.get(name) is not None}
    return {**fields, **texts}


@dataclass(slots=True, unsafe_hash=True)
class AsyncBatch:
    """A batch.

    `sent` are the ids of the messages that this client has sent for it; `after` is the position in the event stream
    before that. `untaken` is the status of a batch that this client has sent and not yet seen taken in by a worker.

    Orders return the id of their message; if an order was rejected, `AsyncClient.get` with that id raises Rejected, and
    `status` shows when an order has taken effect. An order about a batch that was just sent waits until all of it is
    taken in, for ten seconds at most, so that it does not overtake the batch.
    """

    client: AsyncClient
    id: str
    sent: tuple[str, ...] = ()
    after: str = ""
    untaken: BatchStatus | None = field(default=None, compare=False)

    async def status(self) -> BatchStatus:
        """Return what is known of it now. A batch that this client has sent is receiving until a worker takes it in.

        Raises:
            UnknownBatch: this client has not sent it, and no worker has taken a part of it in.
            Rejected: one of the parts that this client has sent was rejected.

        """
        try:
            return await self._seen()
        except UnknownBatch:
            if self.untaken is None:
                raise
        await self._raise_if_rejected()
        return self.untaken

    async def _seen(self) -> BatchStatus:
        """Return the status that workers have recorded; raises UnknownBatch while none has taken a part in."""
        status = await self.client.store.batches.status(self.id)
        if status.state is not BatchState.RECEIVING:
            self.untaken = None
        return status

    async def taken_in(self) -> None:
        """Wait until workers have taken in all that this client has just sent, for `TAKEN_IN` seconds at most.

        Raises:
            Rejected: one of the parts was rejected.

        """
        async with self.client.ends.watch.until_closed():
            await self._taken_in()

    async def _taken_in(self) -> None:
        loop = asyncio.get_running_loop()
        deadline, pause = loop.time() + TAKEN_IN, FIRST_LOOK
        while self.untaken is not None and loop.time() < deadline:
            if (await self.status()).state is not BatchState.RECEIVING:
                return
            await asyncio.sleep(pause)
            pause = min(LONGEST_PAUSE, 2 * pause)

    async def wait(self, timeout: float | None = None) -> BatchStatus:  # noqa: ASYNC109 - as `Client` has it
        """Wait for its end, `timeout` seconds at most. A paused batch has not ended.

        Raises:
            StillOpen: it has not ended in time; it goes on.
            Rejected: one of the parts that this client has sent was rejected.

        """
        async with self.client.ends.watch.until_closed():
            return await self._ended(timeout)

    async def _ended(self, timeout: float | None) -> BatchStatus:  # noqa: ASYNC109 - as `Client` has it
        loop = asyncio.get_running_loop()
        started, pause, refused_after = loop.time(), FIRST_LOOK, 0.0
        deadline = inf if timeout is None else started + timeout
        while True:
            try:
                status = await self._seen()
            except UnknownBatch:
                status = None
            if status is not None and status.state.final:
                return status
            waited = loop.time() - started
            if (status is None or status.state is BatchState.RECEIVING) and waited >= refused_after:
                await self._raise_if_rejected()
                refused_after = 2 * waited + LONGEST_PAUSE
            if loop.time() >= deadline:
                what = "is still open after {:g} s; it goes on" if status else UNTAKEN
                raise StillOpen(f"batch {self.id} {what.format(timeout)}")
            await asyncio.sleep(min(pause, max(0.0, deadline - loop.time())))
            pause = min(LONGEST_PAUSE, 2 * pause)

    async def _raise_if_rejected(self) -> None:
        for message_id in self.sent:
            if reason := await self.client.ends.notes.rejection(message_id, self.after):
                raise Rejected(reason + (OLDER if "no task is called" in reason else ""))

    async def pause(self, *, by: str, reason: str, hold: bool = False) -> str:
        """Pause it: nothing new is started until it is resumed; with `hold`, open cancellations are held, too."""
        held = {"hold": True} if hold else {}
        await self.taken_in()
        return await self.client.deliver({"verb": "batch_pause", "id": self.id, "by": by, "reason": reason, **held})

    async def resume(self, *, by: str, reason: str) -> str:
        """Resume it after a pause: failures so far no longer count, and what the pause has held is released."""
        await self.taken_in()
        return await self.client.deliver({"verb": "batch_resume", "id": self.id, "by": by, "reason": reason})

    async def abort(self, *, by: str, reason: str) -> str:
        """Abort it: what has not started ends as aborted without a call, and what is open is aborted."""
        await self.taken_in()
        return await self.client.deliver({"verb": "batch_abort", "id": self.id, "by": by, "reason": reason})

    async def report(self) -> AsyncIterator[BatchResult]:
        """Yield the results of its members in order; if it was just sent, first wait until it is taken in.

        Raises:
            UnknownBatch: no worker has taken a part of it in.
            Rejected: one of the parts that this client has sent was rejected.

        """
        await self.taken_in()
        async for result in self.client.store.batches.report(self.id):
            yield result


async def send_batch(
    client: AsyncClient, batch_id: str, commands: Iterable[Mapping[str, Any] | Command], options: BatchOptions
) -> AsyncBatch:
    """Check all commands, then send them in parts; raises InvalidCommand before anything is sent."""
    parts = await in_daemon_thread(partial(Parts, commands))
    try:
        after = await client.store.batches.last_event_id()
        sent = []
        for number, part in enumerate(parts, 1):
            whole = {"batch_id": batch_id, "part": number, "parts": parts.count, "commands": part}
            if number == 1:
                whole["options"] = options.model_dump(exclude_none=True)
                parse_part(whole)
            sent.append(await client.deliver({"verb": "batch", **whole}))
    finally:
        parts.close()
    counts = BatchCounts(selected=0, waiting=0, open=0, rejected=0, finished={})
    untaken = BatchStatus(
        id=batch_id,
        state=BatchState.RECEIVING,
        options=options,
        counts=counts,
        parts=parts.count,
        received=0,
        created_at=datetime.now(UTC),
    )
    return AsyncBatch(client, batch_id, tuple(sent), after, untaken)
