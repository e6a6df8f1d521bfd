"""For producers with asyncio: send commands, wait for their end, read events."""

from __future__ import annotations

import asyncio
import logging
import os
import uuid
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Self, TypeAlias, Unpack

from ..aio.daemon import Threads, in_daemon_thread
from ..aio.loop_thread import inherited
from ..broker.sender import CONNECTIONS, Sender
from ..domain.errors import NewerFormat, UnknownCancellation, UnreadableRecord
from ..protocol.batches import BatchStatus, OptionFields, parse_options
from ..protocol.messages import Command, CommandFields, Event, parse_child, parse_hold_time
from ..settings.environment import Settings
from ..settings.errors import ConfigurationError
from ..settings.quantities import LONGEST
from ..settings.signing_key import SigningKey, signing_key
from ..store.codec import Snapshot
from ..store.dead_letters import DeadLetter, DeadLetters
from ..store.message_notes import MessageNotes
from ..store.redis_client import NO_REDIS, connect
from ..store.retention import Retention
from ..store.store import Store
from .batches import AsyncBatch, send_batch
from .cancellation import AsyncCancellation
from .ends import Ends, Rejected, Result, StillOpen
from .identified import identified
from .signer import signed

log = logging.getLogger(__name__)

__all__ = ["AsyncCancellation", "AsyncClient", "JobId", "Rejected", "Result", "StillOpen"]

JobId: TypeAlias = str | int | uuid.UUID
"""A job's id at its backend; a number or a UUID counts as its text."""

CHUNK = 500
"""Commands in one message of `submit_many`."""
BLOCK = 1.0
"""Seconds that a reader of events waits for the next ones before it asks again."""


@dataclass(frozen=True, slots=True)
class Connections:
    """The open connections of a client, and the loop and process that opened them: they work nowhere else."""

    loop: asyncio.AbstractEventLoop
    process: int
    store: Store
    ends: Ends
    letters: DeadLetters
    sender: Sender
    threads: Threads


