"""The HTTP client at the socket: what really goes over the wire, how often, and when a call is given up."""

from __future__ import annotations

import asyncio
import gzip
import time
from contextlib import suppress

import pytest
from support.http_recorder import OK, SOON, Behave, Wiretap, calling, drops, hang, says, wiretap

from worker.backends.adapter import Request
from worker.domain.errors import CallUnanswered, CredentialUnavailable
from worker.http.client import Http
from worker.http.token_endpoints import Keystone

SHORT = 0.3
VERBS = pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])


async def unanswered(http: Http, method: str = "GET") -> float:
    """Make a call that gets no answer; return the seconds that it took."""
    started = time.monotonic()
    with pytest.raises(CallUnanswered):
        await http.send(Request(method, ("job",)))
    return time.monotonic() - started


@VERBS
async def test_an_id_reaches_the_socket_as_one_encoded_segment(method: str) -> None:
    async with wiretap(says(OK)) as tap, calling(tap) as http:
        await http.send(Request(method, ("jobs", "a b/../c?x=1#y", "cancel")))
        await http.send(Request(method, ("%2e%2e", "~!$&'()*+,;=:@"), query={"q": "a=b&c d+e", "f": "x,y:z"}))

    assert tap.lines() == [
        f"{method} /base/jobs/a%20b%2F..%2Fc%3Fx%3D1%23y/cancel HTTP/1.1",
        f"{method} /base/%252e%252e/~%21%24%26%27%28%29%2A%2B%2C%3B%3D%3A%40?q=a%3Db%26c%20d%2Be&f=x%2Cy%3Az HTTP/1.1",
    ]


@VERBS
async def test_a_body_and_its_headers_arrive_once(method: str) -> None:
    async with wiretap(says(OK)) as tap, calling(tap) as http:
        await http.send(Request(method, ("job",), json={"a": 1}), traceparent="00-1-2-01")

    assert [request.split(b"\r\n\r\n")[1] for request in tap.requests] == [b'{"a":1}']
    assert tap.headers(b"content-type") == [b"application/json"]
    assert tap.headers(b"accept") == [b"application/json"]
    assert tap.headers(b"accept-encoding") == [b"gzip, deflate"]
    assert tap.headers(b"traceparent") == [b"00-1-2-01"]
    assert tap.headers(b"host") == [b"127.0.0.1:%d" % tap.port]
    assert [agent.startswith(b"canceller/") for agent in tap.headers(b"user-agent")] == [True]


@VERBS
async def test_a_request_without_a_body_says_no_content_type(method: str) -> None:
    async with wiretap(says(OK)) as tap, calling(tap) as http:
        await http.send(Request(method, ("job",)))

    assert tap.headers(b"content-type") == []


@pytest.mark.parametrize("reset", [False, True], ids=["closed", "reset"])
@pytest.mark.parametrize("served", [0, 1, 2], ids=["first request", "after one", "after two"])
@VERBS
async def test_a_dropped_connection_makes_exactly_one_request(
    method: str,
    served: int,
    reset: bool,  # noqa: FBT001
) -> None:
    async with wiretap(drops(served, reset=reset)) as tap, calling(tap) as http:
        for _ in range(served):
            await http.send(Request("GET", ("before",)))
        await unanswered(http, method)

    assert tap.lines() == ["GET /base/before HTTP/1.1"] * served + [f"{method} /base/job HTTP/1.1"]
    assert tap.connections == 1


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", id="half a body"),
        pytest.param(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab", id="half a chunk"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Le", id="half a head"),
        pytest.param(b"SSH-2.0-OpenSSH_9.6\r\n\r\n", id="another protocol"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: " + b"hunter2" * 20_000 + b"\r\n\r\n", id="an endless header"),
    ],
)
@VERBS
async def test_half_a_reply_is_no_answer_and_stays_unsaid(method: str, reply: bytes) -> None:
    async def behave(writer: asyncio.StreamWriter, count: int) -> bool:
        await says(reply)(writer, count)
        return False

    async with wiretap(behave) as tap, calling(tap) as http:
        with pytest.raises(CallUnanswered) as caught:
            await http.send(Request(method, ("job",), query={"key": "hunter2"}))

    assert len(tap.requests) == 1
    assert "hunter2" not in f"{caught.value!r} {caught.value.__cause__!r}"


@VERBS
async def test_a_server_that_hangs_is_given_up_in_time(method: str) -> None:
    async with wiretap(hang) as tap, calling(tap, seconds=SHORT) as http:
        took = await unanswered(http, method)

    assert SHORT * 0.9 <= took < SOON
    assert len(tap.requests) <= 1  # on a busy machine the call may time out before it arrives


@pytest.mark.parametrize(
    "first", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n"], ids=["in the head", "in the body"]
)
async def test_a_slow_drip_ends_by_the_timeout(first: bytes) -> None:
    async def drip(writer: asyncio.StreamWriter, _count: int) -> bool:
        writer.write(first)
        never = asyncio.Event()
        for byte in b"HTTP/1.1 200 OK\r\nX: " + b"x" * 1_000_000:
            writer.write(bytes([byte]))
            await writer.drain()
            with suppress(TimeoutError):
                await asyncio.wait_for(never.wait(), 0.02)
        return True

    async with wiretap(drip) as tap, calling(tap, seconds=SHORT) as http:
        took = await unanswered(http)

    assert SHORT * 0.9 <= took < SOON


