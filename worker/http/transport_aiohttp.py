"""The wire of every worker: aiohttp, with everything switched off that it does on its own."""

from __future__ import annotations

import asyncio
import re
import ssl
from contextlib import suppress
from functools import partial
from typing import Any

import aiohttp
import yarl
from aiohttp.client_proto import ResponseHandler
from aiohttp.client_reqrep import ClientRequest, ConnectionKey
from aiohttp.connector import Connection
from aiohttp.tracing import Trace

from ..backends.adapter import Reply
from ..domain.errors import CallUnanswered
from .content_coding import undone
from .tls import SYSTEM, Tls, tls_context
from .transport import KEEP_ALIVE, MAX_HEADER, Body, Call, Proxy, headers_of, in_words

PROXY_AUTHENTICATION = 407
TUNNEL_HEADERS = {"User-Agent": "canceller"}
"""What a proxy is sent besides the target of a tunnel."""
REST_BYTES, REST_SECONDS = 65_536, 0.25
"""How much of a body that nobody wants is read, and for how long, so that its connection can be used again."""
LONGEST_HEAD = 4 * MAX_HEADER
"""Bytes of a reply's head that are held until it is whole; a longer one goes to the parser as it comes."""
HEAD_END = re.compile(rb"\n\r?\n")
INTERIM = re.compile(rb"HTTP/1\.[01] 1(?!01)")
"""The start of an interim reply's head (1xx but 101): another head follows it."""
LENGTH = re.compile(rb"\ncontent-length:([^\n]*)", re.IGNORECASE)
CODING = re.compile(rb"\ntransfer-encoding:([^\n]*)", re.IGNORECASE)
FOLDED = re.compile(rb"\n(?:content-length|transfer-encoding)[^\n]*\n[ \t]", re.IGNORECASE)
"""Either of these headers, continued on the next line (RFC 9112, 5.2)."""


class Protocol(ResponseHandler):
    """Hands the parser a reply's head with a single content length: it would refuse a second one.

    A reply that a proxy may have read differently is the last one on its connection.
    """

    _head: bytearray | None = None

    def set_response_params(self, **params: Any) -> None:
        """Expect the head of a reply."""
        self._head = bytearray()
        super().set_response_params(**params)

    def data_received(self, data: bytes) -> None:
        """Hold a head until it is whole, and pass on all else, including the empty data that resumes the parser."""
        if self._head is None:
            super().data_received(data)
            return
        while self._head is not None:
            searched = max(0, len(self._head) - 2)
            self._head += data
            end = HEAD_END.search(self._head, searched)
            if end is None and b"HTTP/".startswith(self._head[:5]) and len(self._head) <= LONGEST_HEAD:
                return
            cut, held = end.end() if end else 0, bytes(self._head)
            head, data = held[:cut], held[cut:]
            self._head = bytearray() if INTERIM.match(head) else None
            mended = one_length(head)
            if mended != head:
                self.force_close()
            if mended:
                super().data_received(mended)
        if data and self.exception() is None:
            super().data_received(data)


def one_length(head: bytes) -> bytes:
    """Return a reply's head with its length stated once, or as it is.

    Equal lengths count as one (RFC 9110, 8.6), and a chunked body needs none (RFC 9112, 6.3). Different ones stay:
    nobody knows where such a reply ends.
    """
    said = values(LENGTH, head)
    if not said:
        return head
    lower = head.lower()
    if len(said) == 1 and b"," not in said[0] and b"transfer-encoding" not in lower:
        return head
    lengths = [part.strip(b" \t") for part in b",".join(said).split(b",")]
    chunked = head.startswith(b"HTTP/1.1 ") and values(CODING, lower) == [b"chunked"]
    if (len(lengths) == 1 and not chunked) or FOLDED.search(head):
        return head
    if not all(length.isdigit() for length in lengths) or len({length.lstrip(b"0") for length in lengths}) > 1:
        return head
    before, *behind = LENGTH.split(head)[::2]
    once = b"" if chunked else b"\nContent-Length: " + lengths[0] + b"\r"
    return before + once + b"".join(behind)


def values(header: re.Pattern[bytes], head: bytes) -> list[bytes]:
    """Return a header's values from all of its lines; only spaces and tabs may surround a value (RFC 9110, 5.5)."""
    return [said.removesuffix(b"\r").strip(b" \t") for said in header.findall(head)]


class Connector(aiohttp.TCPConnector):
    """Reads replies with `Protocol`, and does not reuse a connection on which data has come that nobody asked for.

    `proxy_tls` is for an https:// proxy: aiohttp would offer it the client certificate that is for the backend.
    """

    def __init__(self, proxy_tls: ssl.SSLContext | None, **options: Any) -> None:
        super().__init__(**options)
        self._proxy_tls = proxy_tls
        protocol: type[ResponseHandler] = Protocol
        self._factory = partial(protocol, loop=self._loop)  # no public switch; tests count connections at the socket

    async def _get(self, key: ConnectionKey, traces: list[Trace]) -> Connection | None:
        while (kept := await super()._get(key, traces)) is not None:
            if kept.protocol is None or not kept.protocol.should_close:
                return kept
            kept.close()  # the next call would read it
        return None

    def _update_proxy_auth_header_and_build_proxy_req(self, req: ClientRequest) -> ClientRequest:
        to_proxy = super()._update_proxy_auth_header_and_build_proxy_req(req)
        to_proxy._ssl = self._proxy_tls or True  # noqa: SLF001 - no public switch; a test looks at what the proxy is shown
        return to_proxy


