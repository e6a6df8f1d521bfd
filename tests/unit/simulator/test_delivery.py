"""What happens to the simulator's answer if the client has already gone."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
from aiohttp import test_utils, web

from worker.simulator import Fault
from worker.simulator.delivery import deliver
from worker.simulator.dispatch import Answer
from worker.simulator.wire import Reply


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", [None, "cut_body", "slow_drip"])
async def test_a_client_that_has_left_is_no_error(kind: str | None, caplog: pytest.LogCaptureFixture) -> None:
    async def answered_too_late(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        request.transport.abort()
        answer = Answer(Reply(200, b"{}"), Fault(kind) if kind else None)
        return await deliver(request, answer, asyncio.Event())

    app = web.Application()
    app.router.add_get("/", answered_too_late)
    async with test_utils.TestServer(app) as server, aiohttp.ClientSession() as client:
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await client.get(server.make_url("/"))

    assert not caplog.records
