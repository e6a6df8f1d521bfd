"""Content codings are undone as far as the body really has them, and never beyond the size limit."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.domain.errors import CallUnanswered
from worker.http.content_coding import CHUNK, GZIP_MAGIC, undone

JSON = b'{"a": 1}'
LIMIT = 1_000_000
BROTLI = b'\x8b\x03\x80{"a": 1}\x03'
ZSTD = b'\x28\xb5\x2f\xfd\x20\x08\x41\x00\x00{"a": 1}'
CODINGS = st.lists(st.sampled_from(["gzip", "x-gzip", "deflate", "identity", "br", "UTF-8", ""]), max_size=5)


def zipped(*members: bytes) -> bytes:
    return b"".join(gzip.compress(member, mtime=0) for member in members)


def raw_deflate(content: bytes) -> bytes:
    pack = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return pack.compress(content) + pack.flush()


def small_window(content: bytes) -> bytes:
    pack = zlib.compressobj(wbits=9)
    return pack.compress(content) + pack.flush()


@pytest.mark.parametrize(
    ("header", "body"),
    [
        pytest.param("", JSON, id="none"),
        pytest.param("identity", JSON, id="identity"),
        pytest.param("gzip", zipped(JSON), id="gzip"),
        pytest.param(" X-GZip ", zipped(JSON), id="x-gzip"),
        pytest.param("deflate", zlib.compress(JSON), id="deflate"),
        pytest.param("deflate", small_window(JSON), id="deflate-with-a-small-window"),
        pytest.param("deflate", raw_deflate(JSON), id="deflate-without-zlibs-wrapping"),
        pytest.param("gzip", zipped(JSON[:3], JSON[3:]), id="two-members"),
        pytest.param("gzip", zipped(JSON, b""), id="an-empty-second-member"),
        pytest.param("gzip", zipped(b"", JSON), id="an-empty-first-member"),
        pytest.param("gzip", zipped(*(JSON[at : at + 1] for at in range(len(JSON)))), id="a-member-for-each-byte"),
        pytest.param("gzip", zipped(JSON) + b"\0", id="a-zero-behind-gzip"),
        pytest.param("gzip", zipped(JSON) + bytes(20_000), id="many-zeros-behind-gzip"),
        pytest.param("gzip", zipped(JSON) + b"junk", id="junk-behind-gzip"),
        pytest.param("deflate", zlib.compress(JSON) + b"\r\n", id="a-line-behind-deflate"),
        pytest.param("deflate", raw_deflate(JSON) + b"\0\0", id="zeros-behind-raw-deflate"),
        pytest.param("gzip, gzip", zipped(zipped(JSON)), id="gzip-twice"),
        pytest.param("gzip, gzip", zipped(JSON), id="gzip-named-twice"),
        pytest.param("gzip", zipped(zipped(JSON)), id="gzip-twice-named-once"),
        pytest.param("identity, gzip", zipped(JSON), id="identity-first"),
        pytest.param("gzip, identity", zipped(JSON), id="identity-last"),
        pytest.param("gzip,,", zipped(JSON), id="empty-names"),
        pytest.param("gzip, deflate", zipped(JSON), id="our-accept-encoding-sent-back-over-gzip"),
        pytest.param("gzip, deflate", raw_deflate(JSON), id="our-accept-encoding-sent-back-over-deflate"),
        pytest.param("deflate, gzip", zipped(raw_deflate(JSON)), id="deflate-in-gzip"),
        pytest.param("gzip, deflate", raw_deflate(zipped(JSON)), id="gzip-in-deflate"),
        pytest.param("deflate", zipped(JSON), id="gzip-named-deflate"),
        pytest.param("gzip", zlib.compress(JSON), id="deflate-named-gzip"),
        pytest.param("UTF-8", JSON, id="a-charset"),
        pytest.param("none", JSON, id="none-by-name"),
        pytest.param("binary", JSON, id="binary"),
        pytest.param("br", JSON, id="br-over-text"),
        pytest.param("gzip", JSON, id="gzip-over-text"),
        pytest.param("deflate", JSON, id="deflate-over-text"),
        pytest.param("gzip, UTF-8", zipped(JSON), id="a-charset-behind-gzip"),
        pytest.param("UTF-8", zipped(JSON), id="gzip-named-a-charset"),
        pytest.param("", zipped(JSON), id="gzip-not-named"),
    ],
)
def test_a_body_loses_the_codings_that_it_has(header: str, body: bytes) -> None:
    assert undone(body, header, 100_000) == JSON


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b'{"a": "caf\xe9"}', id="json-in-latin-1"),
        pytest.param(b'\r\n {"a": "caf\xe9"}', id="json-in-latin-1-after-space"),
        pytest.param(b')]}\',\n{"a": "caf\xe9"}', id="guarded-json-in-latin-1"),
        pytest.param("<p>Störung</p>".encode("latin-1"), id="html-in-latin-1"),
        pytest.param('{"a": 1}'.encode("utf-16"), id="utf-16"),
        pytest.param('{"a": 1}'.encode("utf-32"), id="utf-32"),
        pytest.param(b"Forbidden", id="plain-text"),
        pytest.param(b"{" + "ü".encode() * CHUNK, id="a-character-on-the-edge-of-a-chunk"),
    ],
)
@pytest.mark.parametrize("header", ["UTF-8", "gzip", "deflate", "br"])
def test_text_under_a_false_coding_is_taken_as_it_is(header: str, body: bytes) -> None:
    assert undone(body, header, LIMIT) == body


@pytest.mark.parametrize(
    ("header", "body", "why"),
    [
        pytest.param("br", BROTLI, "unknown", id="brotli"),
        pytest.param("zstd", ZSTD, "unknown", id="zstd"),
        pytest.param("gzip, br", BROTLI, "unknown", id="brotli-over-gzip"),
        pytest.param("UTF-8", b"\xff\xfa\xfb", "unknown", id="no-text"),
        pytest.param("gzip", BROTLI, "not what", id="gzip-over-brotli"),
        pytest.param("deflate", BROTLI, "not what", id="deflate-over-brotli"),
        pytest.param("gzip", zipped(JSON)[:-4] + b"\0\0\0\0", "not what", id="gzip-of-another-length"),
        pytest.param("gzip", zipped(JSON)[:12] + b"\xff\xff" + zipped(JSON)[14:], "not what", id="corrupt-gzip"),
        pytest.param("deflate", zlib.compress(JSON)[:-1] + b"\0", "not what", id="deflate-with-a-false-checksum"),
        pytest.param("deflate", raw_deflate(JSON) + b"more", "not what", id="text-behind-raw-deflate"),
        pytest.param("gzip", zipped(JSON) + zipped(b"more")[:-1], "not what", id="a-second-member-cut-short"),
        pytest.param("gzip", zipped(JSON) + b"\x1f", "not what", id="a-second-member-cut-to-a-byte"),
        pytest.param("gzip", zipped(zipped(JSON)[:-1]), "not what", id="cut-short-within-gzip"),
        pytest.param("deflate", zlib.compress(GZIP_MAGIC), "not what", id="gzips-signature-alone-within-deflate"),
        pytest.param("gzip", zipped(zipped(zipped(zipped(JSON)))), "not what", id="gzip-four-times"),
    ],
)
def test_a_body_that_is_neither_text_nor_whole_is_no_answer(header: str, body: bytes, why: str) -> None:
    with pytest.raises(CallUnanswered, match=why):
        undone(body, header, LIMIT)


@pytest.mark.parametrize(
    ("header", "body"),
    [
        pytest.param("gzip", zipped(JSON * 20), id="gzip"),
        pytest.param("", zipped(JSON * 20), id="gzip-not-named"),
        pytest.param("gzip, gzip", zipped(zipped(JSON * 20)), id="gzip-twice"),
        pytest.param("deflate", zlib.compress(JSON * 20), id="deflate"),
        pytest.param("gzip", zlib.compress(JSON * 20), id="deflate-named-gzip"),
        pytest.param("deflate", raw_deflate(JSON * 20), id="raw-deflate"),
    ],
)
def test_no_part_of_a_body_is_taken_for_the_whole(header: str, body: bytes) -> None:
    shortest = 2 if header == "" else 1  # the first byte of gzip alone identifies nothing
    for length in range(shortest, len(body)):
        with pytest.raises(CallUnanswered):
            undone(body[:length], header, LIMIT)


BOMB = bytes(50_000_000)
BOMBS = {
    "gzip": ("gzip", zipped(BOMB)),
    "nested": ("gzip, gzip", zipped(zipped(BOMB))),
    "nested-large-in-the-middle": ("gzip", zipped(zipped(b"") * 500_000)),
    "members": ("gzip", zipped(*[bytes(100_000)] * 200)),
    "small-members": ("gzip", zipped(b"\0") * 45_000),
    "empty-members": ("gzip", zipped(b"") * 45_000),
    "deflate": ("deflate", zlib.compress(BOMB)),
    "raw-deflate": ("deflate", raw_deflate(BOMB)),
    "not-named": ("", zipped(BOMB)),
}


@pytest.mark.parametrize(("header", "body"), BOMBS.values(), ids=BOMBS)
def test_a_bomb_takes_no_more_memory_than_the_limit_and_a_few_chunks(header: str, body: bytes) -> None:
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        try:
            assert len(undone(body, header, LIMIT)) <= LIMIT
        except CallUnanswered as error:
            assert str(error) == f"the reply is over {LIMIT} bytes"  # noqa: PT017 - small members are no bomb
        taken = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()

    assert taken < LIMIT * 9 // 8 + 20 * CHUNK  # a growing buffer allocates an eighth in advance


@pytest.mark.parametrize("size", [LIMIT, LIMIT + 1])
@pytest.mark.parametrize("depth", [1, 2])
def test_a_body_may_be_as_large_as_the_limit_in_each_layer(size: int, depth: int) -> None:
    body = b"x" * size
    for _ in range(depth):
        body = zipped(body)

    if size > LIMIT:
        with pytest.raises(CallUnanswered, match=f"over {LIMIT} bytes"):
            undone(body, "gzip", LIMIT)
    else:
        assert len(undone(body, "gzip", LIMIT)) == LIMIT


@given(
    content=st.text(max_size=300), layers=st.lists(st.sampled_from([zipped, zlib.compress, raw_deflate]), max_size=3)
)
def test_stacked_codings_are_undone_in_any_order(content: str, layers: list[type]) -> None:
    body, named = b'"' + content.encode("utf-8", "replace"), []
    for layer in layers:
        body = layer(body)
        named.append("gzip" if layer is zipped else "deflate")

    assert undone(body, ", ".join(named), LIMIT) == b'"' + content.encode("utf-8", "replace")


@given(body=st.binary(max_size=200), codings=CODINGS, wrapped=st.booleans())
def test_no_body_breaks_it(body: bytes, codings: list[str], *, wrapped: bool) -> None:
    with suppress(CallUnanswered):
        assert len(undone(zipped(body) if wrapped else body, ", ".join(codings), 250)) <= 250