class AiohttpTransport:
    """HTTP/1.1 by aiohttp, which by default would resend a GET or DELETE when a kept-alive connection drops.

    MRS and Sahara cancel by GET. A slow drip outlasts aiohttp's own timeouts, so none are set. Through a `proxy`, https
    takes a tunnel (CONNECT) and http the absolute form; the proxy's own failures are no answer.
    Raises OSError for TLS files that are missing or do not match.
    """

    def __init__(self, tls: Tls = SYSTEM, proxy: Proxy | None = None) -> None:
        self._tls = tls_context(tls)
        self._proxy = yarl.URL(proxy.url) if proxy else None
        self.through = proxy.url.partition("://")[2] if proxy else ""
        self.to_proxy = proxy.authorization if proxy else ""
        # aiohttp's own `proxy_auth` would show the password in the repr of its errors.
        self._shown = {"Proxy-Authorization": self.to_proxy} if self.to_proxy else {}
        self._session: aiohttp.ClientSession | None = None

    async def exchange(self, call: Call, limit: int) -> Reply:
        """Make a call; see `Transport`."""
        reply = await self._answered(call)
        try:
            headers = headers_of(reply.raw_headers)
            body = Body(limit)
            while chunk := await reply.content.readany():
                body.add(chunk)
            return Reply(reply.status, headers, undone(body.raw, headers.get("content-encoding", ""), limit))
        finally:
            reply.close()  # a connection whose reply was read to its end is back in the pool by now

    async def exchange_head(self, call: Call, seconds: float) -> Reply:
        """Make a call whose answer is its status and headers, which must come within `seconds`.

        The body is ignored, so it can't invalidate the answer: one that is long, slow or broken only costs the
        connection. Raises TimeoutError, and what `exchange` raises before it reads a body.
        """
        async with asyncio.timeout(seconds):
            reply = await self._answered(call)
        try:
            with suppress(Exception):
                async with asyncio.timeout(REST_SECONDS):
                    rest = REST_BYTES
                    while rest > 0 and (chunk := await reply.content.readany()):
                        rest -= len(chunk)
            return Reply(reply.status, headers_of(reply.raw_headers))
        finally:
            reply.close()

    async def _answered(self, call: Call) -> aiohttp.ClientResponse:
        """Make a call; return its reply as soon as its head is whole, to be closed by the caller."""
        forwarded = self._proxy is not None and call.url.startswith("http://")
        try:
            reply = await self._open().request(
                call.method,
                yarl.URL(call.url, encoded=True),  # else yarl would undo escapes: %3D comes out as "="
                headers={**call.headers, **self._shown} if forwarded else call.headers,
                data=call.content or None,
                allow_redirects=False,
                proxy=self._proxy,
                proxy_headers=self._shown | TUNNEL_HEADERS,
            )
        except aiohttp.ClientHttpProxyError as error:
            raise CallUnanswered(self._no_tunnel(error.status)) from None
        except aiohttp.ClientConnectorError as error:
            if self._proxy is None or (error.host, error.port) != (self._proxy.raw_host, self._proxy.port):
                raise
            raise CallUnanswered(f"the proxy can't be used: {in_words(type(error).__name__)}") from error
        if forwarded and reply.status == PROXY_AUTHENTICATION:
            reply.close()
            raise CallUnanswered(self._no_tunnel(reply.status))
        return reply

    def _no_tunnel(self, status: int) -> str:
        if status != PROXY_AUTHENTICATION:
            return f"the proxy did not open a tunnel (HTTP {status})"
        if self._shown:
            return f"the proxy refuses the user or password of its URL (HTTP {status})"
        return f"the proxy requires a user and password (HTTP {status}): put both in the URL that proxy_env names"

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:  # not in __init__: aiohttp wants a running loop
            proxy_tls = tls_context(SYSTEM) if self._proxy and self._proxy.scheme == "https" else None
            self._session = aiohttp.ClientSession(
                connector=Connector(proxy_tls, limit=0, ssl=self._tls, keepalive_timeout=KEEP_ALIVE),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(),
                skip_auto_headers=("Content-Type",),  # a POST without a body would claim an octet stream
                auto_decompress=False,
                trust_env=False,
                max_line_size=MAX_HEADER,
                max_field_size=MAX_HEADER,
            )
            self._session._retry_connection = False  # noqa: SLF001 - no public switch; a test counts at the socket
        return self._session

    async def aclose(self) -> None:
        """Close all connections."""
        if self._session:
            await self._session.close()
