"""Checks whether a worker could listen on `CANCELLER_HTTP`, or already does."""

from __future__ import annotations

import asyncio

import aiohttp

from ...settings.listen_address import ListenAddress
from .findings import Finding

PATIENCE = 2.0
WHAT = "CANCELLER_HTTP"
READY, NOT_READY = 200, 503


async def http_finding(address: ListenAddress) -> Finding:
    """Try to listen; if the address is taken, ask whether a worker listens there."""
    try:
        server = await asyncio.start_server(lambda *_: None, address.host, address.port)
    except OSError as error:
        return await _asked(address, error)
    server.close()
    await server.wait_closed()
    return Finding("ok", WHAT, f"a worker can listen on {address}")


async def _asked(address: ListenAddress, error: OSError) -> Finding:
    try:
        limit = aiohttp.ClientTimeout(total=PATIENCE)
        async with aiohttp.ClientSession(timeout=limit) as session, session.get(f"http://{address}/readyz") as reply:
            status, said = reply.status, (await reply.text())[:200].strip()
    except (aiohttp.ClientError, TimeoutError, ValueError):
        status, said = 0, ""
    if status == READY and said == "ok":
        return Finding("ok", WHAT, f"a worker listens on {address}, and takes commands in")
    if status == NOT_READY:
        return Finding("warning", WHAT, f"a worker listens on {address}, and takes no commands in: {said}")
    return Finding("wrong", WHAT, f"no worker can listen on {address}: {error.strerror or error}")
