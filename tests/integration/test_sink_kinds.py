"""What each kind of sink sends, and what it makes of the answers."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from celery import Celery
from redis import Redis as SyncRedis
from support.certificates import Authority
from support.http_recorder import SOON, says, wiretap
from support.webhooks import SECRET, body, deliver, receiving

from worker.domain.errors import CallUnanswered, CancellerError
from worker.http.tls import Tls
from worker.sinks.celery_task import CeleryTask
from worker.sinks.receiver import Message
from worker.sinks.stdout import StandardOutput
from worker.sinks.tries import Failure
from worker.sinks.webhook import Webhook

EVENT = body("c", 1)
BASE64 = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ"


@pytest.mark.parametrize(
    ("secrets", "key"),
    [
        pytest.param([SECRET], SECRET, id="with-its-prefix"),
        pytest.param(["my plain secret"], b"my plain secret", id="plain"),
        pytest.param([BASE64], BASE64, id="plain-base64-as-the-library-reads-it"),
        pytest.param([BASE64], BASE64.encode(), id="plain-base64-as-it-is"),
        pytest.param(["old", SECRET], SECRET, id="the-new-one-while-they-change"),
        pytest.param(["old", SECRET], b"old", id="the-old-one-while-they-change"),
    ],
)
async def test_the_library_verifies_what_a_webhook_sends(secrets: list[str], key: str | bytes) -> None:
    async with receiving(secret=key) as receiver:
        webhook = Webhook(receiver.url, secrets)
        assert await deliver(webhook, "c-1", EVENT) is None
        await webhook.aclose()

    assert receiver.ids == ["c-1"]


@pytest.mark.parametrize(
    ("event_id", "sent"),
    [
        pytest.param("0198f-7", "0198f-7", id="of-a-cancellation"),
        pytest.param("april, 2026-1", "april, 2026-1", id="ascii"),
        pytest.param("märz-1", "m%C3%A4rz-1", id="not-ascii"),
        pytest.param(" b-1", "%20b-1", id="with-a-space-in-front"),
        pytest.param("b\n-1", "b%0A-1", id="with-a-line-break"),
    ],
)
async def test_an_id_is_sent_as_a_header_carries_it(event_id: str, sent: str) -> None:
    async with receiving() as receiver:
        webhook = Webhook(receiver.url, [SECRET])
        assert await deliver(webhook, event_id, json.dumps({"id": event_id}).encode()) is None
        await webhook.aclose()

    assert [request.headers["webhook-id"] for request in receiver.requests] == [sent]


async def test_another_secret_verifies_nothing() -> None:
    async with receiving() as receiver:
        webhook = Webhook(receiver.url, ["another secret"])
        assert await deliver(webhook, "c-1", EVENT) == Failure("it answered 500")
        await webhook.aclose()

    assert receiver.ids == []


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        pytest.param(web.Response(status=202, text="thanks"), None, id="taken"),
        pytest.param(
            web.Response(status=307, headers={"Location": "/other?key=hunter2"}),
            Failure("it answered 307; redirects are not followed: give the sink the URL that it leads to"),
            id="redirected",
        ),
        pytest.param(web.Response(status=410), Failure("it answered 410", refused=True), id="gone"),
        pytest.param(
            web.Response(status=410, headers={"Retry-After": "7"}),
            Failure("it answered 410", refused=True, retry_after=7.0),
            id="gone-but-ask-later",
        ),
        pytest.param(
            web.Response(status=429, headers={"Retry-After": "7"}),
            Failure("it answered 429", retry_after=7.0),
            id="too-many",
        ),
        pytest.param(
            web.Response(status=503, body=b"x" * 2_000_000, headers={"Retry-After": "7"}),
            Failure("it answered 503", retry_after=7.0),
            id="busy-with-a-long-body",
        ),
        pytest.param(
            web.Response(status=503, headers={"Retry-After": "7"}),
            Failure("it answered 503", retry_after=7.0),
            id="busy",
        ),
    ],
)
async def test_an_answer_has_its_meaning(answer: web.Response, failure: Failure | None) -> None:
    async with receiving(lambda _event, _count: answer) as receiver:
        webhook = Webhook(receiver.url, [SECRET])
        assert await deliver(webhook, "c-1", EVENT) == failure
        await webhook.aclose()

    assert len(receiver.requests) == 1


CHUNKED = b"Transfer-Encoding: chunked"


def answered(*lines: bytes, body: bytes = b"", status: bytes = b"200 OK") -> bytes:
    return b"\r\n".join((b"HTTP/1.1 " + status, *lines, b"", body))


@pytest.mark.parametrize("apart", [False, True], ids=["in-one-piece", "after-its-head"])
@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(answered(b"Content-Length: 2000000", body=b"x" * 2_000_000), id="over-a-megabyte"),
        pytest.param(answered(CHUNKED, body=(b"ffff\r\n" + b"x" * 65_535 + b"\r\n") * 40), id="many-chunks"),
        pytest.param(answered(CHUNKED, body=b"zz\r\nthanks\r\n"), id="no-chunks"),
        pytest.param(answered(b"Content-Length: 100", body=b"thanks"), id="cut-short"),
        pytest.param(answered(body=b"thanks"), id="without-a-length"),
        pytest.param(answered(b"Content-Length: 2", b"Content-Encoding: gzip", body=b"\x1f\x8b"), id="half-a-gzip"),
        pytest.param(answered(b"Content-Length: 2", b"Content-Encoding: br", body=b"\x8b\x03"), id="unknown-coding"),
        pytest.param(
            answered(b"Content-Encoding: gzip", body=gzip.compress(b"\0" * 9_000_000)), id="a-bomb-without-a-length"
        ),
        pytest.param(
            answered(b"Content-Type: text/plain; charset=none-such", b"Content-Length: 1", body=b"\xff"), id="charset"
        ),
        pytest.param(answered(b"Content-Length: 6", body=b"thanks", status=b"204 No Content"), id="a-204-with-a-body"),
        pytest.param(answered(b"Content-Length: 6", body=b"thanks, and more"), id="more-than-its-length"),
    ],
)
async def test_a_2xx_is_a_delivery_whatever_its_body_is_like(sent: bytes, apart: bool) -> None:  # noqa: FBT001
    async def behave(writer: asyncio.StreamWriter, _count: int) -> bool:
        head, gap, rest = sent.partition(b"\r\n\r\n")
        writer.write(head + gap + (b"" if apart else rest))
        await writer.drain()
        if apart:
            await asyncio.sleep(0)
            writer.write(rest)
            await writer.drain()
        return False

    async with wiretap(behave) as tap:
        webhook = Webhook(tap.url, [SECRET], timeout=SOON)
        assert await deliver(webhook, "c-1", EVENT) is None
        await webhook.aclose()

    assert len(tap.requests) == 1


@pytest.mark.parametrize("status", [b"204 No Content", b"200 OK"])
async def test_what_follows_an_answer_is_not_the_next_one(status: bytes) -> None:
    forged = answered(b"Content-Length: 0", status=b"500 Internal Server Error")
    async with wiretap(says(answered(b"Content-Length: 0", status=status, body=forged))) as tap:
        webhook = Webhook(tap.url, [SECRET], timeout=SOON)
        assert [await deliver(webhook, f"c-{number}", EVENT) for number in range(3)] == [None] * 3
        await webhook.aclose()


async def test_a_body_that_never_ends_delays_no_delivery() -> None:
    async def drip(writer: asyncio.StreamWriter, _count: int) -> bool:
        writer.write(answered(b"Content-Length: 2000000"))
        return await asyncio.Event().wait()

    async with wiretap(drip) as tap:
        webhook = Webhook(tap.url, [SECRET], timeout=600)
        async with asyncio.timeout(SOON):
            assert await deliver(webhook, "c-1", EVENT) is None
        await webhook.aclose()


async def test_deliveries_share_a_connection_where_bodies_are_short() -> None:
    async with wiretap(says(answered(b"Content-Length: 6", body=b"thanks"))) as tap:
        webhook = Webhook(tap.url, [SECRET])
        for number in range(3):
            assert await deliver(webhook, f"c-{number}", EVENT) is None
        await webhook.aclose()

    assert (len(tap.requests), tap.connections) == (3, 1)


async def test_no_answer_is_waited_for_only_so_long() -> None:
    async def hang() -> int:
        return await asyncio.Event().wait() or 200

    async with receiving(lambda _event, _count: hang()) as receiver:
        webhook = Webhook(receiver.url, [SECRET], timeout=0.2)
        assert await deliver(webhook, "c-1", EVENT) == Failure("no answer within 0.2 s")
        await webhook.aclose()


async def test_a_receiver_that_is_not_there_is_a_failure() -> None:
    async with receiving() as receiver:
        url = receiver.url
    webhook = Webhook(url, [SECRET])
    failure = await deliver(webhook, "c-1", EVENT)
    with pytest.raises(CallUnanswered, match="no connection"):
        await webhook.reach()
    await webhook.aclose()

    assert failure == Failure("no connection (ClientConnectorError)")


async def test_a_certificate_is_checked_against_the_sinks_authorities(ours: Authority, tmp_path: Path) -> None:
    theirs = Authority(tmp_path, "theirs")
    async with receiving(tls=ours.server()) as receiver:
        trusted, strange = (Webhook(receiver.url, [SECRET], tls=Tls(ca_file=str(one.file))) for one in (ours, theirs))
        delivered = [await deliver(one, "c-1", EVENT) for one in (trusted, strange)]
        reached = await trusted.reach()
        with pytest.raises(CallUnanswered, match="its certificate is not trusted"):
            await strange.reach()
        await asyncio.gather(trusted.aclose(), strange.aclose())

    assert delivered == [None, Failure("its certificate is not trusted (ClientConnectorCertificateError)")]
    assert reached == "it accepts connections, and its certificate is trusted"
    assert len(receiver.tries) == 1


def consumer(url: str) -> tuple[Celery, list[Any]]:
    """Return another application, and a list of what its task is called with."""
    app = Celery("jobs", broker=url.replace("unix://", "redis+socket://"), set_as_current=False)
    called: list[Any] = []

    @app.task(name="jobs.on_cancellation")
    def on_cancellation(event: dict[str, Any]) -> None:
        called.append(event)

    return app, called


async def test_a_task_gets_the_event_and_its_id(redis_url: str, sync_redis: SyncRedis) -> None:
    sink = CeleryTask(redis_url, "job-events", "jobs.on_cancellation")
    assert await deliver(sink, "c-1", EVENT) is None
    assert await sink.reach() == "its broker accepts connections"
    await sink.aclose()

    app, called = consumer(redis_url)
    with app.connection() as connection, connection.SimpleQueue("job-events") as queue:
        message = queue.get(timeout=60)
        args, kwargs, _ = message.payload
        app.tasks[message.headers["task"]].apply(args, kwargs, throw=True)
        message.ack()
    app.close()

    assert called == [json.loads(EVENT)]
    assert (kwargs.keys(), message.headers["id"]) == ({"event"}, "c-1")
    assert sync_redis.llen("job-events") == 0


async def test_a_broker_that_is_not_there_is_a_failure(tmp_path: Path) -> None:
    sink = CeleryTask(f"unix://:hunter2@{tmp_path}/redis.sock", "q", "t")
    failure = await deliver(sink, "c-1", EVENT)
    with pytest.raises(CancellerError) as caught:
        await sink.reach()
    await sink.aclose()

    assert failure is not None
    assert "the broker can't be reached" in failure.reason
    assert "check the URL that the sink's broker_url_env holds" in failure.reason
    assert "hunter2" not in f"{failure.reason} {caught.value}"


async def test_standard_output_gets_a_line_for_each_event() -> None:
    reader, writer = os.pipe()
    sink = StandardOutput(writer)
    done = await sink.deliver([Message(f"c-{number}", body("c", number)) for number in range(100)])
    await sink.aclose()
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8") as lines:
        ids = [json.loads(line)["id"] for line in lines]

    assert done == [None] * 100
    assert ids == [f"c-{number}" for number in range(100)]


async def test_a_line_holds_nothing_that_a_terminal_acts_on() -> None:
    reader, writer = os.pipe()
    sink = StandardOutput(writer)
    event = body("c", 1, data={"reason": "a\u202eb\x9bc"}).decode()
    raw = event.replace("\\u202e", "\u202e").replace("\\u009b", "\x9b")
    await deliver(sink, "c-1", raw.encode())
    await sink.aclose()
    os.close(writer)
    with os.fdopen(reader, encoding="utf-8") as lines:
        line = lines.read()

    assert json.loads(line) == json.loads(event)
    assert line.isascii()


async def test_lines_wait_while_nobody_reads() -> None:
    reader, writer = os.pipe()
    sink = StandardOutput(writer)
    waiting = asyncio.create_task(deliver(sink, "c-1", b"x" * 1_000_000))
    _, pending = await asyncio.wait([waiting], timeout=0.1)
    assert pending
    with os.fdopen(reader, "rb") as lines:
        line = await asyncio.to_thread(lines.readline)
        assert await waiting is None

    assert len(line) == 1_000_001
    await sink.aclose()
    os.close(writer)


async def test_a_closed_output_is_a_failure() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    sink = StandardOutput(writer)
    failure = await deliver(sink, "c-1", EVENT)
    await sink.aclose()
    os.close(writer)

    assert failure == Failure("can't write to standard output: Broken pipe")
