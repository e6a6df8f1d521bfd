"""The board's pages over a real Redis: what they show, and at what cost."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import uvicorn
from httpx import ASGITransport, AsyncClient
from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.routing import Mount
from support.board import board, hold_gate
from support.commands import FINISHED, claim_one, command, commit

from worker.board import app_for
from worker.board.live import PAGE
from worker.local.embedded_redis import Embedded
from worker.settings.environment import Settings
from worker.store.store import Store
from worker.store.transitions import Rejection

WITH_KEY = {"CANCELLER_PRODUCER": "ops", "CANCELLER_KEY": "k" * 48}


async def finish(store: Store) -> None:
    assert await store.commit(commit(await claim_one(store), "finish", facts=FINISHED)) == 1


async def test_an_empty_deployment_says_what_to_type_next(redis_url: str, redis: Redis) -> None:
    await redis.ping()
    async with board(redis_url) as browser:
        html = await browser.html("/")

    assert "No worker is running" in html
    assert "canceller up" in html


async def test_a_held_gate_shows_each_condition_with_its_evidence(redis_url: str, store: Store) -> None:
    await hold_gate(store, "300100", reason="over budget", requested_by="billing")
    async with board(redis_url, **WITH_KEY) as browser:
        html = await browser.html("/")

    assert all(text in html for text in ("seen in CANCELLING", "nobody has given their word", "over budget", "billing"))
    assert "Attest" in html


async def test_backends_count_what_is_open_by_state(redis_url: str, store: Store) -> None:
    await hold_gate(store, "300100")
    await store.accept_all([command(str(number), f"d-{number}") for number in range(7)])
    async with board(redis_url) as browser:
        html = await browser.html("/")

    assert ">7</a>" in html
    assert "state=accepted" in html
    assert "state=force_held" in html


async def test_what_ends_leaves_the_board_with_the_next_reading(redis_url: str, store: Store) -> None:
    await store.accept(command("300100"))
    async with board(redis_url) as browser:
        assert "300100" in await browser.html("/open")
        await finish(store)
        async with asyncio.timeout(60):
            while "300100" in await browser.html("/open"):
                await browser.app.board.feed.next_tick(5)  # type: ignore[union-attr]


async def test_a_page_of_a_cancellation_has_its_events_and_its_words(redis_url: str, store: Store) -> None:
    found = await hold_gate(store, "300100", reason="over budget")
    async with board(redis_url) as browser:
        html = await browser.html(f"/cancellations/{found}")

    assert html.count('<line class="mark"') == 2
    assert "nobody has given their word" in html
    assert "cancel sent at" in html
    assert "canceller attest" in html


async def test_a_finished_one_says_how_it_ended_and_offers_no_action(redis_url: str, store: Store) -> None:
    found = (await store.accept(command("300100"))).cancellation_id
    await finish(store)
    async with board(redis_url, **WITH_KEY) as browser:
        html = await browser.html(f"/cancellations/{found}")

    assert "Ended as" in html
    assert "act=attest" not in html


async def test_an_unknown_cancellation_is_not_found(redis_url: str, redis: Redis) -> None:
    await redis.ping()
    async with board(redis_url) as browser:
        found = await browser.get("/cancellations/nope")

    assert found.status_code == 404
    assert "nope" in found.text


async def test_an_action_that_is_rejected_says_why(redis_url: str, store: Store) -> None:
    found = await hold_gate(store, "300100")
    async with board(redis_url, **WITH_KEY) as browser:
        page = f"/cancellations/{found}?act=release"
        sent = await browser.send(f"/cancellations/{found}/release", {"by": "ann", "reason": "done"}, page=page)
        order = dict(sent.url.params)["order"]
        await store.reject(
            Rejection(f"{order} ", "it is not held", "{}", {"error": "it is not held", "command_id": order})
        )
        await browser.app.board.feed.next_tick(5)  # type: ignore[union-attr]
        html = await browser.html(str(sent.url.raw_path.decode()))

    assert "The release was rejected: it is not held" in html


@pytest.mark.parametrize("query", ["300100", "c-300100", "clean-up"], ids=["job", "command", "batch"])
async def test_a_search_finds_by_job_command_and_batch(query: str, redis_url: str, store: Store) -> None:
    found = await hold_gate(store, "300100", batch_id="clean-up")
    await store.accept(command("7", "other"))
    async with board(redis_url) as browser:
        page = await browser.get(f"/search?q={query}")

    assert page.url.path == f"/cancellations/{found}"


async def test_a_search_finds_what_has_ended(redis_url: str, store: Store) -> None:
    found = (await store.accept(command("300100"))).cancellation_id
    await finish(store)
    async with board(redis_url) as browser:
        page = await browser.get("/search?q=300100")

    assert page.url.path == f"/cancellations/{found}"


async def test_dead_letters_are_shown_newest_first_a_page_at_a_time(redis_url: str, redis: Redis) -> None:
    for index in range(PAGE + 2):
        await redis.xadd("{canceller}:dead", {"reason": f"reason {index:03}", "raw": "{}", "mark": "m "})
    async with board(redis_url) as browser:
        first = await browser.html("/dead-letters")
        older = first.partition('rel="next"')[0].rpartition('href="')[2].partition('"')[0]
        second = await browser.html(older)

    assert first.index("reason 051") < first.index("reason 050")
    assert "reason 001" not in first
    assert "reason 001" in second
    assert "reason 002" not in second


async def test_an_open_breaker_is_shown_with_its_failures(redis_url: str, store: Store, redis: Redis) -> None:
    await store.accept(command("300100"))
    pause = {"fails": 12, "open": 1, "until": (time.time() + 600) * 1000}
    await redis.hset("{canceller}:breaker:ess", mapping=pause)  # type: ignore[misc]
    async with board(redis_url) as browser:
        html = await browser.html("/")

    assert "after 12 failures in a row" in html


async def test_a_redis_that_is_gone_is_said_beside_what_was_known(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        with Embedded(tmp_path / "redis") as embedded:
            store = Store(Redis.from_url(embedded.url), "canceller")
            stack.push_async_callback(store.aclose)
            await store.accept(command("300100"))
            browser = await stack.enter_async_context(board(embedded.url))
            assert "what is shown dates from" not in await browser.html("/open")
        async with asyncio.timeout(60):
            while "what is shown dates from" not in (html := await browser.html("/")):
                await browser.app.board.feed.next_tick(5)  # type: ignore[union-attr]

    assert ">1</a>" in html


async def met(lines: AsyncIterator[str], text: str) -> None:
    """Read on until a line contains a text."""
    async for line in lines:
        if text in line:
            return
    raise AssertionError(f"the stream has ended without {text!r}")


@pytest.mark.parametrize(
    ("path", "status", "said"),
    [
        ("/stream/cancellation", 400, "without a parameter id"),
        ("/stream/cancellation?id=", 400, "without a parameter id"),
        ("/stream/batch", 400, "without a parameter id"),
        ("/stream/nothing", 404, "no such stream"),
    ],
)
async def test_a_stream_of_nothing_is_turned_away_in_plain_words(
    path: str, status: int, said: str, redis_url: str, redis: Redis
) -> None:
    await redis.ping()
    async with board(redis_url) as browser:
        found = await browser.get(path)

    assert (found.status_code, said in found.text) == (status, True)


@pytest.mark.parametrize("path", ["/login", "/logout", "/cancellations/x/abort", "/batches/x/pause"])
async def test_a_form_with_too_many_fields_is_turned_away_in_plain_words(
    path: str, redis_url: str, redis: Redis
) -> None:
    await redis.ping()
    async with board(redis_url, **WITH_KEY) as browser:
        found = await browser.send(path, {f"field{number}": "1" for number in range(60)})

    assert (found.status_code, found.text) == (400, "a form of this board has 50 fields at most\n")


async def test_a_stream_sends_what_has_changed(redis_url: str, store: Store) -> None:
    async with board(redis_url) as browser:
        server = uvicorn.Server(uvicorn.Config(browser.app, port=0, log_config=None, lifespan="off"))
        serving = asyncio.create_task(server.serve())
        try:
            async with asyncio.timeout(60):
                while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
                    await asyncio.sleep(0.01)
                port = server.servers[0].sockets[0].getsockname()[1]
                async with AsyncClient() as http, http.stream("GET", f"http://127.0.0.1:{port}/stream/open") as stream:
                    lines = stream.aiter_lines()
                    await met(lines, "Nothing is open here")
                    await store.accept(command("300100"))
                    await met(lines, "300100")
                    browser.app.close()
                    assert [line async for line in lines][-1] == ""
        finally:
            server.should_exit = True
            await serving


async def test_ten_thousand_open_ones_are_counted_and_listed_in_bounded_steps(
    redis_url: str, store: Store, redis: Redis
) -> None:
    for start in range(0, 10_000, 1000):
        await store.accept_all([command(str(number), f"d-{number}") for number in range(start, start + 1000)])
    await redis.config_resetstat()
    async with board(redis_url) as browser:
        html = await browser.html("/")
        last = await browser.html("/open?page=200")
        beyond = await browser.html("/open?page=99999")
    used = await redis.info("commandstats")

    assert ">10000</a>" in html
    assert "page 200 of 200, 10000 in all" in last
    assert "page 200 of 200" in beyond
    assert not {"cmdstat_keys", "cmdstat_hgetall", "cmdstat_hvals", "cmdstat_smembers|open"} & set(used)
    assert used["cmdstat_hscan"]["calls"] >= 10


async def test_many_browsers_share_one_reader(redis_url: str, store: Store, redis: Redis) -> None:
    await store.accept_all([command(str(number), f"d-{number}") for number in range(100)])
    async with board(redis_url) as browser:
        await browser.html("/")
        await redis.config_resetstat()
        await asyncio.gather(*(browser.html("/") for _ in range(50)))
        used = await redis.info("commandstats")
        ticks = browser.app.board.feed.tick  # type: ignore[union-attr]

    assert used.get("cmdstat_hscan", {"calls": 0})["calls"] <= 2 * ticks


async def test_the_metrics_of_the_deployment_are_those_of_the_exporter(redis_url: str, store: Store) -> None:
    await store.accept(command("300100"))
    async with board(redis_url) as browser:
        found = await browser.get("/metrics")

    assert found.headers["content-type"].startswith("text/plain")
    assert 'canceller_open{backend="ess",lane="interactive",state="unseen"} 1.0' in found.text
    assert "canceller_workers 0.0" in found.text


async def test_a_mounted_board_keeps_to_its_path(redis_url: str, store: Store) -> None:
    found = await hold_gate(store, "300100")
    mounted = app_for(Settings.load({"REDIS_URL": redis_url, **WITH_KEY}), hosts=["ops.example.com"])
    host = Starlette(routes=[Mount("/canceller", mounted)])
    async with AsyncClient(transport=ASGITransport(host), base_url="http://ops.example.com") as http:
        pages = [(await http.get(path)).text for path in ("/canceller/", f"/canceller/cancellations/{found}?act=hold")]
        style = await http.get(re.findall(r'href="([^"]+board.css[^"]*)"', pages[0])[0])
    assert mounted.board
    await mounted.board.aclose()

    links = re.findall(r'(?:href|src|action|hx-sse:connect)="([^"#]*)"', "".join(pages))
    assert style.status_code == 200
    assert links
    assert all(link.startswith("/canceller/") for link in links), links
