"""The HTTP client above the socket: how requests are built, what replies become, how failures are reported."""

from __future__ import annotations

import gzip
import json
import logging
import ssl
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import aiohttp
import httpx
import pytest
from support.mock_transport import HttpxTransport

from worker.backends.adapter import Reply, Request
from worker.domain.errors import CallUnanswered, InvalidCommand
from worker.http.client import Http, checked_base_url, target
from worker.http.tls import Tls, tls_context

Handler = Callable[[httpx.Request], httpx.Response]


@asynccontextmanager
async def backend(handler: Handler, *, max_reply: int = 1000) -> AsyncIterator[Http]:
    http = Http(
        "https://ess.example.com/prefix/", max_reply=max_reply, wire=HttpxTransport(httpx.MockTransport(handler))
    )
    try:
        yield http
    finally:
        await http.aclose()


async def answered(response: httpx.Response, *, max_reply: int = 1000) -> Reply:
    async with backend(lambda _: response, max_reply=max_reply) as http:
        return await http.send(Request("GET", ("x",)))


async def failing(error: Exception, request: Request) -> CallUnanswered:
    def fail(_: httpx.Request) -> httpx.Response:
        raise error

    async with backend(fail) as http:
        with pytest.raises(CallUnanswered) as caught:
            await http.send(request)
    return caught.value


@pytest.mark.parametrize(
    ("path", "query", "expected"),
    [
        pytest.param(("a b/../c?x=1#y",), {}, "/a%20b%2F..%2Fc%3Fx%3D1%23y", id="reserved characters"),
        pytest.param(("requests", "%2e%2E", "cancel"), {}, "/requests/%252e%252E/cancel", id="escapes are escaped"),
        pytest.param(("ü", "a;b@c:d+e"), {}, "/%C3%BC/a%3Bb%40c%3Ad%2Be", id="utf-8 and sub-delimiters"),
        pytest.param(
            ("x",), {"q": "a=b&c d", "fields": "id,state"}, "/x?q=a%3Db%26c%20d&fields=id%2Cstate", id="query"
        ),
        pytest.param((), {}, "", id="the base URL itself"),
    ],
)
def test_encodes_each_segment_as_a_whole(path: tuple[str, ...], query: dict[str, str], expected: str) -> None:
    assert target(path, query) == expected


@pytest.mark.parametrize("segment", ["", ".", ".."])
async def test_refuses_a_segment_that_changes_the_path(segment: str) -> None:
    async with backend(lambda _: httpx.Response(200)) as http:
        with pytest.raises(InvalidCommand):
            await http.send(Request("DELETE", ("requests", segment)))


@pytest.mark.parametrize(
    "age", ["1", "0300", " 60 ", "9" * 40, "30, 30", "0,30", "young, 1", "30.5", "+30", '"30"', "30s"]
)
async def test_an_old_reply_of_a_cache_is_none_to_this_request(age: str) -> None:
    with pytest.raises(CallUnanswered, match="a cache answered with an old reply: GET at"):
        await answered(httpx.Response(200, headers={"Age": age}))


async def test_a_cache_that_sends_its_age_twice_is_as_old_as_the_older() -> None:
    with pytest.raises(CallUnanswered, match="a cache answered"):
        await answered(httpx.Response(200, headers=[("Age", "0"), ("Age", "30")]))


@pytest.mark.parametrize("age", ["0", "000", "", "-5", "young", "0, 0", "0.5", "-5, -30", "0s"])
async def test_a_cache_that_has_asked_the_backend_just_now_is_heard(age: str) -> None:
    assert (await answered(httpx.Response(200, headers={"Age": age}))).status == 200


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
async def test_every_call_asks_caches_to_pass_it_on(method: str) -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200)

    async with backend(answer) as http:
        await http.send(Request(method, ("x",)))

    assert asked[0].headers["cache-control"] == "no-cache"


async def test_a_reply_says_when_it_came_on_this_hosts_clock() -> None:
    came = datetime(2025, 2, 18, 17, 1, 5, tzinfo=UTC)
    wire = HttpxTransport(httpx.MockTransport(lambda _: httpx.Response(204)))
    http = Http("https://ess.example.com", wire=wire, now=lambda: came)

    assert (await http.send(Request("GET", ("x",)))).received == came
    await http.aclose()


async def test_a_request_says_who_asks_and_what() -> None:
    seen: list[httpx.Request] = []
    async with backend(lambda request: seen.append(request) or httpx.Response(204)) as http:
        await http.send(
            Request("POST", ("a",), headers={"X-Language": "en-us"}, json={"n": 1}), traceparent="00-1-2-01"
        )

    (request,) = seen
    assert str(request.url) == "https://ess.example.com/prefix/a"
    assert request.headers["accept"] == "application/json"
    assert request.headers["user-agent"].startswith("canceller/")
    assert request.headers["traceparent"] == "00-1-2-01"
    assert request.headers["x-language"] == "en-us"
    assert json.loads(request.content) == {"n": 1}


async def test_no_traceparent_is_made_up() -> None:
    seen: list[httpx.Request] = []
    async with backend(lambda request: seen.append(request) or httpx.Response(204)) as http:
        await http.send(Request("GET", ("a",)))

    assert "traceparent" not in seen[0].headers


async def test_a_reply_is_whole_with_lower_case_headers() -> None:
    reply = await answered(
        httpx.Response(400, headers={"Retry-After": "7", "X-Id": "1"}, content=b'{"errorCode": 1026}')
    )

    assert (reply.status, reply.headers["x-id"], reply.retry_after) == (400, "1", 7.0)
    assert reply.data == {"errorCode": 1026}