class AsyncClient:
    """Sends commands and reads what became of them, in one asyncio loop at a time.

    It opens its connections when it first needs them, and opens new ones in another loop or in a forked child.
    """

    def __init__(self, settings: Settings, key: SigningKey | None = None) -> None:
        """`settings` must name a Redis; with a `key` all that is sent is signed, whatever they say about keys."""
        self._settings = settings
        self._key = key
        self._connections: Connections | None = None

    @classmethod
    def from_env(cls, settings: Settings | None = None) -> Self:
        """Prepare to connect, and to sign, as the environment says.

        Raises:
            ConfigurationError: the environment has mistakes, or names no Redis, or a key that can't be used.

        """
        settings = (settings or Settings.load()).discovered()
        if settings.redis is None:
            raise ConfigurationError([NO_REDIS])
        return cls(settings, signing_key(settings))

    @property
    def letters(self) -> DeadLetters:
        """The dead letters."""
        return self._open.letters

    @property
    def ends(self) -> Ends:
        """What has become of commands."""
        return self._open.ends

    @property
    def store(self) -> Store:
        """The cancellations, and what Redis holds about batches and events."""
        return self._open.store

    @property
    def _open(self) -> Connections:
        loop, process = asyncio.get_running_loop(), os.getpid()
        held = self._connections
        if held is not None and (held.loop, held.process) == (loop, process):
            return held
        if held is not None and held.process != process:
            inherited.append(held)
        elif held is not None and not held.loop.is_closed():
            raise RuntimeError("this AsyncClient is in use in another event loop: make one in each, or use Client")
        self._connections = self._opened(loop, process)
        return self._connections

    def _opened(self, loop: asyncio.AbstractEventLoop, process: int) -> Connections:
        settings = self._settings
        redis = connect(settings)
        store = Store(redis, settings.prefix, Retention.of(settings), LONGEST)
        ends = Ends(store, MessageNotes(redis, settings.prefix))
        letters = DeadLetters(redis, settings.prefix)
        return Connections(loop, process, store, ends, letters, Sender(settings), Threads(CONNECTIONS))

    async def cancel(self, backend: str, job_id: JobId, **fields: Unpack[CommandFields]) -> AsyncCancellation:
        """Ask for a job to be stopped; the fields are those of a command.

        Raises:
            InvalidCommand: nothing was sent.

        """
        return await self._send("cancel", {"backend": backend, "job_id": job_id, **fields})

    async def delete(self, backend: str, job_id: JobId, **fields: Unpack[CommandFields]) -> AsyncCancellation:
        """Ask for a job to be stopped and its record to be removed; the fields are those of a command.

        Raises:
            InvalidCommand: nothing was sent.

        """
        return await self._send("delete", {"backend": backend, "job_id": job_id, **fields})

    async def submit_many(self, commands: Sequence[Mapping[str, Any]]) -> list[AsyncCancellation]:
        """Send many commands, hundreds in one message; each includes its `verb`.

        Raises:
            InvalidCommand: nothing was sent; the text names the first wrong command by its index.

        """
        named = [identified(content, f"commands.{index}") for index, content in enumerate(commands)]
        after = await self.store.last_event_id()
        whole = await self._signed([one.fields for one in named])
        for start in range(0, len(whole), CHUNK):
            await self._publish("worker.submit", {"commands": whole[start : start + CHUNK]})
        return [AsyncCancellation(self, one.command_id, after, one.digest) for one in named]

    async def batch(
        self,
        commands: Iterable[Mapping[str, Any] | Command],
        *,
        batch_id: str | None = None,
        **options: Unpack[OptionFields],
    ) -> AsyncBatch:
        """Clean up many jobs as one batch; each command includes its `verb`. The same batch may be sent again.

        Raises:
            InvalidCommand: nothing was sent; the text names the first wrong command by its index, or the option.

        """
        return await send_batch(self, batch_id or uuid.uuid4().hex, commands, parse_options(options))

    def batch_by_id(self, batch_id: str) -> AsyncBatch:
        """Return the batch with this id, whoever has sent it, even if it is not known yet."""
        return AsyncBatch(self, batch_id)

    async def batches(self, limit: int = 100) -> list[BatchStatus]:
        """Return up to `limit` batches, the newest first."""
        return await self.store.batches.list(limit)

    async def abort(self, reference: str, *, by: str, reason: str) -> str:
        """Withdraw a cancellation, named by its id or a command's.

        Return the id of this order; if the order was rejected, `get` with that id raises Rejected.
        """
        return await self.deliver({"verb": "abort", "id": reference, "by": by, "reason": reason})

    async def attest(self, reference: str, *, by: str, reason: str, child: str | int | None = None) -> str:
        """Attest that the remote process of a cancellation's job, or of only one of its children, has stopped.

        Return the id of this order, as `abort` does.

        Raises:
            InvalidCommand: `child` is not a valid job id, and nothing was sent.

        """
        about = {} if child is None else {"child": parse_child(child)}
        return await self.deliver({"verb": "attest", "id": reference, "by": by, "reason": reason, **about})

    async def hold(self, reference: str, *, by: str, reason: str, seconds: float | None = None) -> str:
        """Hold a cancellation: once its `held` event is emitted no changing call begins until it is released.

        With `seconds` it is released automatically after that time. Return the id of this order, as `abort` does.

        Raises:
            InvalidCommand: `seconds` is not a valid hold time, and nothing was sent.

        """
        limit = {} if seconds is None else {"for": parse_hold_time(seconds)}
        return await self.deliver({"verb": "hold", "id": reference, "by": by, "reason": reason, **limit})

    async def release(self, reference: str, *, by: str, reason: str) -> str:
        """Release a cancellation that is held; return the id of this order, as `abort` does."""
        return await self.deliver({"verb": "release", "id": reference, "by": by, "reason": reason})

    async def replay(self, letter: DeadLetter) -> None:
        """Send a dead letter's command again, with the same command id, and drop the letter.

        If the letter holds an event, that is delivered to its sink again. A command is signed if this client has a key.

        Raises:
            InvalidCommand: its message could not be read, so there is nothing to send.

        """
        if letter.sink:
            await self.letters.deliver_again(letter)
            await self.letters.drop(letter)
            return
        whole = letter.command()
        await self.letters.forget(letter)
        await self.deliver(whole)
        await self.letters.drop(letter)

    async def get(self, reference: str, digest: str = "", after: str = "") -> Snapshot:
        """Return what is known of a cancellation, named by its id or a command's.

        With a `digest`, a command with the same id but other content does not count; with a position `after`, neither
        do rejections up to it.

        Raises:
            UnknownCancellation: there is none yet, or none any more.
            Rejected: the command was rejected, or will be because another one has its id.

        """
        return await self._open.ends.get(reference, digest, after)

    async def open_of(self, backend: str, job_id: str) -> Snapshot:
        """Return the open cancellation of a job; raises UnknownCancellation if there is none."""
        found = await self.store.open_id(backend, job_id)
        if not found:
            raise UnknownCancellation(f"no cancellation of {backend} {job_id} is open")
        return await self.store.get(found)

    async def list_open(self, backend: str = "", limit: int = 100) -> list[Snapshot]:
        """Return up to `limit` open cancellations, of one backend or of all."""
        found: list[Snapshot] = []
        for name in [backend] if backend else await self.store.backends():
            if len(found) >= limit:
                break
            for cancellation_id in await self.store.open_ids(name, limit - len(found)):
                try:
                    found.append(await self.store.get(cancellation_id))
                except UnknownCancellation:
                    continue  # it may end while we read
                except (NewerFormat, UnreadableRecord) as error:
                    log.warning("%s; it is left out", error)
        return found

    async def list_finished(self, backend: str = "", limit: int = 100) -> list[Event]:
        """Return up to `limit` newest `finished` events, of one backend or of all."""
        found: list[Event] = []
        async for event in self.store.newest_events(500):
            if len(found) >= limit:
                break
            if event.cancellationid and event.name == "finished" and backend in {"", event.backend}:
                found.append(event)
        return found

    async def wait(
        self,
        reference: str,
        timeout: float | None = None,  # noqa: ASYNC109 - as `Client` has it
        *,
        after: str = "",
        digest: str = "",
    ) -> Result:
        """Wait for a cancellation's end, named by its id or a command's; `timeout` in seconds.

        With a `digest`, a command with the same id but other content does not count; with a position `after`, neither
        do rejections up to it. Waits share one reader of the events.

        Raises:
            StillOpen: it has not ended in time.
            Rejected: the command was rejected.
            UnknownCancellation: it was known but is gone, for example because Redis lost its data.

        """
        return await self._open.ends.wait(reference, timeout, digest, after)

    async def events(self, after: str = "", *, follow: bool = True) -> AsyncIterator[Event]:
        """Yield events after a position in the stream (all that are kept, if none is given)."""
        async for _, event in self.entries(after, follow=follow):
            yield event

    async def entries(self, after: str = "", *, follow: bool = True) -> AsyncIterator[tuple[str, Event]]:
        """Yield events with their positions, from which a reader may resume later."""
        position, watch = after or "0-0", self.ends.watch
        while True:
            watch.check_open()
            watch = self.ends.watch  # another one in a forked child
            async with watch.until_closed():
                page = await self.store.events(position, block=BLOCK if follow else None)
            for position, event in page:
                yield position, event
            if not page and not follow:
                return

    async def aclose(self) -> None:
        """Close all connections; what another task waits for raises a RuntimeError."""
        held = self._connections
        if held is None or (held.loop, held.process) != (asyncio.get_running_loop(), os.getpid()):
            return  # Nothing is open here; what is open elsewhere is closed there.
        self._connections = None
        await held.ends.watch.aclose()
        await held.store.aclose()
        await in_daemon_thread(held.sender.close)

    async def _send(self, verb: str, content: Mapping[str, Any]) -> AsyncCancellation:
        one = identified({"verb": verb, **content}, "command")
        after = await self.store.last_event_id()
        await self.deliver(one.fields)
        return AsyncCancellation(self, one.command_id, after, one.digest)

    async def deliver(self, whole: Mapping[str, Any]) -> str:
        """Sign and send one message; its verb names the task. Return its id."""
        (one,) = await self._signed([whole])
        fields = {name: value for name, value in one.items() if name != "verb"}
        return await self._publish(f"worker.{one['verb']}", fields)

    async def _publish(self, task: str, arguments: Mapping[str, Any]) -> str:
        held = self._open
        return await held.threads.run(partial(held.sender.send, task, arguments))

    async def _signed(self, contents: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
        """Sign what is sent if this client has a key, with the same clock by which workers check signatures."""
        if self._key is None:
            return contents
        now, *_ = await self.store.times()
        return await self._open.threads.run(partial(signed, self._key, contents, now))
