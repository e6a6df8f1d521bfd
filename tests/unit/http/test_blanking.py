"""A secret that a backend was sent is blanked in its replies, wherever and however they repeat it."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Callable
from urllib.parse import quote, quote_plus

import httpx
import pytest
from support.mock_transport import HttpxTransport

from worker.backends.adapter import Reply, Request
from worker.http.blanking import BLANK, blanked, forms, parts
from worker.http.client import ExtraHeaders, Http
from worker.http.credentials import Credential, StaticCredential
from worker.http.token_endpoints import ClientCredentials, Keystone, Oml
from worker.http.transport import Proxy
from worker.http.transport_aiohttp import AiohttpTransport

LOGIN = "Basic c2NvdHQ6aHVudGVyMg=="
SECRET = 'p+ä/"<w> %d'


def echo(request: httpx.Request) -> httpx.Response:
    """Repeat the whole head of a request, in the body and in a header, as a careless gateway does."""
    if request.url.path == "/token":
        return httpx.Response(200, json={"accessToken": "token-1234", "expiresIn": 3600})
    shown = dict(request.headers)
    return httpx.Response(403, headers={"X-Echo": json.dumps(shown)}, json={"message": f"bad headers: {shown}"})


async def echoed(credential: Credential | None = None, **headers: str) -> str:
    wire = HttpxTransport(httpx.MockTransport(echo))
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    http = Http("https://b", credential=credential, wire=wire, headers=ExtraHeaders(secret=given))
    reply = await http.send(Request("GET", ("x",)))
    assert b"bad headers" in reply.body
    return f"{reply.body!r} {reply.headers}"


@pytest.mark.parametrize(
    ("credential", "secret"),
    [
        pytest.param(StaticCredential(lambda: "hunter2-token"), "hunter2-token", id="C1-bearer"),
        pytest.param(StaticCredential(lambda: "hunter2-token", header="X-Auth-Token"), "hunter2-token", id="C1-token"),
        pytest.param(Oml("https://b/token", lambda: "u", lambda: "p"), "token-1234", id="C1-issued"),
        pytest.param(
            StaticCredential(lambda: "hunter2", username=lambda: "scott"),
            base64.b64encode(b"scott:hunter2").decode(),
            id="C1-basic",
        ),
    ],
)
async def test_a_reply_does_not_repeat_the_credential(credential: Credential, secret: str) -> None:
    text = await echoed(credential)

    assert secret not in text
    assert text.count(BLANK) == 2


async def test_a_reply_does_not_repeat_a_header_from_a_variable() -> None:
    assert "hunter2" not in await echoed(X_Api_Key="hunter2-key")


async def test_a_reply_does_not_repeat_the_token_in_a_header_from_a_variable() -> None:
    wire = HttpxTransport(httpx.MockTransport(lambda one: httpx.Response(403, text=one.headers["x-auth"].split()[1])))
    http = Http("https://b", wire=wire, headers=ExtraHeaders(secret={"X-Auth": "Bearer hunter2-key"}))

    assert (await http.send(Request("GET", ("x",)))).body == b"[secret]"


SHOWN = "hunter2/+secret"
ENDPOINTS: dict[str, Credential] = {
    "oauth-basic": ClientCredentials("https://b/token", lambda: "client", lambda: SHOWN),
    "oauth-post": ClientCredentials("https://b/token", lambda: "client", lambda: SHOWN, client_auth="post"),
    "oml": Oml("https://b/token", lambda: "ann", lambda: SHOWN),
    "keystone": Keystone("https://b", lambda: "ann", lambda: SHOWN, user_domain="d", project_id="p1"),
    "keystone-application": Keystone("https://b", lambda: "id", lambda: SHOWN),
}


@pytest.mark.parametrize("credential", ENDPOINTS.values(), ids=ENDPOINTS.keys())
async def test_a_reply_repeats_nothing_that_the_token_endpoint_was_shown(credential: Credential) -> None:
    """The API and its token service may be one server."""
    seen: list[bytes] = []

    def both(request: httpx.Request) -> httpx.Response:
        if not seen:
            seen.append(request.content + request.headers.get("authorization", "").encode())
            token = "token-1234"
            headers = {"X-Subject-Token": token}
            return httpx.Response(200, headers=headers, json={"access_token": token, "accessToken": token})
        return httpx.Response(403, content=seen[0])

    http = Http("https://b", credential=credential, wire=HttpxTransport(httpx.MockTransport(both)))
    body = (await http.send(Request("GET", ("x",)))).body

    assert BLANK.encode() in body
    assert not [form for form in forms(SHOWN) if form in body]


async def test_a_token_that_holds_the_clients_name_is_taken_whole() -> None:
    """Many tokens contain their client's name, in base64."""
    token = "eyJhbGciOiJub25lIn0." + base64_of('{"client_id":"a-client-of-ours"}', pad=False) + "."
    wire = HttpxTransport(
        httpx.MockTransport(lambda one: httpx.Response(200, json={"access_token": token, "a": str(one.headers)}))
    )
    credential = ClientCredentials("https://b/token", lambda: "a-client-of-ours", lambda: "hunter2-secret")
    http = Http("https://b", credential=credential, wire=wire)
    await http.ready()

    assert (await credential.token(0.0)).value == token