async def test_gzip_is_undone() -> None:
    response = httpx.Response(200, headers={"Content-Encoding": "gzip"}, content=gzip.compress(b'{"a": 1}'))

    assert (await answered(response)).data == {"a": 1}


@pytest.mark.parametrize(
    "response",
    [
        pytest.param(httpx.Response(200, content=b"x" * 1001), id="plain"),
        pytest.param(
            httpx.Response(200, headers={"Content-Encoding": "gzip"}, content=gzip.compress(b"x" * 1001)), id="inflated"
        ),
        pytest.param(httpx.Response(401, content=b"x" * 1001), id="the reply to a refused call"),
    ],
)
async def test_a_reply_over_the_limit_is_no_answer(response: httpx.Response) -> None:
    with pytest.raises(CallUnanswered, match="over 1000 bytes"):
        await answered(response)


async def test_a_reply_of_exactly_the_limit_is_an_answer() -> None:
    assert len((await answered(httpx.Response(200, content=b"x" * 1000))).body) == 1000


@pytest.mark.parametrize(
    ("encoding", "content", "why"),
    [
        pytest.param("br", b"\x8b\x03\x80{}\x03", "unknown content encoding", id="unknown"),
        pytest.param("gzip, gzip", b"\x8b\x03\x80{}\x03", "not what its content encoding says", id="stacked"),
        pytest.param("gzip", gzip.compress(b"{}")[:-1], "not what its content encoding says", id="cut short"),
    ],
)
async def test_a_body_that_can_not_be_decoded_is_no_answer(encoding: str, content: bytes, why: str) -> None:
    async def stream() -> AsyncIterator[bytes]:
        yield content

    with pytest.raises(CallUnanswered, match=why):
        await answered(httpx.Response(200, headers={"Content-Encoding": encoding}, content=stream()))


@pytest.mark.parametrize("location", ["https://elsewhere.example.com/x", "http://[", "ftp://x", ""])
async def test_a_redirect_is_an_answer_wherever_it_points(location: str) -> None:
    calls: list[str] = []
    response = httpx.Response(302, headers={"Location": location}, content=b"moved")
    async with backend(lambda request: calls.append(str(request.url)) or response) as http:
        reply = await http.send(Request("GET", ("x",)))

    assert (reply.status, reply.body) == (302, b"moved")
    assert calls == ["https://ess.example.com/prefix/x"]


@pytest.mark.parametrize(
    "error",
    [
        httpx.ReadError("reset"),
        httpx.RemoteProtocolError("nonsense"),
        ConnectionResetError("reset"),
        ValueError("anything else"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_every_failure_under_way_is_unanswered(error: Exception) -> None:
    caught = await failing(error, Request("POST", ("x", "cancel")))

    assert str(caught) == f"{type(error).__name__}: POST at ess.example.com"


async def test_a_connection_that_was_closed_is_told_in_words() -> None:
    caught = await failing(aiohttp.ServerDisconnectedError(), Request("GET", ("x",)))

    assert str(caught) == "the connection was closed without a reply (ServerDisconnectedError): GET at ess.example.com"


async def test_a_failure_that_says_nothing_secret_is_chained() -> None:
    error = ConnectionResetError("reset")

    assert (await failing(error, Request("GET", ("x",)))).__cause__ is error


async def test_a_failure_shows_neither_path_nor_query() -> None:
    error = ValueError("https://u:hunter2@ess.example.com/x?key=hunter2")
    caught = await failing(error, Request("GET", ("hunter2",), query={"key": "hunter2"}))

    assert "hunter2" not in "".join(traceback.format_exception(caught))


async def test_a_call_leaves_no_url_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with backend(lambda _: httpx.Response(200)) as http:
        await http.send(Request("GET", ("x",), query={"key": "hunter2"}))

    assert "hunter2" not in caplog.text


async def test_a_cookie_is_not_kept() -> None:
    seen: list[httpx.Request] = []
    response = httpx.Response(200, headers={"Set-Cookie": "session=1; Path=/"})
    async with backend(lambda request: seen.append(request) or response) as http:
        await http.send(Request("GET", ("x",)))
        await http.send(Request("GET", ("x",)))

    assert [request.headers.get("cookie") for request in seen] == [None, None]


async def test_without_a_credential_a_401_is_the_answer() -> None:
    assert (await answered(httpx.Response(401))).status == 401


async def test_without_a_credential_it_is_always_ready() -> None:
    async with backend(lambda _: httpx.Response(500)) as http:
        await http.ready()


async def test_closing_what_never_called_is_quiet() -> None:
    await Http("https://ess.example.com").aclose()


@pytest.mark.parametrize(
    "url",
    [
        "https://user:hunter2@example.com",
        "https://example.com/?key=hunter2",
        "https://example.com/#hunter2",
        "ftp://hunter2.example.com",
        "https://",
        "https://example.com:hunter2",
    ],
)
def test_refuses_a_base_url_without_quoting_it(url: str) -> None:
    with pytest.raises(ValueError, match="a base URL") as caught:
        checked_base_url(url)

    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


def test_certificates_are_always_verified() -> None:
    context = tls_context(Tls())

    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


def test_all_who_trust_the_system_s_authorities_share_what_was_loaded() -> None:
    assert tls_context(Tls()) is tls_context(Tls())


@pytest.mark.parametrize("files", [("/missing.pem", None, None), (None, "/missing.pem", "/missing.key")])
def test_missing_certificates_are_told_at_once(files: tuple[str | None, str | None, str | None]) -> None:
    with pytest.raises(OSError, match="No such file"):
        tls_context(Tls(*files))
