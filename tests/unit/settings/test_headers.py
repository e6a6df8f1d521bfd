"""Extra headers of a backend: which names and values the file may give, and which mistakes are listed."""

from __future__ import annotations

import pytest
from support.backends_file import parse_backends
from unit.settings.backends_file import ENVIRON, one, problems

from worker.http.client import ExtraHeaders
from worker.runtime.wiring import headers_of
from worker.settings.errors import ConfigurationError

ESS = 'kind = "oracle-ess"\nbase_url = "https://h"\n'
NONE = ESS + 'auth = { type = "none" }\n'
BEARER = ESS + 'auth = { type = "bearer", token_env = "TOKEN" }\n'


def test_headers_are_read_as_written_and_from_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KEY", "hunter2")
    monkeypatch.setenv("FILED", "k\n")
    keys = 'headers = { X-Requested-By = "us" }\nheaders_env = { x-api-key = "KEY", "X.Y~z" = "FILED" }'

    headers = headers_of(one(NONE + keys))

    assert headers.plain == {"X-Requested-By": "us"}
    assert headers.secret == {"x-api-key": "hunter2", "X.Y~z": "k"}
    assert "hunter2" not in repr(headers)


def test_no_headers_are_the_default() -> None:
    assert headers_of(one(NONE)) == ExtraHeaders()


def test_a_headers_value_is_not_shown() -> None:
    backend = one(f'{NONE}headers = {{ X-Key = "hunter2" }}\nheaders_env = {{ X-Other = "KEY" }}')

    assert "hunter2" not in f"{backend!r}{backend}"
    assert "hunter2" not in repr(backend.model_dump(include={"headers_env"}))


@pytest.mark.parametrize(
    ("auth", "keys"),
    [
        pytest.param(NONE, 'headers_env = { Authorization = "KEY" }', id="authorization-without-auth"),
        pytest.param(BEARER, 'headers_env = { X-Auth-Token = "KEY" }', id="another-auths-header"),
        pytest.param(BEARER, 'headers = { Accept = "application/json", User-Agent = "us" }', id="our-defaults"),
        pytest.param(NONE, 'headers = { Content-Type = "text/plain", X-Empty = "" }', id="content-type-and-empty"),
    ],
)
def test_a_header_may_be(auth: str, keys: str) -> None:
    assert one(auth + keys)


@pytest.mark.parametrize(
    ("keys", "place", "text"),
    [
        pytest.param('headers = { "X Y" = "1" }', "headers.X Y", "is not a header name", id="space"),
        pytest.param('headers = { "" = "1" }', "headers.", "is not a header name", id="empty-name"),
        pytest.param('headers = { "X:" = "1" }', "headers.X:", "is not a header name", id="colon"),
        pytest.param('headers = { "Xü" = "1" }', "headers.Xü", "is not a header name", id="umlaut"),
        pytest.param('headers = { X = "hunter2\\nY: 1" }', "headers.X", "printable ASCII", id="line-break"),
        pytest.param('headers = { X = "hünter2" }', "headers.X", "printable ASCII", id="value-umlaut"),
        pytest.param('headers = { X = "hunter2\\t" }', "headers.X", "printable ASCII", id="tab"),
        pytest.param("headers = { X = 1 }", "headers.X", "text in quotes", id="number"),
        pytest.param('headers = "X: 1"', "headers", "must be a table", id="no-table"),
        pytest.param('headers = { Host = "h" }', "headers.Host", "taken from base_url", id="host"),
        pytest.param('headers = { content-length = "1" }', "headers.content-length", "remove it", id="length"),
        pytest.param('headers = { CONNECTION = "close" }', "headers.CONNECTION", "remove it", id="connection"),
        pytest.param('headers = { Accept-Encoding = "br" }', "headers.Accept-Encoding", "can decode", id="encoding"),
        pytest.param('headers_env = { Proxy-Authorization = "KEY" }', "headers_env.Proxy-Authorization", "proxy_env",
                     id="proxy-authorization"),
        pytest.param('headers = { traceparent = "1" }', "headers.traceparent", "each command", id="traceparent"),
        pytest.param('headers = { authorization = "hunter2" }', "headers.authorization", "set by auth", id="auth"),
        pytest.param('headers_env = { Authorization = "KEY" }', "headers_env.Authorization", "set by auth",
                     id="auth-from-a-variable"),
        pytest.param('headers = { Cookie = "hunter2" }', "headers", "use headers_env for Cookie", id="inline-secret"),
        pytest.param('headers = { X-A = "1", x-a = "2" }', "headers", "x-a is given twice", id="twice"),
        pytest.param('headers = { X-A = "1" }\nheaders_env = { x-a = "KEY" }', "headers_env", "x-a is given twice",
                     id="in-both"),
        pytest.param('headers_env = { X = "ABSENT" }', "headers_env.X", "variable ABSENT is not set", id="unset"),
        pytest.param('headers_env = { X = "EMPTY" }', "headers_env.X", "variable EMPTY is empty", id="empty"),
        pytest.param('headers_env = { X = "hunter2" }', "headers_env.X", "is not set", id="perhaps-the-secret"),
        pytest.param('headers_env = { X = "hunter2!" }', "headers_env.X", "not the secret itself", id="the-secret"),
        pytest.param('headers_env = { X = "LINES" }', "headers_env.X", "LINES must hold printable", id="lines"),
        pytest.param('headers_env = { X = "UMLAUT" }', "headers_env.X", "UMLAUT must hold printable", id="umlauts"),
        pytest.param('header = { X = "1" }', "header", "did you mean headers?", id="misspelt"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_header_is_told_and_no_value_shown(keys: str, place: str, text: str) -> None:
    (problem,) = problems(f"[backends.x]\n{BEARER}{keys}")

    assert problem.startswith(f"b.toml: [backends.x] {place}: ")
    assert text in problem
    assert "hunter2" not in problem
    assert "hünter2" not in problem


def test_the_header_of_a_keystone_token_is_auths() -> None:
    keys = 'kind = "mrs"\nbase_url = "https://h"\nproject_id = "p"\nauth = { type = "token", token_env = "TOKEN" }\n'
    with pytest.raises(ConfigurationError, match=r"headers_env\.x-auth-token: is set by auth"):
        parse_backends(f'[backends.x]\n{keys}headers_env = {{ x-auth-token = "KEY" }}', environ=ENVIRON)


def test_all_mistakes_in_headers_are_listed_at_once() -> None:
    keys = 'headers = { Host = "h", "a b" = "1", X = 2 }\nheaders_env = { Y = "ABSENT", Z = "EMPTY" }'

    assert [problem.partition(": ")[2].partition(": ")[0] for problem in problems(f"[backends.x]\n{NONE}{keys}")] == [
        "[backends.x] headers.Host",
        "[backends.x] headers.a b",
        "[backends.x] headers.X",
        "[backends.x] headers_env.Y",
        "[backends.x] headers_env.Z",
    ]
