"""`exporter`: the metrics of the whole deployment."""

from __future__ import annotations

from typing import Annotated

import typer
from aiohttp import web
from prometheus_client import CollectorRegistry
from prometheus_client.aiohttp import make_aiohttp_handler

from ...aio.cached import Cached
from ...domain.errors import StoreUnavailable
from ...observability.endpoint import Endpoint, plain
from ...runtime.deployment import totals_of
from ...settings.environment import Settings
from ...settings.listen_address import ListenAddress
from ...store.redis_client import connect
from ...views.deployment_metrics import Counted
from ..options import Json
from ..output import Output
from ..signals import until_stopped

FOR_SECONDS = 5.0
"""Seconds for which the same counts are served again."""
PATIENCE = 8.0
"""Seconds that a scrape waits for the first count; Prometheus waits for 10."""


def listen_address(text: str) -> ListenAddress:
    """Read where to listen."""
    try:
        return ListenAddress.parse(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r} {error}") from None


async def exporter(
    *,
    listen: Annotated[
        ListenAddress,
        typer.Option(
            "--listen", parser=listen_address, metavar="HOST:PORT", help="Where to listen; port 0 picks a free one."
        ),
    ],
    json: Json = False,
) -> None:
    """Serve the metrics of the whole deployment to Prometheus, at /metrics. One is enough for all workers.

    It reads Redis when it is asked, every few seconds at most, and needs no backends file. While Redis can't be read
    it answers 503.

    canceller exporter --listen 127.0.0.1:9090

    canceller exporter --listen 0.0.0.0:9090 --json
    """
    output, settings = Output(as_json=json), Settings.load().discovered()
    redis = connect(settings)
    counted = Cached(lambda: totals_of(settings, redis), for_seconds=FOR_SECONDS, patience=PATIENCE)

    async def metrics(request: web.Request) -> web.StreamResponse:
        try:
            totals = await counted.get()
        except TimeoutError:
            return plain(f"Redis could not be read in {PATIENCE:g} s", 503)
        except StoreUnavailable as error:
            return plain(str(error), 503)
        registry = CollectorRegistry(auto_describe=False)
        registry.register(Counted(totals))
        return await make_aiohttp_handler(registry)(request)

    endpoint = Endpoint("--listen", listen, {"/metrics": metrics})
    try:
        await endpoint.start()
        url = f"http://{endpoint.address}/metrics"
        if output.json:
            output.object({"url": url})
        else:
            output.line(f"the exporter listens on {url}")
        await until_stopped()
    finally:
        await endpoint.stop()
        await counted.aclose()
        await redis.aclose()
