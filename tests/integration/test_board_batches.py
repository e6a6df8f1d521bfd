"""Batches on the board over a real Redis: their progress, and the orders about them."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis
from support.board import board, sent
from support.hostile import deceptions

from worker.protocol.batches import BatchOrder, BatchPart
from worker.store.batches import Batches
from worker.store.store import Store
from worker.store.transitions import Rejection

WITH_KEY = {"CANCELLER_BOARD_TOKEN": "0123456789abcdef"}
WORD = {"by": "ann", "reason": "the database is slow"}


@pytest.fixture
async def batches(redis: Redis) -> Batches:
    """One running batch of three members."""
    found = Batches(redis, "canceller")
    commands = [{"verb": "cancel", "backend": "ess", "job_id": str(number)} for number in range(3)]
    await found.take_part(BatchPart(batch_id="clean-up", part=1, parts=1, commands=commands))
    return found


async def test_a_batch_at_work_is_on_the_overview(redis_url: str, batches: Batches) -> None:
    assert batches
    async with board(redis_url) as browser:
        overview, all_of_them = await browser.html("/"), await browser.html("/batches")

    assert all("clean-up" in html and "3 waiting" in html for html in (overview, all_of_them))


@pytest.mark.parametrize(
    ("action", "more", "task", "said"),
    [
        ("pause", {}, "worker.batch_pause", {}),
        ("pause", {"hold": "yes"}, "worker.batch_pause", {"hold": True}),
        ("abort", {}, "worker.batch_abort", {}),
    ],
    ids=["pause", "pause and hold", "abort"],
)
async def test_an_order_is_sent_with_who_and_why(
    action: str,
    more: dict[str, str],
    task: str,
    said: dict[str, object],
    redis_url: str,
    batches: Batches,
    redis: Redis,
) -> None:
    assert batches
    async with board(redis_url, **WITH_KEY) as browser:
        await browser.sign_in()
        done = await browser.send(
            f"/batches/clean-up/{action}", {**WORD, **more}, page=f"/batches/clean-up?act={action}"
        )

    assert f"{action.capitalize()} is sent" in done.text
    assert await sent(redis) == [(task, {"id": "clean-up", **WORD, **said})]


async def test_a_pause_shows_who_and_why_and_offers_to_resume(redis_url: str, batches: Batches) -> None:
    await batches.carry_out(BatchOrder("batch_pause", "clean-up", "ann", "<b>slow</b>"))
    async with board(redis_url, **WITH_KEY) as browser:
        await browser.sign_in()
        html = await browser.html("/batches/clean-up?action=pause&order=x")

    assert "Pause has taken effect" in html
    assert "ann: &lt;b&gt;slow&lt;/b&gt;" in html
    assert "act=resume" in html
    assert "act=pause" not in html


async def test_an_order_that_is_rejected_says_why(redis_url: str, batches: Batches, store: Store) -> None:
    assert batches
    await store.reject(Rejection("order-1 ", "it is not paused", "{}", {"error": "it is not paused"}))
    async with board(redis_url) as browser:
        html = await browser.html("/batches/clean-up?action=resume&order=order-1")

    assert "Resume was rejected: it is not paused" in html


async def test_a_search_finds_a_batch(redis_url: str, batches: Batches) -> None:
    assert batches
    async with board(redis_url) as browser:
        html = await browser.html("/search?q=clean-up")

    assert "/batches/clean-up" in html


async def test_a_hostile_name_is_a_text(redis_url: str, redis: Redis) -> None:
    name = '"><script>\u202e/../x?y#z</script>'
    command = {"verb": "cancel", "backend": "ess", "job_id": "1"}
    await Batches(redis, "canceller").take_part(BatchPart(batch_id=name, part=1, parts=1, commands=[command]))
    async with board(redis_url, **WITH_KEY) as browser:
        await browser.sign_in()
        pages = [await browser.html("/"), await browser.html("/batches")]
        path = pages[1].partition('href="/batches/')[2].partition('"')[0]
        pages.append(await browser.html(f"/batches/{path}"))

    for page in pages:
        assert not deceptions(page)
        assert "<script>" not in page


async def test_an_unknown_batch_is_not_found(redis_url: str, redis: Redis) -> None:
    await redis.ping()
    async with board(redis_url) as browser:
        found = await browser.get("/batches/nope")

    assert found.status_code == 404
