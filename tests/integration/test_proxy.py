"""Calls through a proxy: how each scheme is sent, what the proxy is shown, and how its failures are reported."""

from __future__ import annotations

import asyncio
import logging
import ssl
import traceback
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from support.certificates import Authority
from support.http_recorder import OK, SOON, drops, says, wiretap
from support.proxy import ForwardProxy, forward_proxy

from worker.backends.adapter import Request
from worker.domain.errors import CallUnanswered
from worker.http.client import Http
from worker.http.tls import SYSTEM, Tls
from worker.http.transport import Proxy
from worker.http.transport_aiohttp import AiohttpTransport

LOOK = Request("GET", ("job",))
LOGIN = "scott:hunter2 %/ü"
SHOWN = f"Basic {b64encode(LOGIN.encode()).decode()}"


@asynccontextmanager
async def through(
    proxy: ForwardProxy | str,
    url: str,
    *,
    tls: Tls = SYSTEM,
    shown: str = "",
    seconds: float = 5.0,
) -> AsyncIterator[Http]:
    address = proxy if isinstance(proxy, str) else proxy.url
    http = Http(f"{url}/base", timeout=seconds, wire=AiohttpTransport(tls, Proxy(address, shown)))
    try:
        yield http
    finally:
        await http.aclose()


async def test_http_goes_in_absolute_form() -> None:
    async with wiretap(says(OK)) as tap, forward_proxy() as proxy, through(proxy, tap.url) as http:
        assert (await http.send(Request("POST", ("a/b %",), {"q": "1&2"}, json={"x": 1}))).body == b"{}"

    assert proxy.lines() == [f"POST {tap.url}/base/a%2Fb%20%25?q=1%262 HTTP/1.1"]
    assert tap.lines() == ["POST /base/a%2Fb%20%25?q=1%262 HTTP/1.1"]
    assert tap.requests[0].endswith(b'{"x":1}')
    assert tap.headers(b"host") == [tap.url.partition("://")[2].encode()]


async def test_https_goes_through_a_tunnel(system: Authority) -> None:
    async with (
        wiretap(says(OK), system.server()) as tap,
        forward_proxy() as proxy,
        through(proxy, tap.url) as http,
    ):
        for _ in range(3):
            assert (await http.send(LOOK)).body == b"{}"

    assert proxy.lines() == [f"CONNECT localhost:{tap.port} HTTP/1.1"]
    assert tap.lines() == ["GET /base/job HTTP/1.1"] * 3


async def test_a_host_that_only_the_proxy_knows_is_called(system: Authority) -> None:
    async with (
        wiretap(says(OK), system.server("api.internal.example")) as tap,
        forward_proxy(upstream={"api.internal.example": tap.port}) as proxy,
        through(proxy, "https://api.internal.example") as http,
    ):
        assert (await http.send(LOOK)).body == b"{}"

    assert proxy.lines() == ["CONNECT api.internal.example:443 HTTP/1.1"]


@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
async def test_a_proxy_is_shown_the_login_and_the_backend_is_not(system: Authority, secure: bool) -> None:  # noqa: FBT001
    async with (
        wiretap(says(OK), system.server() if secure else None) as tap,
        forward_proxy(login=LOGIN) as proxy,
        through(proxy, tap.url, shown=SHOWN) as http,
    ):
        assert (await http.send(LOOK)).body == b"{}"

    assert len(proxy.heads) == 1
    assert tap.headers(b"proxy-authorization") == []


async def test_a_tunnels_proxy_is_shown_nothing_of_the_call(system: Authority) -> None:
    async with wiretap(says(OK), system.server()) as tap, forward_proxy() as proxy, through(proxy, tap.url) as http:
        await http.send(Request("GET", ("job-17",), {"q": "x"}, headers={"X-Auth-Token": "hunter2"}))

    assert not any(word in proxy.heads[0] for word in (b"hunter2", b"job-17", b"aiohttp", b"X-Auth-Token"))


async def test_a_backend_is_checked_against_its_own_authorities(ours: Authority, system: Authority) -> None:
    tls = Tls(ca_file=str(ours.file))
    async with (
        wiretap(says(OK), ours.server()) as known,
        wiretap(says(OK), system.server()) as foreign,
        forward_proxy() as proxy,
    ):
        async with through(proxy, known.url, tls=tls) as http:
            assert (await http.send(LOOK)).body == b"{}"
        async with through(proxy, foreign.url, tls=tls) as http:
            with pytest.raises(CallUnanswered, match=r"^its certificate is not trusted"):
                await http.send(LOOK)

    assert foreign.requests == []


async def test_an_https_proxy_is_trusted_by_the_system_and_never_shown_the_backends_certificate(
    ours: Authority, system: Authority
) -> None:
    asking = system.server()
    asking.load_verify_locations(ours.file)
    asking.verify_mode = ssl.CERT_OPTIONAL
    tls = Tls(str(ours.file), *ours.certificate("us"))
    async with (
        wiretap(says(OK), ours.server(asks=True)) as tap,
        forward_proxy(asking) as proxy,
        through(proxy, tap.url, tls=tls) as http,
    ):
        assert (await http.send(LOOK)).body == b"{}"

    assert proxy.lines() == [f"CONNECT localhost:{tap.port} HTTP/1.1"]
    assert proxy.shown == []


