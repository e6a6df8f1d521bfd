"""The default wire: aiohttp, with everything off that it does on its own."""

from __future__ import annotations

import ssl

import aiohttp
import yarl
from aiohttp.client_reqrep import ConnectionKey
from aiohttp.connector import Connection
from aiohttp.tracing import Trace

from worker.backends.base import Reply
from worker.backends.wire import KEEP_ALIVE, MAX_HEADER, Body, Call, headers_of


class Connector(aiohttp.TCPConnector):
    """Takes no kept connection on which something has come that nobody asked for: the next call would read it."""

    async def _get(self, key: ConnectionKey, traces: list[Trace]) -> Connection | None:
        while (kept := await super()._get(key, traces)) is not None:
            if kept.protocol is None or not kept.protocol.should_close:
                return kept
            kept.close()
        return None


class AiohttpWire:
    """HTTP/1.1 by aiohttp, which would send a GET or DELETE again when a kept-alive connection drops.

    MRS and Sahara cancel by GET. A slow drip outlasts aiohttp's own timeouts, so it has none.
    """

    def __init__(self, tls: ssl.SSLContext) -> None:
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None

    async def exchange(self, call: Call, limit: int, deadline: float) -> Reply:  # noqa: ARG002 - cancelled in time
        """Make a call; see `Wire`."""
        reply = await self._open().request(
            call.method,
            yarl.URL(call.url, encoded=True),  # else yarl would undo escapes: %3D comes out as "="
            headers=call.headers,
            data=call.content or None,
            allow_redirects=False,
        )
        try:
            headers = headers_of(reply.raw_headers)
            body = Body(limit)
            while chunk := await reply.content.readany():
                body.add(chunk)
            return Reply(reply.status, headers, body.whole(headers))
        finally:
            reply.close()  # a connection whose reply was read to its end is back in the pool by now

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:  # not in __init__: aiohttp wants a running loop
            self._session = aiohttp.ClientSession(
                connector=Connector(limit=0, ssl=self._tls, keepalive_timeout=KEEP_ALIVE),
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
