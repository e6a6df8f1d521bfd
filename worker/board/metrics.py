"""The metrics of the whole deployment, as `canceller exporter` serves them."""

from __future__ import annotations

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from ..client import StoreUnavailable
from ..views.deployment_metrics import Counted
from .answers import turned_away
from .board import Board


async def metrics(request: Request) -> Response:
    """Answer a scrape; 503 while Redis can't be read."""
    board: Board = request.app.state.board
    if not board.may_read(request):
        return turned_away(request)
    try:
        totals = await board.totals.get()
    except TimeoutError:
        return PlainTextResponse("Redis could not be read in time\n", 503)
    except StoreUnavailable as error:
        return PlainTextResponse(f"{error}\n", 503)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(Counted(totals))
    encode, kind = choose_encoder(request.headers.get("accept", ""))
    return Response(encode(registry), headers={"content-type": kind})
