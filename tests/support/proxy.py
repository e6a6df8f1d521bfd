"""A real HTTP proxy for a test: tunnels (CONNECT) and absolute-form requests, credentials, a count of both."""

from __future__ import annotations

import asyncio
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from support.certificates import shown_by
from support.http_recorder import length, listening


@dataclass
class ForwardProxy:
    """Passes on what its clients send; for a host in `upstream`, to that port of this machine instead.

    With `login` (`user:password`) it demands these credentials; with `refuses` it answers every request with that
    status; with `mute` it takes requests and never answers.
    """

    login: str = ""
    refuses: str = ""
    mute: bool = False
    secure: bool = False
    upstream: dict[str, int] = field(default_factory=dict)
    heads: list[bytes] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}" if self.secure else f"http://127.0.0.1:{self.port}"

    @property
    def place(self) -> str:
        return self.url.partition("://")[2]

    def lines(self) -> list[str]:
        return [head.split(b"\r\n", 1)[0].decode() for head in self.heads]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.shown.extend(shown_by(writer))
        while await self.one(reader, writer):
            pass

    async def one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Pass one request on; say whether the connection stays open for another."""
        head = await reader.readuntil(b"\r\n\r\n")
        self.heads.append(head)
        if self.mute:
            return await asyncio.Event().wait()
        refusal = self.refuses or ("" if self.let_in(head) else "407 Proxy Authentication Required")
        if refusal:
            writer.write(f"HTTP/1.1 {refusal}\r\nProxy-Authenticate: Basic\r\nContent-Length: 4\r\n\r\nsorr".encode())
            await writer.drain()
            return False
        method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
        if method == "CONNECT":
            await self.tunnel(target, reader, writer)
            return False
        await self.forward(target, head, reader, writer)
        return True

    def let_in(self, head: bytes) -> bool:
        wanted = b"proxy-authorization: Basic " + b64encode(self.login.encode())
        lines = [name.lower() + b": " + value for name, _, value in (x.partition(b": ") for x in head.split(b"\r\n"))]
        return not self.login or wanted in lines

    async def tunnel(self, target: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await self.reach(target)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await writer.drain()
        try:
            async with asyncio.TaskGroup() as both:
                both.create_task(pump(reader, back))
                both.create_task(pump(there, writer))
        finally:
            back.close()

    async def forward(
        self, target: str, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Pass a request on in origin form, without the headers that are meant for the proxy."""
        url = urlsplit(target)
        there, back = await self.reach(url.netloc)
        first, *lines = head.rstrip(b"\r\n").split(b"\r\n")
        kept = [line for line in lines if not line.lower().startswith(b"proxy-")]
        first = first.replace(target.encode(), target.encode().removeprefix(f"{url.scheme}://{url.netloc}".encode()))
        back.write(b"\r\n".join([first, *kept, b"Connection: close", b"", b""]))
        if size := length(head):
            back.write(await reader.readexactly(size))
        answer = await there.readuntil(b"\r\n\r\n")
        writer.write(answer + await there.readexactly(length(answer)))
        await writer.drain()
        back.close()

    async def reach(self, place: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        host, _, port = place.rpartition(":")
        if host in self.upstream:
            return await asyncio.open_connection("127.0.0.1", self.upstream[host])
        return await asyncio.open_connection(host, int(port))


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while chunk := await reader.read(65_536):
            writer.write(chunk)
            await writer.drain()
        writer.close()


@asynccontextmanager
async def forward_proxy(tls: ssl.SSLContext | None = None, **how: Any) -> AsyncIterator[ForwardProxy]:
    """Run a proxy."""
    proxy = ForwardProxy(secure=tls is not None, **how)
    async with listening(proxy.serve, tls) as proxy.port:
        yield proxy


@asynccontextmanager
async def tls_front(tls: ssl.SSLContext, port: int) -> AsyncIterator[int]:
    """Put TLS in front of a plain server on this machine; yield the port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", port)
        try:
            await asyncio.gather(pump(reader, back), pump(there, writer))
        finally:
            back.close()

    async with listening(serve, tls) as front:
        yield front
