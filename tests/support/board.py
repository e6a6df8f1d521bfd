"""A board over a real Redis, and the data that its tests put there."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from httpx import ASGITransport, AsyncClient, Response
from redis.asyncio import Redis
from support.commands import LATER, claim_one, command, commit

from worker.board import BoardApp, app_for
from worker.domain.cancellation import Progress, Sent
from worker.domain.event_drafts import EventDraft
from worker.domain.model import AnswerKind, JobState
from worker.settings.environment import Settings
from worker.store.store import Store

TOKEN = "0123456789abcdef"
ORIGIN = "http://127.0.0.1:8590"
GATE = {
    "in_cancelling": {"met": True, "evidence": "seen in CANCELLING"},
    "remote_stopped": {"met": False, "evidence": "nobody has given their word"},
}


class Browser:
    """A client that behaves like a browser: it keeps cookies, follows redirects and sends the origin of its forms."""

    def __init__(self, app: BoardApp) -> None:
        self.app = app
        self.http = AsyncClient(
            transport=ASGITransport(app),
            base_url=ORIGIN,
            follow_redirects=True,
            headers={"accept": "text/html"},
        )

    async def get(self, path: str, **headers: str) -> Response:
        return await self.http.get(path, headers={name.replace("_", "-"): value for name, value in headers.items()})

    async def html(self, path: str) -> str:
        found = await self.get(path)
        assert found.status_code == 200, found.text
        return found.text

    async def send(self, path: str, fields: Mapping[str, str], page: str = "/", **headers: str) -> Response:
        """Send a form with the token of a page."""
        token = re.search(r'name="form_token" value="(\w+)"', (await self.get(page)).text)
        whole = {**({"form_token": token[1]} if token else {}), **fields}
        told = {"origin": ORIGIN, "sec-fetch-site": "same-origin"} | headers
        return await self.http.post(
            path, data=whole, headers={key.replace("_", "-"): value for key, value in told.items()}
        )

    async def sign_in(self, token: str = TOKEN) -> Response:
        return await self.send("/login", {"token": token}, page="/login")


@asynccontextmanager
async def board(redis_url: str, **variables: str) -> AsyncIterator[Browser]:
    """Serve a board without a socket; `variables` are its environment."""
    app = app_for(Settings.load({"REDIS_URL": redis_url, **variables}))
    browser = Browser(app)
    try:
        yield browser
    finally:
        await browser.http.aclose()
        if app.board is not None:
            await app.board.aclose()


async def hold_gate(store: Store, job_id: str, **fields: Any) -> str:
    """Bring a cancellation to the point where its force step is held."""
    found = (await store.accept(command(job_id, f"c-{job_id}", **fields))).cancellation_id
    one = await claim_one(store)
    at = one.record.cancellation.accepted_at
    progress = Progress(
        sent={"cancel": Sent(at, at, AnswerKind.ACCEPTED, accepted=True)},
        looks=3,
        looked_at=at,
        state=JobState.CANCELLING,
        raw="CANCELLING",
        held=(f"{job_id}+remote_stopped",),
        next="look again",
    )
    facts = (EventDraft("force_held", {"gate": GATE, "target_job_id": job_id}),)
    assert await store.commit(commit(one, "wait", progress=progress, facts=facts, due=LATER)) == 1
    return found


async def sent(redis: Redis) -> list[tuple[str, dict[str, Any]]]:
    """Return the tasks in the queue with their keyword arguments, the oldest first."""
    messages = [json.loads(one) for one in await redis.lrange("commands", 0, -1)]
    return [(one["headers"]["task"], json.loads(base64.b64decode(one["body"]))[1]) for one in reversed(messages)]
