"""Credentials that can't be obtained: what is reported, to whom, without any secret; the network is a function."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import httpx
import pytest
from support.mock_transport import HttpxTransport

from worker.backends.adapter import Request
from worker.domain.errors import CallUnanswered, CredentialRefused, CredentialUnavailable
from worker.domain.polling import LONGEST_DELAY
from worker.http.client import Http
from worker.http.credentials import Credential, StaticCredential
from worker.http.token_endpoints import ClientCredentials, Keystone, Oml


@dataclass
class World:
    """A backend that accepts everything, and a token endpoint that answers as told, or never."""

    token: Callable[[httpx.Request], httpx.Response] | None = None
    calls: list[httpx.Request] = field(default_factory=list)
    asked: list[httpx.Request] = field(default_factory=list)

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.host != "idp.example.com":
            self.calls.append(request)
            return httpx.Response(200)
        self.asked.append(request)
        if self.token is None:
            await asyncio.Event().wait()
        return self.token(request) if self.token else httpx.Response(500)


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
    return (await http.send(Request("POST", ("x",)))).status


def user() -> str:
    return "scott"


def password() -> str:
    return "hunter2"


Make = Callable[[], Credential]
GIVEN: dict[str, Make] = {
    "bearer": lambda: StaticCredential(password),
    "token": lambda: StaticCredential(password, header="X-Auth-Token"),
    "basic": lambda: StaticCredential(password, username=user),
}
ASKED: dict[str, Make] = {
    "oauth2": lambda: ClientCredentials("https://idp.example.com/token", user, password),
    "oml": lambda: Oml("https://idp.example.com/token", user, password),
    "keystone": lambda: Keystone("https://idp.example.com", user, password, user_domain="d", project_id="p"),
}
ALL = pytest.mark.parametrize("make", (GIVEN | ASKED).values(), ids=GIVEN | ASKED)
ENDPOINTS = pytest.mark.parametrize("make", ASKED.values(), ids=ASKED)


@pytest.mark.parametrize("status", [400, 401, 403])
@ENDPOINTS
async def test_a_refusing_endpoint_is_asked_twice(world: World, make: Make, status: int) -> None:
    world.token = lambda _: httpx.Response(status, json={"error": "invalid_client"})
    async with backend(world, make()) as http:
        with pytest.raises(CredentialRefused, match=rf"idp\.example\.com refuses the credential: {status}"):
            await http.ready()

    assert len(world.asked) == 2


@pytest.mark.parametrize(
    "response",
    [
        httpx.Response(500),
        httpx.Response(429),
        httpx.Response(404),
        httpx.Response(302, headers={"Location": "https://idp.example.com/elsewhere"}),
        httpx.Response(200, text="<html>"),
        httpx.Response(200, json={"access_token": 7, "accessToken": None}),
        httpx.Response(200, headers={"X-Subject-Token": "a\tb"}, json={"access_token": "a\nb", "accessToken": "é"}),
        httpx.Response(200, content=b"x" * 1001),
    ],
    ids=["500", "429", "404", "redirect", "html", "no token", "no header text", "too large"],
)
@ENDPOINTS
async def test_an_endpoint_without_a_usable_answer_is_unavailable(
    world: World, make: Make, response: httpx.Response
) -> None:
    world.token = lambda _: response
    async with backend(world, make()) as http:
        with pytest.raises(CredentialUnavailable):
            await call(http)

    assert (len(world.asked), world.calls) == (1, [])


@pytest.mark.parametrize("status", [400, 401, 403, 429, 503])
@pytest.mark.parametrize(("asked", "heeded"), [(40, 40), (86400, LONGEST_DELAY)])
async def test_an_endpoint_that_asks_for_time_has_not_refused_and_is_not_asked_before(
    world: World, status: int, asked: int, heeded: float
) -> None:
    world.token = lambda _: httpx.Response(status, headers={"Retry-After": str(asked)})
    now = [0.0]
    made = ClientCredentials("https://idp.example.com/token", user, password, monotonic=lambda: now[0])
    async with backend(world, made) as http:
        for now[0] in (0.0, 1.0, heeded - 0.5):
            with pytest.raises(CredentialUnavailable, match="asked us to wait"):
                await http.ready()
        assert len(world.asked) == 1

        now[0] = heeded
        world.token = lambda _: httpx.Response(200, json={"access_token": "t"})
        await http.ready()

    assert len(world.asked) == 2


async def test_a_token_that_cant_be_renewed_is_used_to_its_end(world: World) -> None:
    world.token = lambda _: httpx.Response(200, json={"access_token": "t", "expires_in": 400})
    now = [0.0]
    made = ClientCredentials("https://idp.example.com/token", user, password, monotonic=lambda: now[0])
    async with backend(world, made) as http:
        await http.ready()
        world.token = lambda _: httpx.Response(500)
        now[0] = 399.0
        await call(http)
        assert (len(world.asked), len(world.calls)) == (2, 1)

        now[0] = 400.0
        with pytest.raises(CredentialUnavailable):
            await call(http)

    assert len(world.calls) == 1


async def test_a_token_that_was_refused_meanwhile_is_used_no_longer(world: World) -> None:
    world.token = lambda _: httpx.Response(200, json={"access_token": "t", "expires_in": 400})
    now = [0.0]
    made = ClientCredentials("https://idp.example.com/token", user, password, monotonic=lambda: now[0])
    async with backend(world, made) as http:
        await http.ready()
        token = await made.token(asyncio.get_running_loop().time() + 5)

        def fail(_: httpx.Request) -> httpx.Response:
            made.refused(token)
            return httpx.Response(500)

        world.token = fail
        now[0] = 399.0
        with pytest.raises(CredentialUnavailable):
            await call(http)

    assert world.calls == []


@ENDPOINTS
async def test_an_endpoint_that_breaks_off_is_unavailable(world: World, make: Make) -> None:
    def reset(_: httpx.Request) -> httpx.Response:
        raise ConnectionResetError

    world.token = reset
    async with backend(world, make()) as http:
        with pytest.raises(CredentialUnavailable) as caught:
            await http.ready()

    assert isinstance(caught.value.__cause__, CallUnanswered)


@pytest.mark.parametrize("step", [Http.ready, call], ids=["ready", "send"])
@ENDPOINTS
async def test_a_hanging_endpoint_is_unavailable_in_time(
    world: World, make: Make, step: Callable[[Http], Awaitable[object]]
) -> None:
    async with backend(world, make(), seconds_each=0.05) as http:
        with pytest.raises(CredentialUnavailable):
            await asyncio.wait_for(step(http), 60)

    assert world.calls == []


def missing() -> str:
    raise FileNotFoundError(2, "No such file", "/run/token")


def undecodable() -> str:
    return b"hunter2\xff".decode()


@pytest.mark.parametrize(
    "read",
    [missing, undecodable, lambda: "", lambda: "\n", lambda: "hunter2\nX-Evil: 1", lambda: "hunter2é"],
    ids=["no file", "no text", "empty", "only a line end", "two lines", "not ASCII"],
)
async def test_a_secret_that_can_not_be_used_is_unavailable_and_stays_unsaid(
    world: World, read: Callable[[], str]
) -> None:
    async with backend(world, StaticCredential(read)) as http:
        with pytest.raises(CredentialUnavailable) as caught:
            await call(http)

    assert world.calls == []
    assert "hunter2" not in "".join(traceback.format_exception(caught.value)) + repr(caught.value.__cause__)


@ALL
async def test_no_secret_shows_in_a_repr(world: World, make: Make) -> None:
    world.token = lambda _: httpx.Response(
        200, headers={"X-Subject-Token": "hunter2"}, json={"access_token": "hunter2", "accessToken": "hunter2"}
    )
    credential = make()
    async with backend(world, credential) as http:
        await call(http)
        assert "hunter2" not in f"{credential!r} {credential} {vars(credential)!r} {http!r}"


@ENDPOINTS
@pytest.mark.parametrize("status", [401, 500])
async def test_no_secret_shows_in_a_failure(world: World, make: Make, status: int) -> None:
    world.token = lambda request: httpx.Response(status, content=request.content + b"hunter2")
    async with backend(world, make()) as http:
        with pytest.raises((CredentialRefused, CredentialUnavailable)) as caught:
            await call(http)

    assert "hunter2" not in "".join(traceback.format_exception(caught.value))