@pytest.mark.parametrize(("own", "tokens"), [(LOGIN, ""), ("", LOGIN), (LOGIN, LOGIN)])
async def test_a_reply_does_not_repeat_a_proxys_password(own: str, tokens: str) -> None:
    """Neither that of the API's proxy, nor that of the token service's."""
    replies = httpx.MockTransport(lambda _: httpx.Response(403, text="c2NvdHQ6aHVudGVyMg== is scott:hunter2"))
    http = Http("https://b", wire=HttpxTransport(replies, own), token_wire=HttpxTransport(replies, tokens))

    assert (await http.send(Request("GET", ("x",)))).body == b"[secret] is scott:[secret]"
    assert (await http.get("/probe")).body == b"[secret] is scott:[secret]"


def test_a_wire_says_what_its_proxy_is_shown() -> None:
    wires = [AiohttpTransport(proxy=one) for one in (Proxy("http://p:3128", LOGIN), Proxy("http://p:3128"), None)]

    assert [wire.to_proxy for wire in wires] == [LOGIN, "", ""]


async def test_a_reply_does_not_repeat_the_password_of_basic() -> None:
    wire = HttpxTransport(httpx.MockTransport(lambda _: httpx.Response(403, text="scott's hunter2 is wrong")))
    http = Http("https://b", credential=StaticCredential(lambda: "hunter2", username=lambda: "scott"), wire=wire)

    assert (await http.send(Request("GET", ("x",)))).body == b"scott's [secret] is wrong"


async def test_the_answer_to_a_renewed_credential_is_blanked_as_well() -> None:
    tokens = iter(["first-token", "second-token"])
    wire = HttpxTransport(httpx.MockTransport(lambda one: httpx.Response(401, text=one.headers["authorization"])))
    http = Http("https://b", credential=StaticCredential(lambda: next(tokens)), wire=wire)

    assert (await http.send(Request("GET", ("x",)))).body == b"Bearer [secret]"


JSON, PERCENT, FORM, HTML = (
    (lambda text: json.dumps(text)[1:-1]),
    (lambda text: quote(text, safe="")),
    quote_plus,
    html.escape,
)


def base64_of(text: str, *, alphabet: bytes = b"+/", pad: bool = True) -> str:
    written = base64.b64encode(text.encode(), alphabet).decode()
    return written if pad else written.rstrip("=")


