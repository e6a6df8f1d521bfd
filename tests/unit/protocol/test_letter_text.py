"""What is kept and shown of a rejected message."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.protocol.letter_text import (
    BLANK,
    kept,
    shown,
    text_of,
    without_signatures,
    without_tokens,
)
from worker.protocol.signing import sign

KEY = "a-shared-secret-of-at-least-32-bytes"
NOW = datetime(2026, 11, 22, tzinfo=UTC)
TOKEN = sign({"verb": "cancel"}, producer="ops", key=KEY, algorithm="HS256", now=NOW)
HEADER, CLAIMS, SIGNATURE = TOKEN.split(".")
UNSIGNED = jwt.encode({"iss": "ops"}, None, algorithm="none")  # type: ignore[arg-type]


def coded(text: str, alphabet: bytes = b"+/") -> str:
    return base64.b64encode(text.encode(), alphabet).decode()


def header(text: str) -> str:
    return f"{coded(text, b'-_').rstrip('=')}.{CLAIMS}.{SIGNATURE}"


@pytest.mark.parametrize(
    ("text", "left"),
    [
        pytest.param(TOKEN, BLANK, id="C2-alone"),
        pytest.param(f"Bearer {TOKEN}, and more", f"Bearer {BLANK}, and more", id="C2-among-words"),
        pytest.param(f'{{"a": ["{TOKEN}"], "{TOKEN}": 1}}', f'{{"a": ["{BLANK}"], "{BLANK}": 1}}', id="C2-in-json"),
        pytest.param(json.dumps(f'{{"a": "{TOKEN}"}}'), json.dumps(f'{{"a": "{BLANK}"}}'), id="C2-json-in-json"),
        pytest.param(f"{{'token': '{TOKEN}'}}", f"{{'token': '{BLANK}'}}", id="C2-in-a-repr"),
        pytest.param(f"token.{TOKEN}", f"token.{BLANK}", id="C2-behind-a-dot"),
        pytest.param(f"token_{TOKEN}", f"token_{BLANK}", id="C2-without-a-gap"),
        pytest.param(f"https://a.b/?token={TOKEN}&c=d", f"https://a.b/?token={BLANK}&c=d", id="C2-in-a-url"),
        pytest.param(f"{TOKEN}.", BLANK, id="C2-with-a-dot-behind"),
        pytest.param(f"{TOKEN}.a.b", BLANK, id="C2-of-five-parts"),
        pytest.param(TOKEN[:-20], BLANK, id="C2-cut-in-its-signature"),
        pytest.param(f"{HEADER}.{CLAIMS}", BLANK, id="C2-cut-behind-its-claims"),
        pytest.param(UNSIGNED, BLANK, id="C2-unsigned"),
        pytest.param(header('{ "typ": "JWT", "alg": "EdDSA" }\n'), BLANK, id="C2-header-with-blanks"),
        pytest.param(header('{\n\t"alg": "EdDSA"\n}'), BLANK, id="C2-header-with-lines"),
        pytest.param(header(json.dumps({"x5c": ["A" * 5000], "alg": "none"})), BLANK, id="C2-long-header"),
        pytest.param(f"{TOKEN} {TOKEN}", f"{BLANK} {BLANK}", id="C2-two"),
    ],
)  # fmt: skip
def test_a_signed_token_is_blanked_wherever_it_lies(text: str, left: str) -> None:
    assert without_tokens(text) == left


@pytest.mark.parametrize("before", ["", "1", "12", "123"])
@pytest.mark.parametrize(
    "wrap",
    [
        pytest.param(coded, id="standard"),
        pytest.param(lambda text: coded(text, b"-_"), id="for-urls"),
        pytest.param(lambda text: coded(text).rstrip("="), id="unpadded"),
        pytest.param(lambda text: coded(coded(text)), id="twice"),
        pytest.param(lambda text: json.dumps(coded(f"{text}???>>>")).replace("/", "\\/"), id="with-escaped-slashes"),
    ],
)
def test_a_signed_token_in_base64_is_blanked(wrap: Callable[[str], str], before: str) -> None:
    """Other characters may directly precede the base64, so its beginning is not known."""
    text = before + wrap(f'[[], {{"token": "{TOKEN}"}}, {{}}]')

    assert SIGNATURE in unwrapped(text)
    assert SIGNATURE not in unwrapped(without_tokens(text))


def unwrapped(text: str, layers: int = 2) -> str:
    """Return a text, followed by its decoded base64, wherever that may begin."""
    runs = re.findall(r"[A-Za-z0-9+/]{24,}", text.replace("\\/", "/").replace("-", "+").replace("_", "/"))
    pieces = [run[shift:] for run in runs for shift in range(4)]
    meant = [base64.b64decode(piece[: len(piece) // 4 * 4]).decode("latin-1") for piece in pieces]
    return text + "".join(unwrapped(one, layers - 1) for one in meant) if layers else text


@pytest.mark.parametrize(
    "before",
    ["\n", "\u2028", "\\", "\x7f", "x", '"', "a/"],
    ids=["line", "separator", "backslash", "del", "x", "quote", "slash"],
)
def test_what_is_left_of_json_is_json(before: str) -> None:
    command = {"reason": f"{before}{TOKEN}", "other": f"{before}", "coded": f"{before}{coded(TOKEN)}", "n": [1]}
    left = json.loads(without_tokens(json.dumps(command)))

    assert left["reason"] == f"{before}{BLANK}"
    assert left["n"] == [1]
    assert SIGNATURE not in json.dumps(left)


@pytest.mark.parametrize(
    "text",
    [
        "", "worker.cancel", "a.b.c", "1.2.3-rc.1", "host.example.com", "eyes.brewery.keyboard-layouts-of-the-new-age",
        "0198f0a4b7c17d0e8a6e0a4b7c17d0e8.0198f0a4b7c17d0e8a6e.0198f0a4", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4",
        "/opt/eyewitness/new.file.of.a.quite-long-and-ordinary-name",
        coded("what is no token, but long enough for one"),
        header('{"typ": "JWT"}'), header('["alg"]'), HEADER, header('{"alg": "none"'),
        f"{HEADER}x.{CLAIMS}.{SIGNATURE}",
        "e" * 33, "ey" * 30 + ".a.b", "é.ü.ñ",
    ],
)  # fmt: skip
def test_an_ordinary_name_stays(text: str) -> None:
    assert without_tokens(text) == text


@given(st.text(st.sampled_from('eyJhbGciOi.{}"alg-_/+=\\ é\x00'), max_size=300))
def test_any_text_can_be_searched(text: str) -> None:
    assert isinstance(without_tokens(text), str)


@pytest.mark.parametrize("part", ["ey", "ey.", "eyJhbGciOi", ".", "A", coded('{"alg"'), "a/"])
def test_a_search_takes_no_longer_than_its_text(part: str) -> None:
    started = time.process_time()
    without_tokens(part * (200_000 // len(part)))

    assert time.process_time() - started < 5


@pytest.mark.parametrize(
    ("text", "line"),
    [
        pytest.param("budget, größer 予算", "budget, größer 予算", id="C3-text"),
        pytest.param("a\nb\r\tc", r"a\nb\r\tc", id="C3-lines"),
        pytest.param("\x1b[31mred\x1b]0;t\x07", r"\x1b[31mred\x1b]0;t\x07", id="C3-escapes"),
        pytest.param("\x00\x7f\x85\x9b2J", r"\x00\x7f\x85\x9b2J", id="C3-C0-and-C1"),
        pytest.param("a\u2028b\u2029c", r"a\u2028b\u2029c", id="C3-separators"),
        pytest.param("\u202eevil\u202c\u2066x\u2069\u061c", r"\u202eevil\u202c\u2066x\u2069\u061c", id="C3-bidi"),
        pytest.param("\ud800", r"\ud800", id="C3-half-a-pair"),
    ],
)  # fmt: skip
def test_a_text_is_one_line_on_any_terminal(text: str, line: str) -> None:
    assert shown(text, 100) == line


def test_what_is_shown_is_short_and_holds_no_token() -> None:
    assert shown(f"a\n{TOKEN}" + "x" * 10_000, 12) == f"a\\n{BLANK}"[:12]
    assert len(shown("\n" * 10_000, 100)) == 100


def test_a_message_within_its_share_is_kept_whole() -> None:
    assert kept('{"a": 1}', 8) == '{"a": 1}'


def test_of_a_larger_message_the_beginning_is_kept_with_its_length_and_digest() -> None:
    text = json.dumps({"a": "x" * 5000})

    assert json.loads(kept(text, 100)) == {
        "bytes": len(text),
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
        "beginning": text[:100],
    }


def test_no_token_is_kept_where_a_message_is_cut() -> None:
    text = json.dumps({"a": TOKEN, "b": "x" * 5000})

    assert not [1 for limit in range(1, 400) if CLAIMS[:10] in kept(text, limit)]


NO_TEXT = "[{} bytes that are not text, sha256 {}]"
UTF_16 = "größer".encode("utf-16-le")


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        pytest.param("[größer]\r\n\t".encode(), "[größer]\r\n\t", id="text"),
        pytest.param(b"\xff\x00", NO_TEXT.format(2, hashlib.sha256(b"\xff\x00").hexdigest()), id="no-utf-8"),
        pytest.param(UTF_16, NO_TEXT.format(len(UTF_16), hashlib.sha256(UTF_16).hexdigest()), id="utf-16"),
        pytest.param(b"a\x1bb", NO_TEXT.format(3, hashlib.sha256(b"a\x1bb").hexdigest()), id="control-characters"),
    ],
)
def test_what_is_no_text_goes_by_its_length_and_digest(raw: bytes, text: str) -> None:
    assert text_of(raw) == text


SIGNED = {"backend": "ess", "token": "t"}
BARE = {"backend": "ess"}


@pytest.mark.parametrize(
    ("content", "kept"),
    [
        pytest.param({"a": 1, "token": "t"}, {"a": 1}, id="a-command"),
        pytest.param({"commands": [SIGNED, 1]}, {"commands": [BARE, 1]}, id="commands"),
        pytest.param({"args": [1], "kwargs": SIGNED}, {"args": [1], "kwargs": BARE}, id="keyword-arguments"),
        pytest.param({"args": 1, "kwargs": [SIGNED]}, {"args": 1, "kwargs": [BARE]}, id="a-list-of-them"),
        pytest.param({"args": [SIGNED], "kwargs": 1}, {"args": [BARE], "kwargs": 1}, id="arguments"),
        pytest.param({"args": (SIGNED,), "kwargs": {}}, {"args": [BARE], "kwargs": {}}, id="a-tuple-of-them"),
        pytest.param({"positional": [SIGNED]}, {"positional": [BARE]}, id="positional"),
        pytest.param({"positional": [[SIGNED]]}, {"positional": [[BARE]]}, id="a-positional-list"),
        pytest.param({"positional": [[[], SIGNED, {}]]}, {"positional": [[[], BARE, {}]]}, id="a-body-in-a-body"),
        pytest.param({"args": [{"commands": [SIGNED]}]}, {"args": [{"commands": [BARE]}]}, id="positional-commands"),
        pytest.param({"commands": SIGNED}, {"commands": BARE}, id="one-command-for-a-list"),
        pytest.param({"command": SIGNED}, {"command": BARE}, id="an-unknown-field"),
        pytest.param([SIGNED], [BARE], id="a-list"),
    ],
)
def test_no_signature_is_kept_wherever_a_message_has_it(content: object, kept: object) -> None:
    assert without_signatures(content) == kept


def test_a_label_or_a_parameter_may_be_called_token() -> None:
    command = {**BARE, "labels": {"token": "red"}, "params": {"token": "1"}}

    assert without_signatures({"commands": [{**command, "token": "t"}]}) == {"commands": [command]}
