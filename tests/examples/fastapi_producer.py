"""Cancel jobs from a FastAPI service, which has one client for all its requests."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException, Request

from worker.client import AsyncClient, BrokerUnavailable, InvalidCommand, Rejected, UnknownCancellation


@asynccontextmanager
async def lifespan(_: FastAPI) -> AsyncIterator[dict[str, AsyncClient]]:
    """Keep one client open for as long as the service runs."""
    async with aclosing(AsyncClient.from_env()) as client:
        yield {"client": client}


def client_of(request: Request) -> AsyncClient:
    """Return the service's client."""
    client: AsyncClient = request.state.client
    return client


app = FastAPI(lifespan=lifespan)
ServiceClient = Annotated[AsyncClient, Depends(client_of)]


@app.post("/jobs/{job_id}/cancel", status_code=202)
async def cancel(job_id: str, client: ServiceClient) -> dict[str, str]:
    """Ask for a job to be stopped; answer at once."""
    try:
        sent = await client.cancel("ess", job_id, reason="asked for on the website")
    except InvalidCommand as error:
        raise HTTPException(422, str(error)) from error
    except BrokerUnavailable as error:
        raise HTTPException(503, "try again in a moment") from error
    return {"command_id": sent.command_id}


@app.get("/cancellations/{command_id}")
async def show(command_id: str, client: ServiceClient) -> dict[str, str]:
    """Say what has become of a command."""
    try:
        known = await client.get(command_id)
    except UnknownCancellation as error:
        raise HTTPException(404, "not taken in yet, or never sent") from error
    except Rejected as error:
        return {"state": "rejected", "detail": str(error)}
    return {"state": known.record.outcome or "open"}
