"""What each kind of token endpoint is sent, and what its answers mean; the network is a function."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from urllib.parse import parse_qs

import httpx
import pytest

from worker.backends.adapter import Reply
from worker.domain.errors import CredentialRefused
from worker.http.credentials import Credential
from worker.http.token_endpoints import (
    REFUSAL_HOLDS,
    ClientCredentials,
    Keystone,
    Oml,
    seconds,
)

TOKEN_URL = "https://idp.example.com/token"
HOUR = 3600.0


@dataclass
class Endpoint:
    """Numbers the tokens that it issues; its clock is the test's."""

    now: float = 1000.0
    asked: list[httpx.Request] = field(default_factory=list)
    refuses: Callable[[httpx.Request], bool] = lambda _: False
    status: int = 401

    async def __call__(self, request: httpx.Request) -> Reply:
        self.asked.append(request)
        name = f"t{len(self.asked)}"
        names = {"access_token": name, "expires_in": HOUR, "accessToken": name, "expiresIn": HOUR}
        status = self.status if self.refuses(request) else 200
        return Reply(status, {"x-subject-token": name}, json.dumps(names).encode())

    def grants(self) -> list[str]:
        return [json.loads(request.content)["grant_type"] for request in self.asked]


@pytest.fixture
def endpoint() -> Endpoint:
    return Endpoint()


async def ready(credential: Credential, endpoint: Endpoint) -> None:
    credential.fetch = endpoint
    await credential.token(asyncio.get_running_loop().time() + 5)


def oml(endpoint: Endpoint) -> Oml:
    return Oml(TOKEN_URL, lambda: "scott", lambda: "hunter2", monotonic=lambda: endpoint.now)


async def test_oauth2_shows_the_client_by_basic_and_asks_for_its_scope(endpoint: Endpoint) -> None:
    await ready(ClientCredentials(TOKEN_URL, lambda: "id:1", lambda: "p w", scope="urn:a"), endpoint)

    (request,) = endpoint.asked
    pair = base64.b64decode(request.headers["authorization"].removeprefix("Basic "))
    assert (request.method, str(request.url), pair) == ("POST", TOKEN_URL, b"id%3A1:p+w")
    assert parse_qs(request.content.decode()) == {"grant_type": ["client_credentials"], "scope": ["urn:a"]}


async def test_oauth2_asks_for_no_scope_where_none_is_set(endpoint: Endpoint) -> None:
    await ready(ClientCredentials(TOKEN_URL, lambda: "id", lambda: "s"), endpoint)

    assert endpoint.asked[0].content == b"grant_type=client_credentials"


async def test_keystone_asks_for_the_project(endpoint: Endpoint) -> None:
    url = "https://idp.example.com/iam/"
    await ready(Keystone(url, lambda: "scott", lambda: "hunter2", user_domain="d1", project_id="p1"), endpoint)

    (request,) = endpoint.asked
    user = {"name": "scott", "password": "hunter2", "domain": {"name": "d1"}}
    assert (request.method, request.url.path) == ("POST", "/iam/v3/auth/tokens")
    assert json.loads(request.content)["auth"] == {
        "identity": {"methods": ["password"], "password": {"user": user}},
        "scope": {"project": {"id": "p1"}},
    }


@pytest.mark.parametrize("secret", ["p+w", "a/b", "50%", "ü &=", "plain"])
async def test_oauth2_shows_the_client_in_the_form_with_post(endpoint: Endpoint, secret: str) -> None:
    await ready(ClientCredentials(TOKEN_URL, lambda: "id:1", lambda: secret, scope="s", client_auth="post"), endpoint)

    (request,) = endpoint.asked
    shown = {"grant_type": ["client_credentials"], "scope": ["s"], "client_id": ["id:1"], "client_secret": [secret]}
    assert parse_qs(request.content.decode()) == shown
    assert "authorization" not in request.headers


async def test_keystone_takes_an_application_credential_without_a_scope(endpoint: Endpoint) -> None:
    await ready(Keystone("https://idp.example.com/v3", lambda: "id", lambda: "hunter2"), endpoint)

    (request,) = endpoint.asked
    identity = {"methods": ["application_credential"], "application_credential": {"id": "id", "secret": "hunter2"}}
    assert request.url.path == "/v3/auth/tokens"
    assert json.loads(request.content)["auth"] == {"identity": identity}


async def test_keystone_shows_an_application_credentials_token(endpoint: Endpoint) -> None:
    credential = Keystone("https://idp.example.com", lambda: "id", lambda: "hunter2")
    await ready(credential, endpoint)

    assert (credential.header, credential.scheme, (await credential.token(0)).value) == ("X-Auth-Token", "", "t1")


@pytest.mark.parametrize(
    ("url", "asked"),
    [
        pytest.param("https://k", "https://k/v3/auth/tokens", id="root"),
        pytest.param("https://k/", "https://k/v3/auth/tokens", id="slash"),
        pytest.param("https://k/v3", "https://k/v3/auth/tokens", id="G5-v3"),
        pytest.param("https://k:5000/v3/", "https://k:5000/v3/auth/tokens", id="v3-and-slash"),
        pytest.param("https://k/identity/v3//", "https://k/identity/v3/auth/tokens", id="prefix"),
        pytest.param("https://k/identity", "https://k/identity/v3/auth/tokens", id="prefix-alone"),
        pytest.param("https://v3", "https://v3/v3/auth/tokens", id="a-host-called-v3"),
    ],
)
async def test_keystones_address_may_hold_the_version(endpoint: Endpoint, url: str, asked: str) -> None:
    await ready(Keystone(url, lambda: "id", lambda: "s"), endpoint)

    assert str(endpoint.asked[0].url) == asked