@pytest.mark.parametrize(
    "encode",
    [
        pytest.param(lambda text: text, id="raw"),
        pytest.param(JSON, id="json"),
        pytest.param(lambda text: json.dumps(text, ensure_ascii=False)[1:-1], id="json-utf-8"),
        pytest.param(lambda text: JSON(text).replace("/", "\\/"), id="json-with-escaped-slashes"),
        pytest.param(lambda text: JSON(text).replace("00e4", "00E4"), id="json-upper-case"),
        pytest.param(lambda text: "".join(f"\\u{ord(char):04x}" for char in text), id="json-every-character"),
        pytest.param(lambda text: JSON(JSON(text)), id="json-in-json"),
        pytest.param(HTML, id="html"),
        pytest.param(lambda text: html.escape(text, quote=False), id="html-with-raw-quotes"),
        pytest.param(lambda text: "".join(f"&#{ord(char)};" for char in text), id="html-decimal"),
        pytest.param(lambda text: "".join(f"&#x{ord(char):X};" for char in text), id="html-hexadecimal"),
        pytest.param(lambda text: text.replace("ä", "&auml;"), id="html-by-name"),
        pytest.param(PERCENT, id="percent"),
        pytest.param(
            lambda text: PERCENT(text).replace("%C3%A4", "%c3%a4").replace("%2F", "%2f"), id="percent-lower-case"
        ),
        pytest.param(lambda text: quote(text, safe="/"), id="percent-but-slashes"),
        pytest.param(lambda text: "".join(f"%{byte:02X}" for byte in text.encode()), id="percent-every-byte"),
        pytest.param(lambda text: PERCENT(PERCENT(text)), id="percent-twice"),
        pytest.param(FORM, id="form"),
        pytest.param(lambda text: HTML(FORM(text)), id="form-in-html"),
        pytest.param(lambda text: FORM(JSON(text)), id="json-in-a-form"),
        pytest.param(base64_of, id="base64"),
        pytest.param(lambda text: base64_of(text, pad=False), id="base64-unpadded"),
        pytest.param(lambda text: base64_of(text, alphabet=b"-_"), id="base64-for-urls"),
        pytest.param(lambda text: PERCENT(base64_of(text)), id="base64-in-a-url"),
        pytest.param(lambda text: base64_of(JSON(text)), id="json-in-base64"),
        pytest.param(lambda text: base64_of(FORM(text)), id="form-in-base64"),
        pytest.param(lambda text: text.encode().hex(), id="hexadecimal"),
        pytest.param(lambda text: text.encode().hex().upper(), id="hexadecimal-upper-case"),
        pytest.param(lambda text: "".join(f"\\x{byte:02x}" for byte in text.encode()), id="bytes-of-a-program"),
    ],
)
@pytest.mark.parametrize(
    "secret",
    [
        pytest.param('p+ä/"<w> %d', id="special"),
        pytest.param("100%41&amp;\\new?", id="escaped-looking"),
        pytest.param("Zm9vYmFyL+/9Pw==", id="base64-like"),
        pytest.param("hunter2", id="plain"),
    ],
)
@pytest.mark.parametrize("around", ["", "." * 1000], ids=["short", "long"])
def test_a_secret_is_known_in_every_encoding(encode: Callable[[str], str], secret: str, around: str) -> None:
    reply = Reply(403, {"x": f"a {encode(secret)}", "y": "b"}, f"[{encode(secret)}]{around}".encode())

    assert blanked(reply, (secret,)) == Reply(403, {"x": f"a {BLANK}", "y": "b"}, f"[{BLANK}]{around}".encode())


@pytest.mark.parametrize("alphabet", [b"+/", b"-_"], ids=["standard", "for-urls"])
@pytest.mark.parametrize("user", ["", "a", "ab", "abc"], ids=len)
@pytest.mark.parametrize("behind", ["", ".", "..", "..."], ids=len)
def test_no_alignment_in_base64_hides_a_secret(user: str, behind: str, alphabet: bytes) -> None:
    """Only some bits of its first and last character may be left."""
    secret = "?>hunter2?>~"
    reply = Reply(200, body=base64_of(f"{user}:{secret}{behind}", alphabet=alphabet).encode())
    left = blanked(reply, (secret,)).body

    assert BLANK.encode() in left
    assert len(left.replace(BLANK.encode(), b"")) <= len(base64_of(f"{user}:{behind}")) + 4


@pytest.mark.parametrize("charset", ["utf-16-le", "utf-16", "utf-32-be", "latin-1"])
def test_no_charset_hides_a_secret(charset: str) -> None:
    body = f'{{"error": "{SECRET}"}}'.encode(charset)
    left = blanked(Reply(403, {}, body), (SECRET,)).body

    assert BLANK.encode() in left
    assert "w> %d" not in left.replace(b"\0", b"").decode("latin-1")


def test_what_surrounds_a_secret_stays_as_it_came() -> None:
    body = rb'{"a": "\/\u00e4%41", "b": "hunter\u0032\/", "c": "&lt;hunter2&gt;hunter2"}'

    kept = rb'{"a": "\/\u00e4%41", "b": "[secret]\/", "c": "&lt;[secret]&gt;[secret]"}'
    assert blanked(Reply(200, {}, body), ("hunter2",)).body == kept


@pytest.mark.parametrize(
    ("value", "known"),
    [
        pytest.param("key-1234", ("key-1234",), id="a-key"),
        pytest.param("Bearer key-1234", ("Bearer key-1234", "key-1234"), id="behind-a-scheme"),
        pytest.param("correct horse battery", ("correct horse battery",), id="words"),
        pytest.param(
            "Basic c2NvdHQ6aHVudGVyMg==",
            ("Basic c2NvdHQ6aHVudGVyMg==", "c2NvdHQ6aHVudGVyMg==", "hunter2"),
            id="a-password",
        ),
        pytest.param("Basic c2Nvd", ("Basic c2Nvd", "c2Nvd"), id="a-password-that-can-not-be-read"),
    ],
)
def test_a_header_is_known_by_its_parts_as_well(value: str, known: tuple[str, ...]) -> None:
    assert parts(value) == known


def test_a_reply_without_a_secret_is_left_alone() -> None:
    reply = Reply(200, {"x": "a"}, b"{}")

    assert blanked(reply, (SECRET, "")) is reply


def test_a_short_secret_may_be_any_word_and_stays() -> None:
    assert forms("oracle") == ()
    assert forms("oracle1")
