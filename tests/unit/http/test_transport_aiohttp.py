"""What aiohttp's parser gets of a reply's head: one length, if any."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.http.transport_aiohttp import one_length

LINES = st.sampled_from(
    ["Content-Length: 8", "content-length:8", "Content-Length: 9", "Transfer-Encoding: chunked", "X: y", " 8", "8", ""]
)


def head(*lines: str, version: str = "1.1") -> bytes:
    return "\r\n".join((f"HTTP/{version} 200 OK", *lines, "", "")).encode()


@pytest.mark.parametrize(
    ("said", "mended"),
    [
        pytest.param(("Content-Length: 8", "Content-Length: 8"), ("Content-Length: 8",), id="twice"),
        pytest.param(
            ("A: b", "content-length:8", "C: d", "CONTENT-LENGTH: 8\t", "E: f"),
            ("A: b", "Content-Length: 8", "C: d", "E: f"),
            id="twice-apart",
        ),
        pytest.param(("Content-Length: 8,8 , 8",), ("Content-Length: 8",), id="in-one-line"),
        pytest.param(("Content-Length: 8", "Content-Length: 08"), ("Content-Length: 8",), id="as-a-number"),
        pytest.param(("Content-Length: 0", "Content-Length: 0"), ("Content-Length: 0",), id="zero"),
        pytest.param(("Content-Length: 8", "Transfer-Encoding: chunked"), ("Transfer-Encoding: chunked",), id="chunks"),
        pytest.param(("transfer-encoding:CHUNKED ", "Content-Length: 8,8"), ("transfer-encoding:CHUNKED ",), id="both"),
    ],
)
def test_a_length_that_is_said_twice_is_said_once(said: tuple[str, ...], mended: tuple[str, ...]) -> None:
    assert one_length(head(*said)) == head(*mended)


def test_lines_may_end_without_a_return() -> None:
    said = b"HTTP/1.1 200 OK\nContent-Length: 8\nContent-Length: 8\n\n"

    assert one_length(said).split() == b"HTTP/1.1 200 OK Content-Length: 8".split()


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(head(), id="no-length"),
        pytest.param(head("Content-Length: 8"), id="one-length"),
        pytest.param(head("Transfer-Encoding: chunked"), id="chunks"),
        pytest.param(head("X-Content-Length: 8", "Content-Length: 8"), id="another-header"),
        pytest.param(head("Content-Length: 8", "Content-Length: 9"), id="different"),
        pytest.param(head("Content-Length: 8, 80"), id="different-in-one-line"),
        pytest.param(head("Content-Length: 8,"), id="nothing-behind-the-comma"),
        pytest.param(head("Content-Length: 8", "Content-Length:"), id="an-empty-one"),
        pytest.param(head("Content-Length: +8", "Content-Length: +8"), id="no-number"),
        pytest.param(head("Content-Length: 8\x0b", "Content-Length: 8"), id="a-control-behind-it"),
        pytest.param(head("Content-Length: 8\r", "Content-Length: 8"), id="a-second-return"),
        pytest.param(head("Content-Length: 8", "Content-Length: 8", " 8"), id="folded"),
        pytest.param(head("Content-Length: 8", "Transfer-Encoding: chunked", "\tgzip"), id="folded-chunks"),
        pytest.param(head("Content-Length: 8", "Content-Length: 9", "Transfer-Encoding: chunked"), id="chunks-and-two"),
        pytest.param(head("Content-Length: 8", "Transfer-Encoding: gzip"), id="another-coding"),
        pytest.param(head("Content-Length: 8", "Transfer-Encoding: chunked, gzip"), id="chunks-inside"),
        pytest.param(head("Content-Length: 8", "Transfer-Encoding: gzip, chunked"), id="another-coding-in-chunks"),
        pytest.param(head("Content-Length: 8", "Transfer-Encoding: \x0bchunked"), id="a-control-before-chunked"),
        pytest.param(
            head("Content-Length: 8", "Transfer-Encoding: chunked", "Transfer-Encoding: gzip"), id="chunks-beside-more"
        ),
        pytest.param(head("Content-Length: 8", "Transfer-Encoding: chunked", version="1.0"), id="chunks-in-http-1.0"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_any_other_head_stays_as_it_is(said: bytes) -> None:
    assert one_length(said) == said


@given(lines=st.lists(LINES, max_size=8))
def test_no_head_gains_a_length_that_it_did_not_have(lines: list[str]) -> None:
    mended = one_length(head(*lines)).lower()

    assert mended.count(b"content-length") <= head(*lines).lower().count(b"content-length")
    assert one_length(mended) == mended