async def test_a_body_of_ten_megabytes_is_cut_off() -> None:
    sent = 0

    async def pour(writer: asyncio.StreamWriter, _count: int) -> bool:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000\r\n\r\n")
        while sent < 10_000_000:
            writer.write(b"x" * 10_000)
            await writer.drain()
            sent += 10_000
        return True

    async with wiretap(pour) as tap, calling(tap, max_reply=100_000) as http:
        with pytest.raises(CallUnanswered, match="over 100000 bytes"):
            await http.send(Request("GET", ("job",)))

    assert sent < 10_000_000


async def test_a_small_reply_that_inflates_is_cut_off() -> None:
    bomb = gzip.compress(bytes(10_000_000))
    reply = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(bomb) + bomb
    async with wiretap(says(reply)) as tap, calling(tap) as http:
        with pytest.raises(CallUnanswered, match="over 1000000 bytes"):
            await http.send(Request("GET", ("job",)))


async def test_after_a_cut_off_reply_the_next_call_is_sound() -> None:
    large = b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + b"x" * 5000
    async with wiretap(says(large, OK)) as tap, calling(tap, max_reply=100) as http:
        await unanswered(http)
        assert (await http.send(Request("GET", ("job",)))).body == b"{}"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_an_answer_and_its_host_is_never_called(status: int) -> None:
    async with wiretap(says(OK)) as other:
        moved = b"HTTP/1.1 %d Moved\r\nLocation: http://127.0.0.1:%d/x\r\nContent-Length: 0\r\n\r\n" % (
            status,
            other.port,
        )
        async with wiretap(says(moved)) as tap, calling(tap) as http:
            reply = await http.send(Request("GET", ("job",)))

    assert (reply.status, len(tap.requests), other.connections) == (status, 1, 0)


async def test_cookies_are_never_sent_back() -> None:
    reply = OK.replace(b"OK\r\n", b"OK\r\nSet-Cookie: session=1; Path=/\r\n")
    async with wiretap(says(reply)) as tap, calling(tap) as http:
        await http.send(Request("GET", ("job",)))
        await http.send(Request("GET", ("job",)))

    assert (len(tap.requests), tap.headers(b"cookie")) == (2, [])


async def test_a_hundred_calls_may_be_under_way_at_once() -> None:
    everyone = asyncio.Event()

    async def wait_for_all(writer: asyncio.StreamWriter, count: int) -> bool:
        if count == 100:
            everyone.set()
        await everyone.wait()
        return await says(OK)(writer, count)

    async with wiretap(wait_for_all) as tap, calling(tap) as http:
        replies = await asyncio.gather(*(http.send(Request("GET", ("job",))) for _ in range(100)))

    assert [reply.status for reply in replies] == [200] * 100


async def test_a_closed_port_is_no_answer() -> None:
    async with wiretap(says(OK)) as tap:
        pass
    async with calling(tap) as http:
        with pytest.raises(CallUnanswered, match=rf"no connection \(.*\): GET at 127.0.0.1:{tap.port}$") as caught:
            await http.send(Request("GET", ("job",)))

    assert isinstance(caught.value.__cause__, OSError)


async def test_the_environment_names_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    async with wiretap(says(OK)) as proxy, wiretap(says(OK)) as tap:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        async with calling(tap) as http:
            await http.send(Request("GET", ("job",)))

    assert (len(tap.requests), proxy.connections) == (1, 0)


def token_call(tap: Wiretap, seconds: float = SOON) -> Http:
    credential = Keystone(
        f"http://127.0.0.1:{tap.port}", lambda: "scott", lambda: "hunter2", user_domain="d", project_id="p"
    )
    return Http(tap.url, credential=credential, timeout=seconds)


async def test_a_token_of_twenty_kilobytes_is_taken_and_shown() -> None:
    token = b"M" * 20_000
    granted = b"HTTP/1.1 201 Created\r\nX-Subject-Token: " + token + b"\r\nContent-Length: 2\r\n\r\n{}"
    async with wiretap(says(granted, OK)) as tap:
        http = token_call(tap)
        await http.send(Request("GET", ("job",)))
        await http.aclose()

    assert tap.headers(b"x-auth-token") == [token]


@pytest.mark.parametrize(("behave", "timeout"), [(hang, SHORT), (drops(0, reset=True), 30.0)], ids=["hangs", "resets"])
async def test_without_a_token_the_call_is_not_made(behave: Behave, timeout: float) -> None:  # noqa: ASYNC109 - a call's
    async with wiretap(behave) as tap:
        http = token_call(tap, timeout)
        with pytest.raises(CredentialUnavailable):
            await http.send(Request("GET", ("job",)))
        await http.aclose()

    assert tap.lines() in ([], ["POST /v3/auth/tokens HTTP/1.1"])  # a short timeout may end before it arrives


async def test_a_reply_that_nobody_asked_for_is_not_the_next_calls() -> None:
    """If a proxy sends a reply twice, the copy must not be taken for the answer to another call."""
    copied = asyncio.Event()

    async def twice(writer: asyncio.StreamWriter, count: int) -> bool:
        writer.write(OK if count == 1 else OK.replace(b"200 OK", b"409 Conflict"))
        await writer.drain()
        if count == 1:
            asyncio.get_running_loop().call_later(0.05, lambda: (writer.write(OK), copied.set()))
        return True

    async with wiretap(twice) as tap, calling(tap) as http:
        assert (await http.send(Request("POST", ("jobs", "1", "cancel")))).status == 200
        async with asyncio.timeout(SOON):
            await copied.wait()
            await asyncio.sleep(SHORT)  # for the copy to arrive, which nothing announces

        assert (await http.send(Request("POST", ("jobs", "2", "cancel")))).status == 409
