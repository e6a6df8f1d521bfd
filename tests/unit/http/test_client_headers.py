"""Extra headers: which calls carry them, and which of two headers with the same name is sent."""

from __future__ import annotations

from collections.abc import Mapping

import httpx
import pytest
from support.mock_transport import HttpxTransport

from worker.backends.adapter import Request
from worker.http.client import ExtraHeaders, Http, merged
from worker.http.credentials import Credential, StaticCredential
from worker.http.token_endpoints import Oml


class Tape:
    """Records every request and issues tokens."""

    def __init__(self) -> None:
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        return httpx.Response(200, json={"accessToken": "t", "expiresIn": 3600})


def http(tape: Tape, headers: Mapping[str, str], credential: Credential | None = None) -> Http:
    wire = HttpxTransport(httpx.MockTransport(tape))
    return Http("https://b.example.com", credential=credential, wire=wire, headers=ExtraHeaders(headers))


async def sent(request: Request, **headers: str) -> httpx.Headers:
    tape = Tape()
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    await http(tape, given).send(request, traceparent="00-1")
    return tape.requests[0].headers


GET = Request("GET", ("x",))
CANCEL = Request("GET", ("x", "cancel"), headers={"Accept": "application/json", "Cache-Control": "no-store"})
POST = Request("POST", ("x",), json={})


@pytest.mark.parametrize(
    ("request_", "given", "name", "values"),
    [
        pytest.param(GET, {"X_Requested_By": "us"}, "x-requested-by", ["us"], id="another"),
        pytest.param(POST, {"X_Requested_By": "us"}, "x-requested-by", ["us"], id="with-a-body"),
        pytest.param(GET, {"accept": "text/plain"}, "accept", ["text/plain"], id="our-accept"),
        pytest.param(CANCEL, {"ACCEPT": "text/plain"}, "accept", ["text/plain"], id="an-adapters-accept"),
        pytest.param(GET, {"user_agent": "us"}, "user-agent", ["us"], id="our-user-agent"),
        pytest.param(CANCEL, {"cache_control": "max-age=60"}, "cache-control", ["no-store"], id="an-adapters-header"),
        pytest.param(GET, {"cache_control": "max-age=60"}, "cache-control", ["max-age=60"], id="no-adapters-header"),
        pytest.param(POST, {"content_type": "text/plain"}, "content-type", ["application/json"], id="of-a-body"),
        pytest.param(GET, {"content_type": "text/plain"}, "content-type", ["text/plain"], id="of-no-body"),
        pytest.param(GET, {}, "accept-encoding", ["gzip, deflate"], id="default"),
        pytest.param(GET, {}, "traceparent", ["00-1"], id="traceparent"),
    ],
)
async def test_one_header_of_a_name_goes_out(
    request_: Request, given: dict[str, str], name: str, values: list[str]
) -> None:
    assert (await sent(request_, **given)).get_list(name) == values


async def test_extra_headers_are_for_the_api_alone() -> None:
    tape = Tape()
    credential = Oml("https://idp.example.com/token", lambda: "u", lambda: "p")
    api = http(tape, {"X-Key": "hunter2", "User-Agent": "us"}, credential)
    await api.send(GET)
    await api.get("/alive/1")

    shown = [(one.url.host, one.headers.get("x-key"), one.headers["user-agent"][:9]) for one in tape.requests]
    assert shown == [
        ("idp.example.com", None, "canceller"),
        ("b.example.com", "hunter2", "us"),
        ("b.example.com", None, "canceller"),
    ]


async def test_extra_headers_come_with_the_credential() -> None:
    tape = Tape()
    await http(tape, {"X-Key": "k"}, StaticCredential(lambda: "t")).send(GET)

    assert (tape.requests[0].headers["x-key"], tape.requests[0].headers["authorization"]) == ("k", "Bearer t")


def test_the_last_of_several_headers_with_one_name_stands() -> None:
    assert merged({"Accept": "1", "X": "2"}, {"ACCEPT": "3"}, {}, {"accept": "4"}) == {"accept": "4", "X": "2"}
