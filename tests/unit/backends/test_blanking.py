"""What a backend was shown in secret is blank in its replies, wherever and however it repeats it."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import httpx
import pytest
from unit.backends.httpx_wire import HttpxWire

from worker.backends.auth import Basic, Bearer, Credential, StaticToken
from worker.backends.auth_tokens import Oml
from worker.backends.base import Reply, Request
from worker.backends.blanking import BLANK, blanked, forms
from worker.backends.http import ExtraHeaders, Http

SECRET = 'p+ä/"<w> %d'


def echo(request: httpx.Request) -> httpx.Response:
    """Repeat the whole head of a request, in the body and in a header, as a careless gateway does."""
    if request.url.path == "/token":
        return httpx.Response(200, json={"accessToken": "token-1234", "expiresIn": 3600})
    shown = dict(request.headers)
    return httpx.Response(403, headers={"X-Echo": json.dumps(shown)}, json={"message": f"bad headers: {shown}"})


async def echoed(credential: Credential | None = None, **headers: str) -> str:
    wire = HttpxWire(httpx.MockTransport(echo))
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    http = Http("https://b", credential=credential, wire=wire, headers=ExtraHeaders(secret=given))
    reply = await http.send(Request("GET", ("x",)))
    assert b"bad headers" in reply.body
    return f"{reply.body!r} {reply.headers}"


@pytest.mark.parametrize(
    ("credential", "secret"),
    [
        pytest.param(Bearer(lambda: "hunter2-token"), "hunter2-token", id="C1-bearer"),
        pytest.param(StaticToken(lambda: "hunter2-token"), "hunter2-token", id="C1-token"),
        pytest.param(Oml("https://b/token", lambda: "u", lambda: "p"), "token-1234", id="C1-issued"),
        pytest.param(
            Basic(lambda: "scott", lambda: "hunter2"), base64.b64encode(b"scott:hunter2").decode(), id="C1-basic"
        ),
    ],
)
async def test_a_reply_does_not_repeat_the_credential(credential: Credential, secret: str) -> None:
    text = await echoed(credential)

    assert secret not in text
    assert text.count(BLANK) == 2


async def test_a_reply_does_not_repeat_a_header_from_a_variable() -> None:
    assert "hunter2" not in await echoed(X_Api_Key="hunter2-key")


async def test_a_reply_does_not_repeat_the_password_of_basic() -> None:
    wire = HttpxWire(httpx.MockTransport(lambda _: httpx.Response(403, text="scott's hunter2 is wrong")))
    http = Http("https://b", credential=Basic(lambda: "scott", lambda: "hunter2"), wire=wire)

    assert (await http.send(Request("GET", ("x",)))).body == b"scott's [secret] is wrong"


async def test_the_answer_to_a_renewed_credential_is_blanked_as_well() -> None:
    tokens = iter(["first-token", "second-token"])
    wire = HttpxWire(httpx.MockTransport(lambda one: httpx.Response(401, text=one.headers["authorization"])))
    http = Http("https://b", credential=Bearer(lambda: next(tokens)), wire=wire)

    assert (await http.send(Request("GET", ("x",)))).body == b"Bearer [secret]"


@pytest.mark.parametrize(
    "encode",
    [
        pytest.param(lambda text: text, id="raw"),
        pytest.param(lambda text: json.dumps(text)[1:-1], id="json"),
        pytest.param(lambda text: json.dumps(text, ensure_ascii=False)[1:-1], id="json-utf-8"),
        pytest.param(html.escape, id="html"),
        pytest.param(lambda text: quote(text, safe=""), id="percent"),
        pytest.param(quote_plus, id="form"),
        pytest.param(lambda text: base64.b64encode(text.encode()).decode(), id="base64"),
    ],
)
def test_a_secret_is_known_in_every_encoding(encode: Callable[[str], str]) -> None:
    reply = Reply(403, {"x": f"a {encode(SECRET)}", "y": "b"}, f"[{encode(SECRET)}]".encode())

    assert blanked(reply, (SECRET,)) == Reply(403, {"x": f"a {BLANK}", "y": "b"}, f"[{BLANK}]".encode())


def test_a_reply_without_a_secret_is_left_alone() -> None:
    reply = Reply(200, {"x": "a"}, b"{}")

    assert blanked(reply, (SECRET, "")) is reply


def test_a_short_secret_may_be_any_word_and_stays() -> None:
    assert forms("oracle") == ()
    assert forms("oracle1")
