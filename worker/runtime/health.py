"""What a worker answers on `CANCELLER_HTTP`: whether it lives, whether it takes commands in, and its metrics."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.aiohttp import make_aiohttp_handler

from ..domain.errors import StoreUnavailable
from ..observability.endpoint import Endpoint, plain
from ..settings.listen_address import ListenAddress
from ..store.store import Store

PATIENCE = 2.0
"""Seconds within which Redis must answer."""


def endpoint_of(
    address: ListenAddress, store: Store, registry: CollectorRegistry, not_taking_in: Callable[[], str]
) -> Endpoint:
    """Return what serves one worker; `not_taking_in` says why no commands are taken in, or nothing if they are."""

    async def healthz(_: web.Request) -> web.Response:
        return plain("ok")  # a loop that hangs does not get here

    async def readyz(_: web.Request) -> web.Response:
        try:
            async with asyncio.timeout(PATIENCE):
                await store.times()
        except TimeoutError:
            problem = f"Redis did not answer within {PATIENCE:g} s"
        except StoreUnavailable as error:
            problem = str(error)
        else:
            problem = not_taking_in()
        return plain(problem, 503) if problem else plain("ok")

    routes = {"/metrics": make_aiohttp_handler(registry), "/healthz": healthz, "/readyz": readyz}
    return Endpoint("CANCELLER_HTTP", address, routes)
