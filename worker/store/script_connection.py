"""A connection to Redis that runs only scripts, many at once, and costs a worker little.

A worker runs a few scripts for every group of records. For each, redis-py would take a connection from its pool and
wait under timeouts in several coroutines, which would be the largest part of the store's cost. Here a script is one
write and one future. redis-py still makes each connection, so addresses, TLS, sentinels, users and all options remain
its job, and it runs all other commands.
"""

from __future__ import annotations

import asyncio
from collections import deque
from functools import partial
from typing import Any

import hiredis
from redis.asyncio import Redis
from redis.asyncio.connection import AbstractConnection, DefaultParser
from redis.exceptions import ConnectionError as Lost
from redis.exceptions import ReadOnlyError, ResponseError
from redis.exceptions import TimeoutError as Late

PATIENCE = 3.0
"""Seconds after which an unanswered script makes the connection suspect, so that later scripts get a new one."""
UNFIT = (Lost, ReadOnlyError)
"""Replies of a server that can't be used now: it is loading, or a replica. The next script makes a new connection."""
REPLICA = ": -READONLY "
"""Part of the error that a script gets from a replica of Redis 6.2, for which redis-py has no class."""
NOTHING = object()
CLOSED = "the connection to Redis was closed here"


class ScriptConnection:
    """Runs scripts as `Redis` does, over one connection, which is made when needed, and again after it is lost."""

    def __init__(self, redis: Redis, patience: float = PATIENCE) -> None:
        """`redis` makes the connections; they do not count towards those of its pool."""
        self._pool = redis.connection_pool
        self._patience = patience
        self._wires: list[Wire] = []
        """The last one is in use; those before it only wait for answers."""
        self._opening: asyncio.Task[Wire] | None = None
        self._closed = False
        self.evalsha = partial(self._run, "EVALSHA")
        """Runs a script by its digest."""
        self.eval = partial(self._run, "EVAL")
        """Runs a script by its text."""

    async def aclose(self) -> None:
        """Close all connections; what still waits for one, or for an answer, fails, and so does every later script."""
        self._closed = True
        if self._opening is not None:
            self._opening.cancel()
            await asyncio.wait([self._opening])
        for wire in self._wires:
            wire.close(Lost(CLOSED))

    async def _run(self, *command: Any) -> Any:
        packed = hiredis.pack_command(command)
        wire = self._wires[-1] if self._wires and self._wires[-1].fit else await self._opened()
        return await wire.send(packed)

    async def _opened(self) -> Wire:
        """Connect once for all callers that ask at the same time."""
        if self._closed:
            raise Lost(CLOSED)
        if self._opening is None:
            self._opening = asyncio.create_task(self._open())
            self._opening.add_done_callback(self._is_opened)
        opening = self._opening
        await asyncio.wait([opening])
        if opening.cancelled():
            raise Lost(CLOSED)
        return opening.result()

    def _is_opened(self, opening: asyncio.Task[Wire]) -> None:
        self._opening = None
        if not opening.cancelled():
            opening.exception()  # else asyncio would log it if all callers were cancelled

    async def _open(self) -> Wire:
        connection: AbstractConnection = self._pool.make_connection()  # type: ignore[no-untyped-call]
        try:
            await connection.connect()  # type: ignore[no-untyped-call]
            wire = Wire(connection, self._patience)
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        for old in self._wires:
            old.retire()
        self._wires = [*(old for old in self._wires if not old.closed), wire]
        return wire


class Wire(asyncio.Protocol):
    """One connection, taken over from redis-py once redis-py has made and authenticated it.

    It is `fit` for more scripts unless it is closed, or has kept one waiting for too long.
    """

    def __init__(self, connection: AbstractConnection, patience: float) -> None:
        self.fit = True
        self.closed = False
        self._connection = connection
        self._patience = patience
        self._timeout: float | None = connection.socket_timeout
        self._loop = asyncio.get_running_loop()
        self._reader = hiredis.Reader(replyError=DefaultParser.parse_error, notEnoughData=NOTHING)
        self._waiting: deque[tuple[asyncio.Future[Any], float]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._retired = False
        # redis-py has no public way to hand a connection over.
        self._transport: asyncio.Transport = connection._writer.transport  # type: ignore[union-attr, assignment]  # noqa: SLF001
        self._streams = self._transport.get_protocol()
        self._transport.set_protocol(self)

    def send(self, command: bytes) -> asyncio.Future[Any]:
        """Send a command; the future gets the reply. A caller that is cancelled leaves the connection as it is."""
        if self.closed:
            raise Lost("the connection to Redis was lost")
        answer: asyncio.Future[Any] = self._loop.create_future()
        self._waiting.append((answer, self._loop.time()))
        self._transport.write(command)
        if self._timer is None:
            self._watch()
        return answer

    def retire(self) -> None:
        """Close once all that was sent is answered."""
        self._retired = True
        if not self._waiting:
            self.close(Lost("the connection to Redis was replaced"))

    def close(self, error: Exception) -> None:
        """Close at once; every command that waits for an answer fails with the error, because its effect is unknown."""
        self.fit, self.closed = False, True
        if self._timer is not None:
            self._timer.cancel()
        waiting, self._waiting = self._waiting, deque()
        for answer, _ in waiting:
            if not answer.done():
                answer.set_exception(error)
        self._transport.abort()  # a close would first wait until a dead peer has read what was written
        self._connection._close()  # type: ignore[no-untyped-call]  # noqa: SLF001 - the public way awaits

    def data_received(self, data: bytes) -> None:
        """Hand the replies to those who wait for them, in the order of the commands."""
        self._reader.feed(data)
        try:
            while not self.closed and (reply := self._reader.gets()) is not NOTHING:
                if not isinstance(reply, hiredis.PushNotification):
                    self._take(reply)
        except (hiredis.ProtocolError, IndexError) as error:
            self.close(Lost(f"Redis sent an invalid reply: {error}"))

    def connection_lost(self, error: Exception | None) -> None:
        """Fail what waits for an answer."""
        self.close(Lost(f"Redis closed the connection{f': {error}' if error else ''}"))
        self._streams.connection_lost(error)

    def _take(self, reply: Any) -> None:
        answer, _ = self._waiting.popleft()
        if not answer.done():
            answer.set_exception(reply) if isinstance(reply, Exception) else answer.set_result(reply)
        if isinstance(reply, UNFIT) or (isinstance(reply, ResponseError) and REPLICA in str(reply)):
            self.close(reply)
        elif self._retired and not self._waiting:
            self.retire()

    def _watch(self) -> None:
        """Give up once the oldest command has waited for the whole timeout: the peer may have vanished silently."""
        self._timer = None
        if not self._waiting:
            return
        waited = self._loop.time() - self._waiting[0][1]
        if self._timeout and waited >= self._timeout:
            self.close(Late(f"no answer from Redis within {self._timeout:g} s"))
            return
        self.fit = waited < self._patience
        ends = [end for end in (self._patience, self._timeout) if end and end > waited]
        if ends:
            self._timer = self._loop.call_later(min(ends) - waited, self._watch)
