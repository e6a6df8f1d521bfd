"""Credentials: how each is sent, obtained, shared and renewed; the network is a function."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import httpx
import pytest
from support.mock_transport import HttpxTransport

from worker.backends.adapter import Request
from worker.domain.errors import CredentialRefused, CredentialUnavailable
from worker.http.client import Http
from worker.http.credentials import Credential, StaticCredential
from worker.http.token_endpoints import ClientCredentials, Keystone, Oml

TOKEN_URL = "https://idp.example.com/token"
HOUR = 3600.0


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class World:
    """A backend that accepts some headers, and a token endpoint that numbers its tokens."""

    clock: Clock = field(default_factory=Clock)
    calls: list[str] = field(default_factory=list)
    asked: list[httpx.Request] = field(default_factory=list)
    valid: Callable[[str], bool] = lambda _: True
    token: Callable[[httpx.Request, str], httpx.Response] | None = None
    life: float = HOUR
    fetching: asyncio.Event = field(default_factory=asyncio.Event)
    gate: asyncio.Event | None = None

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.host == "idp.example.com":
            return await self.grant(request)
        shown = request.headers.get("authorization") or request.headers.get("x-auth-token", "")
        self.calls.append(shown)
        return httpx.Response(200 if self.valid(shown) else 401)

    async def grant(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        self.fetching.set()
        name = f"t{len(self.asked)}"
        if self.gate:
            await self.gate.wait()
        if self.token:
            return self.token(request, name)
        names = {"access_token": name, "expires_in": self.life, "accessToken": name, "expiresIn": self.life}
        return httpx.Response(201, headers={"X-Subject-Token": name}, json=names)


@pytest.fixture
def world() -> World:
    return World()


@asynccontextmanager
async def backend(world: World, credential: Credential, seconds_each: float = 5.0) -> AsyncIterator[Http]:
    wire = HttpxTransport(httpx.MockTransport(world))
    http = Http("https://b.example.com", credential=credential, timeout=seconds_each, max_reply=1000, wire=wire)
    try:
        yield http
    finally:
        await http.aclose()


async def call(http: Http) -> int:
    return (await http.send(Request("POST", ("x",), json={"a": 1}))).status


def reading(*values: str) -> Callable[[], str]:
    """Read one value after the other, then repeat the last for ever."""
    rest: Iterator[str] = iter(values)
    return lambda: next(rest, values[-1])


def oauth(world: World) -> Credential:
    return ClientCredentials(TOKEN_URL, lambda: "the-id", lambda: "hunter2", scope="urn:a urn:b", monotonic=world.clock)


def oml(world: World) -> Credential:
    return Oml(TOKEN_URL, lambda: "scott", lambda: "hunter2", monotonic=world.clock)


def keystone(world: World) -> Credential:
    return Keystone(
        "https://idp.example.com",
        lambda: "scott",
        lambda: "hunter2",
        user_domain="d1",
        project_id="p1",
        monotonic=world.clock,
    )


ENDPOINTS = pytest.mark.parametrize("make", [oauth, oml, keystone])
ALL = pytest.mark.parametrize(
    "make",
    [
        pytest.param(lambda _: StaticCredential(lambda: "hunter2"), id="bearer"),
        pytest.param(lambda _: StaticCredential(lambda: "hunter2", header="X-Auth-Token"), id="token"),
        pytest.param(lambda _: StaticCredential(lambda: "hunter2", username=lambda: "scott"), id="basic"),
        oauth,
        oml,
        keystone,
    ],
)
Make = Callable[[World], Credential]


@pytest.mark.parametrize(
    ("make", "shown"),
    [
        pytest.param(lambda _: StaticCredential(lambda: "abc\n"), "Bearer abc", id="bearer"),
        pytest.param(lambda _: StaticCredential(lambda: "abc", header="X-Auth-Token"), "abc", id="token"),
        pytest.param(
            lambda _: StaticCredential(lambda: "p:ä", username=lambda: "us"), "Basic dXM6cDrDpA==", id="basic"
        ),
        pytest.param(oauth, "Bearer t1", id="oauth2"),
        pytest.param(oml, "Bearer t1", id="oml"),
        pytest.param(keystone, "t1", id="keystone"),
    ],
)
async def test_a_call_shows_its_credential(world: World, make: Make, shown: str) -> None:
    async with backend(world, make(world)) as http:
        await call(http)

    assert world.calls == [shown]


@ENDPOINTS
async def test_nothing_is_fetched_before_it_is_needed(world: World, make: Make) -> None:
    async with backend(world, make(world)):
        pass

    assert world.asked == []


@ENDPOINTS
async def test_being_ready_fetches_and_calls_nothing(world: World, make: Make) -> None:
    async with backend(world, make(world)) as http:
        await http.ready()
        await http.ready()

    assert (len(world.asked), world.calls) == (1, [])


@ENDPOINTS
async def test_fifty_callers_share_one_flight(world: World, make: Make) -> None:
    world.gate = asyncio.Event()
    async with backend(world, make(world)) as http:
        calls = [asyncio.create_task(call(http)) for _ in range(50)]
        await world.fetching.wait()
        world.gate.set()
        assert await asyncio.gather(*calls) == [200] * 50

    assert len(world.asked) == 1


@ENDPOINTS
async def test_fifty_callers_share_a_refusal(world: World, make: Make) -> None:
    world.token = lambda *_: httpx.Response(401)
    async with backend(world, make(world)) as http:
        results = await asyncio.gather(*(call(http) for _ in range(50)), return_exceptions=True)

    assert {type(result) for result in results} == {CredentialRefused}
    assert (len(world.asked), world.calls) == (2, [])


@ENDPOINTS
async def test_fifty_refused_callers_share_one_renewal(world: World, make: Make) -> None:
    world.valid = lambda shown: not shown.endswith("t1")
    async with backend(world, make(world)) as http:
        assert await asyncio.gather(*(call(http) for _ in range(50))) == [200] * 50

    assert len(world.asked) == 2


async def test_a_late_401_uses_the_token_that_another_caller_got(world: World) -> None:
    slow = asyncio.Event()

    async def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/slow" and request.headers["authorization"] == "Bearer t1":
            await slow.wait()
        return await world(request)

    world.valid = lambda shown: shown != "Bearer t1"
    http = Http("https://b.example.com", credential=oauth(world), wire=HttpxTransport(httpx.MockTransport(answer)))
    await http.ready()
    late = asyncio.create_task(http.send(Request("GET", ("slow",))))
    await call(http)
    slow.set()

    assert (await late).status == 200
    assert len(world.asked) == 2
    await http.aclose()


@pytest.mark.parametrize(("age", "fetches"), [(HOUR - 61, 1), (HOUR - 60, 2), (HOUR + 1, 2)])
@ENDPOINTS
async def test_a_token_is_renewed_a_minute_before_it_ends(world: World, make: Make, age: float, fetches: int) -> None:
    end = datetime(2026, 11, 22, 11, tzinfo=UTC)
    body = {"access_token": "t", "accessToken": "t", "expires_in": 3600, "expiresIn": 3600}
    dates = {"X-Subject-Token": "t", "Date": format_datetime(end - timedelta(hours=1), usegmt=True)}
    world.token = lambda *_: httpx.Response(200, headers=dates, json=body | {"token": {"expires_at": end.isoformat()}})
    async with backend(world, make(world)) as http:
        await http.ready()
        world.clock.now += age
        await http.ready()

    assert len(world.asked) == fetches


async def test_a_short_lived_token_is_not_renewed_for_every_call(world: World) -> None:
    world.life = 20.0
    async with backend(world, oauth(world)) as http:
        await call(http)
        world.clock.now += 14.0
        await call(http)

    assert len(world.asked) == 1


@ALL
async def test_a_401_renews_once_and_a_second_one_is_the_answer(world: World, make: Make) -> None:
    world.valid = lambda _: False
    async with backend(world, make(world)) as http:
        assert await call(http) == 401

    assert len(world.calls) == 2


@pytest.mark.parametrize("header", ["", "X-Auth-Token"])
async def test_a_given_token_is_read_again_on_a_401(world: World, header: str) -> None:
    world.valid = lambda shown: shown.endswith("new")
    async with backend(world, StaticCredential(reading("old", "new"), header=header)) as http:
        assert [await call(http), await call(http)] == [200, 200]
    assert [shown.removeprefix("Bearer ") for shown in world.calls] == ["old", "new", "new"]


async def test_a_password_is_read_again_on_a_401(world: World) -> None:
    world.valid = lambda shown: base64.b64decode(shown.removeprefix("Basic ")) == b"u:new"
    async with backend(world, StaticCredential(reading("old", "new"), username=lambda: "u")) as http:
        assert await call(http) == 200


async def test_a_renewal_that_fails_after_a_401_is_no_unanswered_call(world: World) -> None:
    world.valid = lambda _: False
    async with backend(world, oauth(world)) as http:
        await http.ready()
        world.token = lambda *_: httpx.Response(503)
        with pytest.raises(CredentialUnavailable):
            await call(http)

    assert world.calls == ["Bearer t1"]


async def test_it_recovers_after_a_failure(world: World) -> None:
    world.token = lambda *_: httpx.Response(503)
    async with backend(world, oauth(world)) as http:
        with pytest.raises(CredentialUnavailable):
            await http.ready()
        world.token = None
        assert await call(http) == 200


async def test_a_caller_that_gives_up_leaves_the_flight_to_the_others(world: World) -> None:
    world.gate = asyncio.Event()
    async with backend(world, oauth(world)) as http:
        first, second = asyncio.create_task(call(http)), asyncio.create_task(call(http))
        await world.fetching.wait()
        first.cancel()
        world.gate.set()
        assert await second == 200

    assert (first.cancelled(), len(world.asked)) == (True, 1)


async def test_closing_ends_a_flight(world: World) -> None:
    world.gate = asyncio.Event()
    async with backend(world, oauth(world)) as http:
        waiting = asyncio.create_task(http.ready())
        await world.fetching.wait()

    with pytest.raises(CredentialUnavailable):
        await waiting