@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
@pytest.mark.parametrize(
    ("shown", "told"),
    [
        pytest.param(
            "", "the proxy requires a user and password (HTTP 407): put both in the URL that proxy_env names", id="none"
        ),
        pytest.param("Basic aHVudGVyMg==", "the proxy refuses the user or password of its URL (HTTP 407)", id="wrong"),
    ],
)
async def test_a_proxy_that_wants_another_login_is_no_answer(
    system: Authority,
    secure: bool,  # noqa: FBT001
    shown: str,
    told: str,
) -> None:
    async with (
        wiretap(says(OK), system.server() if secure else None) as tap,
        forward_proxy(login=LOGIN) as proxy,
        through(proxy, tap.url, shown=shown) as http,
    ):
        with pytest.raises(CallUnanswered) as caught:
            await http.send(LOOK)

    host = tap.url.partition("://")[2]
    assert str(caught.value) == f"{told}: GET at {host}, through the proxy at {proxy.place}"
    assert (len(proxy.heads), tap.requests) == (1, [])
    assert "aHVudGVyMg" not in "".join(traceback.format_exception(caught.value)) + repr(caught.value.__cause__)


@pytest.mark.parametrize("status", ["403 Forbidden", "502 hunter2", "503 Service Unavailable", "302 Found"])
async def test_a_tunnel_that_is_not_opened_is_no_answer(system: Authority, status: str) -> None:
    async with (
        wiretap(says(OK), system.server()) as tap,
        forward_proxy(refuses=status) as proxy,
        through(proxy, tap.url) as http,
    ):
        with pytest.raises(CallUnanswered) as caught:
            await http.send(Request("POST", ("job", "cancel")))

    told = f"the proxy did not open a tunnel (HTTP {status[:3]}): POST at localhost:{tap.port}"
    assert str(caught.value) == f"{told}, through the proxy at {proxy.place}"
    assert len(proxy.heads) == 1


async def test_a_proxy_that_never_answers_is_named(system: Authority) -> None:
    async with (
        wiretap(says(OK), system.server()) as tap,
        forward_proxy(mute=True) as proxy,
        through(proxy, tap.url, seconds=0.2) as http,
    ):
        with pytest.raises(CallUnanswered, match=f"^no reply in time: GET at .*, through the proxy at {proxy.place}$"):
            await http.send(LOOK)


async def test_a_proxy_that_hangs_up_is_named(system: Authority) -> None:
    async with (
        wiretap(drops(0, reset=False)) as closing,
        wiretap(says(OK), system.server()) as tap,
        through(closing.url, tap.url) as http,
    ):
        with pytest.raises(CallUnanswered, match=f"through the proxy at 127.0.0.1:{closing.port}$"):
            await http.send(LOOK)

    assert len(closing.requests) == 1


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_proxy_that_is_down_is_named_and_no_login_shown(
    scheme: str, unused_tcp_port: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    address = f"http://127.0.0.1:{unused_tcp_port}"
    async with through(address, f"{scheme}://api.example.com", shown=SHOWN) as http:
        with pytest.raises(CallUnanswered) as caught:
            await http.send(LOOK)

    why = "the proxy can't be used: no connection (ClientProxyConnectionError)"
    assert str(caught.value) == f"{why}: GET at api.example.com, through the proxy at 127.0.0.1:{unused_tcp_port}"
    told = "".join(traceback.format_exception(caught.value)) + repr(caught.value.__cause__) + caplog.text
    assert SHOWN not in told
    assert "hunter2" not in told


async def test_an_https_proxy_that_is_not_trusted_is_told_from_the_backend(tmp_path: Path, system: Authority) -> None:
    strange = Authority(tmp_path, "strange")
    async with (
        wiretap(says(OK), system.server()) as tap,
        forward_proxy(strange.server()) as proxy,
        through(proxy, tap.url) as http,
    ):
        with pytest.raises(CallUnanswered, match=r"^the proxy can't be used: its certificate is not trusted"):
            await http.send(LOOK)

    assert (proxy.heads, tap.requests) == ([], [])


async def test_a_dropped_tunnel_makes_exactly_one_request(system: Authority) -> None:
    async with (
        wiretap(drops(1, reset=True), system.server()) as tap,
        forward_proxy() as proxy,
        through(proxy, tap.url) as http,
    ):
        await http.send(LOOK)
        with pytest.raises(CallUnanswered):
            await http.send(Request("GET", ("job", "cancel")))

    assert tap.lines() == ["GET /base/job HTTP/1.1", "GET /base/job/cancel HTTP/1.1"]


async def test_a_backends_own_407_behind_a_tunnel_is_its_answer(system: Authority) -> None:
    said = b"HTTP/1.1 407 Own\r\nContent-Length: 2\r\n\r\n{}"
    async with wiretap(says(said), system.server()) as tap, forward_proxy() as proxy, through(proxy, tap.url) as http:
        assert (await http.send(LOOK)).status == 407


async def test_a_call_that_is_cancelled_closes_its_tunnel(system: Authority) -> None:
    arrived = asyncio.Event()

    async def behave(_writer: asyncio.StreamWriter, _count: int) -> bool:
        arrived.set()
        return True

    async with (
        wiretap(behave, system.server()) as tap,
        forward_proxy() as proxy,
        through(proxy, tap.url, seconds=60.0) as http,
    ):
        call = asyncio.create_task(http.send(LOOK))
        await asyncio.wait_for(arrived.wait(), SOON)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        _, open_ones = await asyncio.wait(tap.tasks, timeout=SOON)

    assert not open_ones