async def test_oml_shows_the_password_first(endpoint: Endpoint) -> None:
    await ready(oml(endpoint), endpoint)

    grant = {"grant_type": "password", "username": "scott", "password": "hunter2"}
    assert [json.loads(request.content) for request in endpoint.asked] == [grant]


async def test_oml_refreshes_with_the_old_token(endpoint: Endpoint) -> None:
    credential = oml(endpoint)
    await ready(credential, endpoint)
    endpoint.now += HOUR - 30
    await ready(credential, endpoint)

    assert json.loads(endpoint.asked[1].content) == {"grant_type": "refresh_token", "token": "t1"}


async def test_oml_does_not_refresh_a_token_that_has_ended(endpoint: Endpoint) -> None:
    credential = oml(endpoint)
    await ready(credential, endpoint)
    endpoint.now += HOUR
    await ready(credential, endpoint)

    assert endpoint.grants() == ["password", "password"]


async def test_oml_does_not_refresh_a_token_that_was_refused(endpoint: Endpoint) -> None:
    credential = oml(endpoint)
    credential.fetch = endpoint
    deadline = asyncio.get_running_loop().time() + 5
    credential.refused(await credential.token(deadline))
    again = await credential.token(deadline)

    assert again.value == "t2"
    assert endpoint.grants() == ["password", "password"]


@pytest.mark.parametrize("status", [400, 401, 403])
async def test_oml_shows_the_password_when_the_refresh_is_refused(endpoint: Endpoint, status: int) -> None:
    endpoint.status, endpoint.refuses = status, lambda request: b"refresh_token" in request.content
    credential = oml(endpoint)
    await ready(credential, endpoint)
    endpoint.now += HOUR - 30
    await ready(credential, endpoint)

    assert endpoint.grants() == ["password", "refresh_token", "password"]


async def test_oml_shows_the_password_once_in_eight_hours(endpoint: Endpoint) -> None:
    credential = oml(endpoint)
    for _ in range(10):
        await ready(credential, endpoint)
        endpoint.now += HOUR - 30

    assert endpoint.grants() == ["password", *["refresh_token"] * 8, "password"]


async def test_a_refused_secret_is_read_again(endpoint: Endpoint) -> None:
    endpoint.refuses = lambda request: b"old" in request.content
    passwords = iter(["old", "new"])
    await ready(Oml(TOKEN_URL, lambda: "scott", lambda: next(passwords)), endpoint)

    assert [json.loads(request.content)["password"] for request in endpoint.asked] == ["old", "new"]


async def refused(credential: Credential, endpoint: Endpoint) -> None:
    with pytest.raises(CredentialRefused):
        await ready(credential, endpoint)


async def test_a_refusal_answers_for_a_moment(endpoint: Endpoint) -> None:
    endpoint.refuses = lambda _: True
    credential = oml(endpoint)
    for _ in range(3):
        await refused(credential, endpoint)
    assert endpoint.grants() == ["password"] * 2
    endpoint.now += REFUSAL_HOLDS
    await refused(credential, endpoint)

    assert endpoint.grants() == ["password"] * 4


async def test_another_secret_is_tried_at_once_after_a_refusal(endpoint: Endpoint) -> None:
    endpoint.refuses = lambda request: b"old" in request.content
    password = ["old"]
    credential = Oml(TOKEN_URL, lambda: "scott", lambda: password[0], monotonic=lambda: endpoint.now)
    await refused(credential, endpoint)
    password[0] = "new"
    await ready(credential, endpoint)

    assert [json.loads(request.content)["password"] for request in endpoint.asked] == ["old", "old", "new"]


MOMENT = datetime(2026, 11, 22, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("body", "date", "expected"),
    [
        pytest.param({"token": {"expires_at": "2026-11-22T10:25:00.000000Z"}}, MOMENT, 1500.0, id="by the Date header"),
        pytest.param(
            {"token": {"expires_at": "2001-01-01T00:25:00Z"}},
            datetime(2001, 1, 1, tzinfo=UTC),
            1500.0,
            id="a server 25 years off",
        ),
        pytest.param({"token": {"expires_at": "2026-11-22T10:25:00"}}, MOMENT, 1500.0, id="no zone is UTC"),
        pytest.param({"token": {"expires_at": "2026-11-22T10:25:00Z"}}, None, HOUR, id="no Date"),
        pytest.param({"token": {"expires_at": "2026-11-22T09:59:00Z"}}, MOMENT, HOUR, id="ended before it was given"),
        pytest.param({"token": {"expires_at": "soon"}}, MOMENT, HOUR, id="no time"),
        pytest.param({"token": {"expires_at": 7}}, MOMENT, HOUR, id="no text"),
        pytest.param({"token": []}, MOMENT, HOUR, id="no object"),
        pytest.param([], MOMENT, HOUR, id="no body"),
    ],
)
async def test_keystone_tokens_live_by_the_servers_clock(body: object, date: datetime | None, expected: float) -> None:
    headers = {"date": format_datetime(date, usegmt=True)} if date else {}
    credential = Keystone("https://k", lambda: "id", lambda: "s", monotonic=lambda: 0.0)

    async def answer(_: httpx.Request) -> Reply:
        return Reply(201, headers | {"x-subject-token": "t"}, json.dumps(body).encode())

    credential.fetch = answer

    assert (await credential.token(asyncio.get_running_loop().time() + 5)).ends == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (10, 10.0),
        ("7", 7.0),
        (0, HOUR),
        (-1, HOUR),
        (None, HOUR),
        ("x", HOUR),
        ("nan", HOUR),
        ("inf", HOUR),
        ([], HOUR),
    ],
)
def test_a_life_that_is_no_positive_number_is_an_hour(value: object, expected: float) -> None:
    assert seconds(value) == expected
