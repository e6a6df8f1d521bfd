"""Access to the board: who may read, who may act, and what is refused."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis
from support.board import ORIGIN, TOKEN, board, hold_gate, sent
from support.hostile import corpus, deceptions

from worker.board.guard import HEADERS
from worker.board.sessions import Session
from worker.store.store import Store

WITH_TOKEN = {"CANCELLER_BOARD_TOKEN": TOKEN}
WITH_KEY = {"CANCELLER_PRODUCER": "ops", "CANCELLER_KEY": "k" * 48}
WORD = {"by": "ann", "reason": "seen dead"}
PAGES = ["/", "/open", "/dead-letters", "/search?q=1", "/cancellations/c1", "/stream/overview", "/metrics"]


async def test_without_a_token_and_a_key_it_is_read_only(redis_url: str, store: Store, redis: Redis) -> None:
    found = await hold_gate(store, "300100")
    async with board(redis_url) as browser:
        html = await browser.html("/")
        page = await browser.html(f"/cancellations/{found}")
        refused = await browser.send(f"/cancellations/{found}/attest", {**WORD, "form_token": "x"})

    assert "300100" in html
    assert "Attest" not in html + page
    assert "read-only" in html
    assert refused.status_code == 403
    assert await sent(redis) == []


@pytest.mark.parametrize("path", PAGES)
async def test_with_a_token_nobody_reads_without_it(path: str, redis_url: str, redis: Redis) -> None:
    await redis.ping()
    async with board(redis_url, **WITH_TOKEN) as browser:
        asked = await browser.get(path)
        wanted = await browser.http.get(path, headers={"accept": "application/json"})

    assert "token" in asked.text.lower()
    assert asked.url.path in {"/login", path}
    assert wanted.status_code in {401, 404}


async def test_whoever_shows_the_token_may_act(redis_url: str, store: Store, redis: Redis) -> None:
    found = await hold_gate(store, "300100")
    async with board(redis_url, **WITH_TOKEN) as browser:
        signed_in = await browser.sign_in()
        done = await browser.send(f"/cancellations/{found}/attest", WORD, page=f"/cancellations/{found}?act=attest")

    assert "Attest" in signed_in.text
    assert "The attestation is sent" in done.text
    assert await sent(redis) == [("worker.attest", {"id": found, **WORD})]


async def test_a_wrong_token_lets_nobody_in(redis_url: str, redis: Redis) -> None:
    await redis.ping()
    async with board(redis_url, **WITH_TOKEN) as browser:
        refused = await browser.sign_in("0123456789abcdeg")
        after = await browser.get("/")

    assert refused.status_code == 403
    assert after.url.path == "/login"


async def test_a_token_in_the_request_reads(redis_url: str, redis: Redis) -> None:
    await redis.ping()
    async with board(redis_url, **WITH_TOKEN) as browser:
        found = await browser.get("/", authorization=f"Bearer {TOKEN}")
        refused = await browser.get("/", authorization="Bearer 0123456789abcdeg")

    assert "Backends" in found.text
    assert refused.url.path == "/login"


async def test_signing_out_ends_it(redis_url: str, redis: Redis) -> None:
    await redis.ping()
    async with board(redis_url, **WITH_TOKEN) as browser:
        await browser.sign_in()
        await browser.send("/logout", {})
        after = await browser.get("/")

    assert after.url.path == "/login"


async def test_with_a_key_actions_are_signed(redis_url: str, store: Store, redis: Redis) -> None:
    found = await hold_gate(store, "300100")
    async with board(redis_url, **WITH_KEY) as browser:
        await browser.send(
            f"/cancellations/{found}/hold", {**WORD, "for": "2h"}, page=f"/cancellations/{found}?act=hold"
        )
    ((task, fields),) = await sent(redis)

    assert (task, fields["for"]) == ("worker.hold", 7200.0)
    assert len(fields["token"].split(".")) == 3


@pytest.mark.parametrize(
    ("fields", "headers"),
    [
        ({"form_token": ""}, {}),
        ({"form_token": "0" * 64}, {}),
        ({}, {"origin": "http://evil.example"}),
        ({}, {"origin": "null"}),
        ({}, {"sec_fetch_site": "cross-site"}),
        ({}, {"host": "evil.example"}),
        ({"reason": "x" * 100_000}, {}),
    ],
    ids=[
        "no form token",
        "a made-up form token",
        "a foreign origin",
        "a hidden origin",
        "another site",
        "a rebound name",
        "a flood",
    ],
)
async def test_what_is_not_our_own_form_sends_nothing(
    fields: dict[str, str], headers: dict[str, str], redis_url: str, store: Store, redis: Redis
) -> None:
    found = await hold_gate(store, "300100")
    async with board(redis_url, **WITH_TOKEN) as browser:
        await browser.sign_in()
        act = f"/cancellations/{found}?act=abort"
        refused = await browser.send(f"/cancellations/{found}/abort", {**WORD, **fields}, page=act, **headers)

    assert refused.status_code in {403, 421}
    assert await sent(redis) == []


async def test_a_form_of_another_browser_is_refused(redis_url: str, store: Store, redis: Redis) -> None:
    found = await hold_gate(store, "300100")
    async with board(redis_url, **WITH_KEY) as browser:
        await browser.get("/")
        assert browser.app.board
        token = browser.app.board.sessions.form_token(Session("of another browser"))
        refused = await browser.http.post(
            f"/cancellations/{found}/abort", data={**WORD, "form_token": token}, headers={"origin": ORIGIN}
        )

    assert refused.status_code == 403
    assert await sent(redis) == []


@pytest.mark.parametrize("path", ["/", "/cancellations/none", "/static/board.css", "/nowhere", "/login"])
async def test_every_answer_says_what_a_browser_may_do_with_it(path: str, redis_url: str, redis: Redis) -> None:
    await redis.ping()
    async with board(redis_url) as browser:
        found = await browser.get(path)

    assert {name: found.headers[name] for name in HEADERS} == dict(HEADERS)


async def test_hostile_texts_are_shown_as_texts_in_every_field(redis_url: str, store: Store, redis: Redis) -> None:
    texts = ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ 7 * 7 }}", *corpus(60)]
    for index, text in enumerate(texts):
        await hold_gate(store, f"job-{index}", reason=text, labels={"a": text})
        await redis.xadd("{canceller}:dead", {"reason": text, "raw": text, "mark": f"{text} x"})
    async with board(redis_url, **WITH_KEY) as browser:
        pages = [await browser.html(path) for path in ("/", "/?page=2", "/open", "/open?page=2", "/dead-letters")]
        pages += [(await browser.http.get("/search", params={"q": text})).text for text in texts[:20]]
        for row in list(browser.app.board.feed.rows)[:10]:  # type: ignore[union-attr]
            pages.append(await browser.html(f"/cancellations/{row}"))

    for page in pages:
        assert not deceptions(page)
        assert "<script>" not in page
        assert "<img" not in page
