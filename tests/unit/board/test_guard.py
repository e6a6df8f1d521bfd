"""The guard: which requests are refused before the board sees them."""

from __future__ import annotations

import pytest
from starlette.datastructures import Headers
from starlette.types import Receive, Scope, Send

from worker.board.guard import Guard, host_names


async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer nothing."""


GUARD = Guard(nothing, host_names("127.0.0.1", ["ops.example.com"]))
HOST = {"host": "127.0.0.1:8590"}
FOREIGN = {"origin": "http://evil.example"}


@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("GET", HOST, None),
        ("GET", {"host": "localhost"}, None),
        ("GET", {"host": "[::1]:8590"}, None),
        ("GET", {"host": "OPS.example.com:443"}, None),
        ("GET", {"host": "ops.example.com."}, None),
        ("GET", {"host": "evil.example:8590"}, 421),
        ("GET", {"host": "127.0.0.1.evil.example"}, 421),
        ("GET", {"host": "ops.example.com.evil.example"}, 421),
        ("GET", {"host": "127.0.0.1:8590@evil.example"}, 421),
        ("GET", {"host": ""}, 421),
        ("GET", {}, 421),
        ("POST", {**HOST, "origin": "http://127.0.0.1:8590"}, None),
        ("POST", {**HOST, **FOREIGN}, 403),
        ("GET", {**HOST, **FOREIGN}, 403),
        ("POST", {**HOST, "origin": "null"}, 403),
        ("POST", {**HOST, "origin": "http://127.0.0.1:9999"}, 403),
        ("POST", {**HOST, "origin": "http://localhost:8590"}, 403),
        ("POST", {**HOST, "sec-fetch-site": "cross-site"}, 403),
        ("POST", {**HOST, "sec-fetch-site": "same-site", "sec-fetch-mode": "navigate"}, 403),
        ("POST", {**HOST, "sec-fetch-site": "same-origin"}, None),
        ("GET", {**HOST, "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}, None),
        ("GET", {**HOST, "sec-fetch-site": "cross-site", "sec-fetch-mode": "no-cors"}, 403),
        ("GET", {**HOST, "sec-fetch-site": "none"}, None),
    ],
    ids=[
        "an address",
        "localhost",
        "IPv6",
        "a configured name",
        "with the root's dot",
        "a rebound name",
        "an address in a name",
        "a name in a name",
        "a user part",
        "an empty name",
        "no name",
        "our own form",
        "a foreign form",
        "a foreign read",
        "a hidden origin",
        "another port",
        "another name of ours",
        "a form of another site",
        "a form of a neighbour",
        "a form of this site",
        "a link followed",
        "a picture elsewhere",
        "typed",
    ],
)
def test_what_no_page_of_ours_has_asked_is_refused(method: str, headers: dict[str, str], status: int | None) -> None:
    problem = GUARD.problem(method, Headers(headers))

    assert (problem[0] if problem else None) == status


@pytest.mark.parametrize(
    ("host", "name"),
    [("a:1", "a"), ("A", "a"), ("[::1]", "[::1]"), ("[::1]:1", "[::1]"), ("a:b", "a:b")],
    ids=["port", "no port", "IPv6", "IPv6 with port", "no number"],
)
def test_the_name_of_a_host_has_no_port(host: str, name: str) -> None:
    assert Guard(nothing, {name}).problem("GET", Headers({"host": host})) is None


def test_an_address_that_is_no_name_of_ours_becomes_one_by_listening_on_it() -> None:
    assert "10.0.0.5" in host_names("10.0.0.5", [])
    assert "[fd00::1]" in host_names("fd00::1", [])
