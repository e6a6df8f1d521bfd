"""TLS in front of a server that has none: the embedded Redis is built without it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from support.http_recorder import listening

Connect = Callable[[], Awaitable[tuple[asyncio.StreamReader, asyncio.StreamWriter]]]


@asynccontextmanager
async def relayed(connect: Connect, context: ssl.SSLContext) -> AsyncIterator[int]:
    """Listen with TLS, and pass on what comes; yield the port."""

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        their_reader, their_writer = await connect()
        both = {asyncio.create_task(pump(reader, their_writer)), asyncio.create_task(pump(their_reader, writer))}
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        finally:
            their_writer.close()
            for one in both:
                one.cancel()
            await asyncio.gather(*both, return_exceptions=True)

    async with listening(pass_on, context) as port:
        yield port


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Pass on until one side ends."""
    with suppress(ConnectionError, ssl.SSLError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
