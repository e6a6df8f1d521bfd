"""A reply's body and headers, as every wire reads them."""

from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.domain.errors import CallUnanswered
from worker.http.content_coding import GZIP_MAGIC, undone
from worker.http.transport import Body, headers_of

WAYS = {"gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS, "raw": -zlib.MAX_WBITS}


def packed(content: bytes, way: str) -> bytes:
    pack = zlib.compressobj(wbits=WAYS[way])
    return pack.compress(content) + pack.flush()


def taken(limit: int, encoding: str, *chunks: bytes) -> bytes:
    body = Body(limit)
    for chunk in chunks:
        body.add(chunk)
    return undone(body.raw, encoding, limit)


ONE_LAYER = st.binary(max_size=300).filter(lambda content: not content.startswith(GZIP_MAGIC))
"""Content that can't be taken for a further layer of coding: `test_content_coding.py` tests several layers."""


@given(ONE_LAYER, st.sampled_from(sorted(WAYS)), st.integers(1, 50))
def test_what_was_packed_comes_out_however_it_is_cut(content: bytes, way: str, size: int) -> None:
    raw = packed(content, way)
    chunks = [raw[at : at + size] for at in range(0, len(raw), size)]

    assert taken(1000, way.replace("raw", "deflate"), *chunks) == content


@pytest.mark.parametrize("way", sorted(WAYS))
def test_a_body_may_be_as_large_as_the_limit_and_no_larger(way: str) -> None:
    encoding = way.replace("raw", "deflate")

    assert len(taken(10_000, encoding, packed(bytes(10_000), way))) == 10_000
    with pytest.raises(CallUnanswered, match="over 9999 bytes"):
        taken(9_999, encoding, packed(bytes(10_000), way))


def test_what_comes_in_is_measured_before_it_is_decoded() -> None:
    with pytest.raises(CallUnanswered, match="over 10 bytes"):
        taken(10, "gzip", b"12345678", b"901")


@pytest.mark.parametrize("encoding", ["gzip", "deflate", "", "identity"])
def test_an_empty_body_needs_no_decoding(encoding: str) -> None:
    assert taken(10, encoding) == b""


def test_headers_are_read_as_utf_8_or_else_as_latin_1() -> None:
    pairs = [(b"X-A", b"caf\xe9"), (b"x-b", b"\xc3\xbc"), (b"X-a", b"2")]

    assert headers_of(pairs) == {"x-a": "café, 2", "x-b": "ü"}
