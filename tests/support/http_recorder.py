"""A raw HTTP server that records what it receives, and an `Http` that calls it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from worker.http.client import Http

SOON = 30.0
"""Seconds after which a test gives up, on any machine; replies that must not come in time take 60 or more."""
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"

Behave = Callable[[asyncio.StreamWriter, int], Awaitable[bool]]
"""Answers the n-th request, from 1; says whether the connection stays open."""
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
"""Serves one connection to its end."""


@asynccontextmanager
async def listening(
    serve: Serve, tls: ssl.SSLContext | None = None, tasks: set[asyncio.Task[None]] | None = None
) -> AsyncIterator[int]:
    """Serve on a free port, which is yielded, and close what is left at the end; `tasks` gets the task of each."""
    serving = set() if tasks is None else tasks

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        serving.update(task for task in [asyncio.current_task()] if task)
        try:
            with suppress(asyncio.IncompleteReadError, OSError, asyncio.CancelledError):
                await serve(reader, writer)
        finally:
            writer.close()
            with suppress(OSError, asyncio.CancelledError):
                await writer.wait_closed()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in serving:
            task.cancel()
        if serving:
            await asyncio.wait(serving)
        await server.wait_closed()


def length(head: bytes) -> int:
    """Return the size of the body that belongs to a head."""
    sizes = [line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
    return int(sizes[0]) if sizes else 0


@dataclass
class Wiretap:
    """A raw server that keeps each request's head and body as they came."""

    behave: Behave
    secure: bool = False
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0
    port: int = 0
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while await self.one(reader, writer):
            pass

    async def one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        self.requests.append(head + await reader.readexactly(length(head)))
        return await self.behave(writer, len(self.requests))

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}" if self.secure else f"http://127.0.0.1:{self.port}"

    def lines(self) -> list[str]:
        return [request.split(b"\r\n", 1)[0].decode() for request in self.requests]

    def headers(self, name: bytes) -> list[bytes]:
        return [
            line.split(b": ", 1)[1]
            for request in self.requests
            for line in request.split(b"\r\n")
            if line.lower().startswith(name + b":")
        ]


@asynccontextmanager
async def wiretap(behave: Behave, tls: ssl.SSLContext | None = None) -> AsyncIterator[Wiretap]:
    tap = Wiretap(behave, tls is not None)
    async with listening(tap.serve, tls, tap.tasks) as tap.port:
        yield tap


@asynccontextmanager
async def calling(tap: Wiretap, *, seconds: float = SOON, max_reply: int = 1_000_000) -> AsyncIterator[Http]:
    http = Http(f"{tap.url}/base", timeout=seconds, max_reply=max_reply)
    try:
        yield http
    finally:
        await http.aclose()


def says(*replies: bytes) -> Behave:
    """Send one reply after the other, then repeat the last for ever."""

    async def behave(writer: asyncio.StreamWriter, count: int) -> bool:
        writer.write(replies[min(count, len(replies)) - 1])
        await writer.drain()
        return True

    return behave


async def hang(_writer: asyncio.StreamWriter, _count: int) -> bool:
    return await asyncio.Event().wait()


def drops(after: int, *, reset: bool) -> Behave:
    """Answer `after` requests, then take one more and drop its connection."""

    async def behave(writer: asyncio.StreamWriter, count: int) -> bool:
        if count > after:
            if reset:
                writer.transport.abort()
            return False
        return await says(OK)(writer, count)

    return behave
