"""Sends answers as bytes on a socket, with the faults that only a socket can show."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from .dispatch import Answer
    from .faults import Fault
    from .wire import Reply

    Spoiler = Callable[[web.Request, Reply, Fault, asyncio.Event], Awaitable[web.StreamResponse]]

_EMPTY = frozenset({204, 304})


async def deliver(request: web.Request, answer: Answer, closing: asyncio.Event) -> web.StreamResponse:
    """Send an answer, or what its fault makes of it."""
    spoil = _SPOILERS.get(answer.fault.kind) if answer.fault else None
    if spoil is None or answer.fault is None:
        return plain(answer.reply)
    try:
        return await spoil(request, answer.reply, answer.fault, closing)
    except ConnectionError:
        # The client has left. aiohttp logs an error raised by a handler with a traceback, but not an unread answer.
        return await _cut(request, answer.reply, answer.fault, closing)


def plain(reply: Reply) -> web.Response:
    """Build the response of a reply that arrives whole."""
    headers = dict(reply.headers)
    if reply.body:
        headers["Content-Type"] = reply.content_type
    return web.Response(status=reply.http, body=reply.body if reply.http not in _EMPTY else None, headers=headers)


async def _cut(request: web.Request, reply: Reply, _fault: Fault, _closing: asyncio.Event) -> web.StreamResponse:
    if request.transport is not None:
        request.transport.abort()
    return plain(reply)


async def _hang(request: web.Request, reply: Reply, fault: Fault, closing: asyncio.Event) -> web.StreamResponse:
    await closing.wait()
    return await _cut(request, reply, fault, closing)


async def _cut_body(request: web.Request, reply: Reply, fault: Fault, closing: asyncio.Event) -> web.StreamResponse:
    response = await _begun(request, reply)
    await response.write(reply.body[: len(reply.body) // 2])
    await _cut(request, reply, fault, closing)
    return response


async def _slow_drip(request: web.Request, reply: Reply, fault: Fault, closing: asyncio.Event) -> web.StreamResponse:
    response = await _begun(request, reply)
    for byte in reply.body:
        await response.write(bytes([byte]))
        await asyncio.wait([pause := asyncio.ensure_future(closing.wait())], timeout=fault.gap)
        pause.cancel()
    return response


async def _begun(request: web.Request, reply: Reply) -> web.StreamResponse:
    response = web.StreamResponse(status=reply.http, headers={**reply.headers, "Content-Type": reply.content_type})
    response.content_length = len(reply.body)
    await response.prepare(request)
    return response


_SPOILERS: dict[str, Spoiler] = {
    "lost_answer": _cut,
    "reset": _cut,
    "hang": _hang,
    "cut_body": _cut_body,
    "slow_drip": _slow_drip,
}
