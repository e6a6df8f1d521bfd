"""Adapts any httpx transport, such as `httpx.MockTransport`, to our `Transport`."""

from __future__ import annotations

import httpx

from worker.backends.adapter import Reply
from worker.http.content_coding import undone
from worker.http.transport import Body, Call, headers_of


class HttpxTransport:
    """Makes each call through an httpx transport; see `Transport`."""

    through = ""

    def __init__(self, transport: httpx.AsyncBaseTransport, to_proxy: str = "") -> None:
        self._transport = transport
        self.to_proxy = to_proxy

    async def exchange(self, call: Call, limit: int) -> Reply:
        """Make a call through the transport."""
        request = httpx.Request(call.method, call.url, headers=call.headers, content=call.content or None)
        response = await self._transport.handle_async_request(request)
        try:
            headers = headers_of(response.headers.raw)
            body = Body(limit)
            assert isinstance(response.stream, httpx.AsyncByteStream)
            async for chunk in response.stream:
                body.add(chunk)
            return Reply(response.status_code, headers, undone(body.raw, headers.get("content-encoding", ""), limit))
        finally:
            await response.aclose()

    async def aclose(self) -> None:
        """Close the transport."""
        await self._transport.aclose()
