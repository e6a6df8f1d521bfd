"""Replies that are malformed but readable, over a real socket."""

from __future__ import annotations

import asyncio
import gzip
import json
import math
import zlib

import pytest
from support.http_recorder import OK, SOON, calling, says, wiretap

from worker.backends.adapter import Request, redirect
from worker.domain.errors import CallUnanswered

LOOK = Request("GET", ("job",))
JSON = b'{"a": 1}'
GZIP = gzip.compress(JSON)
RAW_DEFLATE = zlib.compress(JSON)[2:-4]
BROTLI = b'\x8b\x03\x80{"a": 1}\x03'
CHUNKS = b"8\r\n" + JSON + b"\r\n0\r\n\r\n"
FORGED = b'HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{"forged": true}'


def head(*lines: str) -> bytes:
    return "".join(f"{line}\r\n" for line in ("HTTP/1.1 200 OK", *lines, "")).encode("latin-1")


def reply(body: bytes, *lines: str) -> bytes:
    return head(f"Content-Length: {len(body)}", *lines) + body


def coded(body: bytes, *encodings: str) -> bytes:
    return reply(body, *(f"Content-Encoding: {encoding}" for encoding in encodings))


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(coded(GZIP, "gzip"), id="gzip"),
        pytest.param(coded(GZIP, "GZIP "), id="gzip-in-capitals"),
        pytest.param(coded(GZIP, "x-gzip"), id="x-gzip"),
        pytest.param(coded(zlib.compress(JSON), "deflate"), id="deflate"),
        pytest.param(coded(RAW_DEFLATE, "deflate"), id="raw-deflate"),
        pytest.param(coded(JSON, "identity"), id="identity"),
        pytest.param(coded(gzip.compress(JSON[:3]) + gzip.compress(JSON[3:]), "gzip"), id="two-members"),
        pytest.param(coded(GZIP + gzip.compress(b""), "gzip"), id="an-empty-second-member"),
        pytest.param(coded(GZIP + b"\0", "gzip"), id="a-zero-behind-gzip"),
        pytest.param(coded(GZIP + b"more", "gzip"), id="junk-behind-gzip"),
        pytest.param(coded(GZIP, "gzip, gzip"), id="gzip-named-twice"),
        pytest.param(coded(GZIP, "gzip", "gzip"), id="the-header-twice"),
        pytest.param(coded(gzip.compress(GZIP), "gzip, gzip"), id="gzip-twice"),
        pytest.param(coded(gzip.compress(GZIP), "gzip", "gzip"), id="gzip-twice-by-the-header-twice"),
        pytest.param(coded(gzip.compress(GZIP), "gzip"), id="gzip-twice-named-once"),
        pytest.param(coded(GZIP, "identity, gzip"), id="identity-before-gzip"),
        pytest.param(coded(GZIP, "gzip, deflate"), id="our-accept-encoding-sent-back"),
        pytest.param(coded(JSON, "UTF-8"), id="a-charset"),
        pytest.param(coded(JSON, "none"), id="none"),
        pytest.param(coded(JSON, "binary"), id="binary"),
        pytest.param(coded(JSON, "gzip"), id="gzip-over-plain-text"),
        pytest.param(coded(JSON, "br"), id="br-over-plain-text"),
        pytest.param(coded(GZIP, "UTF-8"), id="a-charset-over-gzip"),
        pytest.param(reply(GZIP), id="gzip-not-named"),
        pytest.param(reply(json.dumps({"a": 1}).encode("utf-16")), id="utf-16"),
        pytest.param(reply(json.dumps({"a": 1}).encode("utf-32")), id="utf-32"),
        pytest.param(reply(b"\xef\xbb\xbf" + JSON), id="bom"),
        pytest.param(reply(b")]}',\n" + JSON), id="guard"),
        pytest.param(head("Content-Length: 8", "Content-Length: 8") + JSON, id="the-length-twice"),
        pytest.param(head("Content-Length: 8", "X: y", "content-length: 8 ") + JSON, id="the-length-twice-apart"),
        pytest.param(head("Content-Length: 8, 8") + JSON, id="the-length-twice-in-one-line"),
        pytest.param(head("Content-Length: 8", "Transfer-Encoding: chunked") + CHUNKS, id="a-length-and-chunks"),
        pytest.param(head("Transfer-Encoding: Chunked", "Content-Length: 18") + CHUNKS, id="chunks-and-another-length"),
        pytest.param(head("Transfer-Encoding: chunked", "Content-Length: 8", "Content-Length: 8") + CHUNKS, id="all"),
        pytest.param(head("X: a", " b", "Content-Length: 8") + JSON, id="a-folded-header"),
        pytest.param(
            b"HTTP/1.1 100 Continue\r\n\r\n" + head("Content-Length: 8, 8") + JSON, id="behind-an-interim-one"
        ),
        pytest.param(head("Content-Length: 8, 8").replace(b"\r\n", b"\n") + JSON, id="lines-without-a-return"),
    ],
)
@pytest.mark.parametrize("size", [1, 10_000], ids=["bytewise", "whole"])
async def test_a_reply_that_can_be_read_is_an_answer(sent: bytes, size: int) -> None:
    async def behave(writer: asyncio.StreamWriter, _count: int) -> bool:
        for at in range(0, len(sent), size):
            writer.write(sent[at : at + size])
            await writer.drain()
            await asyncio.sleep(0)  # so that the pieces arrive one by one
        return True

    async with wiretap(behave) as tap, calling(tap) as http:
        assert [(await http.send(LOOK)).data for _ in range(2)] == [{"a": 1}, {"a": 1}]


@pytest.mark.parametrize(
    ("body", "charset", "data"),
    [
        pytest.param(b'{"a": "caf\xe9", "b": 1}', "", {"a": "caf\ufffd", "b": 1}, id="latin-1-not-named"),
        pytest.param(b'{"a": "caf\xe9", "b": 1}', "; charset=ISO-8859-1", {"a": "café", "b": 1}, id="latin-1-named"),
        pytest.param('{"a": "é", "b": 1}'.encode(), "; charset=ISO-8859-1", {"a": "é", "b": 1}, id="utf-8-by-content"),
        pytest.param(b'{"a": ' + b"9" * 5000 + b', "b": 1}', "", {"a": math.inf, "b": 1}, id="a-long-number"),
        pytest.param(b'{"a": ' + b"9" * 900_000 + b', "b": 1}', "", {"a": math.inf, "b": 1}, id="a-very-long-number"),
        pytest.param(b'{"a": Infinity, "b": 1}', "", {"a": math.inf, "b": 1}, id="infinity"),
        pytest.param(b'{"a": "\\ud800", "b": 1}', "", {"a": "\ud800", "b": 1}, id="half-a-surrogate"),
    ],
)
async def test_one_strange_value_does_not_spoil_a_reply(body: bytes, charset: str, data: object) -> None:
    async with wiretap(says(reply(body, f"Content-Type: application/json{charset}"))) as tap, calling(tap) as http:
        assert (await http.send(LOOK)).data == data


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(coded(BROTLI, "br"), id="unknown"),
        pytest.param(coded(BROTLI, "gzip"), id="not-what-it-says"),
        pytest.param(coded(GZIP[:-1], "gzip"), id="cut-short"),
        pytest.param(coded(GZIP[:-1], "UTF-8"), id="cut-short-under-a-false-name"),
        pytest.param(coded(gzip.compress(GZIP[:-1]), "gzip, gzip"), id="cut-short-within"),
        pytest.param(coded(GZIP + GZIP[:-1], "gzip"), id="the-second-member-cut-short"),
    ],
)
async def test_a_body_that_can_not_be_decoded_is_no_answer(body: bytes) -> None:
    async with wiretap(says(body)) as tap, calling(tap) as http:
        with pytest.raises(CallUnanswered, match="content encoding"):
            await http.send(LOOK)


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(head("Content-Length: 8", "Content-Length: 9") + JSON + b" ", id="different-lengths"),
        pytest.param(head("Content-Length: 8, 9") + JSON + b" ", id="different-lengths-in-one-line"),
        pytest.param(head("Content-Length: 8", "Content-Length: +8") + JSON, id="a-length-that-is-none"),
        pytest.param(head("Content-Length: 9", "Content-Length: 9") + JSON, id="less-than-the-length"),
        pytest.param(head("Content-Length: 8", "Transfer-Encoding: chunked") + CHUNKS[:-2], id="no-last-chunk"),
        pytest.param(head("Content-Length: 20", "Transfer-Encoding: \x0bchunked") + JSON, id="no-chunks"),
    ],
)
async def test_a_reply_whose_end_is_not_known_is_no_answer(sent: bytes) -> None:
    async def behave(writer: asyncio.StreamWriter, count: int) -> bool:
        await says(sent)(writer, count)
        return False

    async with wiretap(behave) as tap, calling(tap) as http:
        with pytest.raises(CallUnanswered):
            await http.send(LOOK)


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(head("Content-Length: 8", "Content-Length: 8") + JSON, id="the-length-twice"),
        pytest.param(head("Content-Length: 8", "Transfer-Encoding: chunked") + CHUNKS, id="a-length-and-chunks"),
        pytest.param(head("Content-Length: 0", "Transfer-Encoding: chunked") + CHUNKS, id="a-length-before-all-chunks"),
    ],
)
async def test_what_follows_a_reply_of_two_lengths_is_not_the_next_calls(sent: bytes) -> None:
    async with wiretap(says(sent + FORGED, OK)) as tap, calling(tap) as http:
        replies = [(await http.send(LOOK)).data, (await http.send(LOOK)).data]

    assert (replies, tap.connections) == ([{"a": 1}, {}], 2)


@pytest.mark.parametrize(
    ("sent", "connections"),
    [
        pytest.param(head("Content-Length: 8") + JSON, 1, id="one-length"),
        pytest.param(head("Transfer-Encoding: chunked") + CHUNKS, 1, id="chunks"),
        pytest.param(head("Content-Length: 8, 8") + JSON, 2, id="the-length-twice"),
        pytest.param(
            head("Content-Length: 8", "Transfer-Encoding: chunked") + CHUNKS,
            2,
            id="a-length-and-chunks",
        ),
    ],
)
async def test_the_connection_of_a_reply_of_two_lengths_is_closed(sent: bytes, connections: int) -> None:
    async with wiretap(says(sent)) as tap, calling(tap) as http:
        for _ in range(2):
            await http.send(LOOK)

    assert tap.connections == connections


async def test_a_large_reply_arrives_whole_and_its_connection_is_kept() -> None:
    body = b'{"a": "' + b"x" * 990_000 + b'"}'
    async with wiretap(says(reply(body))) as tap, calling(tap) as http:
        assert [len((await http.send(LOOK)).body) for _ in range(3)] == [len(body)] * 3

    assert tap.connections == 1


@pytest.mark.parametrize(("count", "taken"), [(120, True), (140, False)])
async def test_a_reply_may_have_over_a_hundred_headers(
    count: int,
    taken: bool,  # noqa: FBT001
) -> None:
    async with wiretap(says(reply(JSON, *(f"X-{number}: y" for number in range(count))))) as tap, calling(tap) as http:
        if taken:
            assert (await http.send(LOOK)).data == {"a": 1}
        else:
            with pytest.raises(CallUnanswered):
                await http.send(LOOK)


async def test_where_a_redirect_points_comes_through() -> None:
    moved = reply(b"", "Location: https://u:hunter2@login.example.com/sso?x=hunter2").replace(b"200 OK", b"302 Found")
    async with wiretap(says(moved)) as tap, calling(tap) as http:
        assert redirect(await http.send(LOOK)) == "HTTP 302 to login.example.com/sso"


async def test_the_head_of_another_protocol_is_no_answer_at_once() -> None:
    """A head is buffered until it is complete; bytes that can't be one are not waited for."""
    async with wiretap(says(b"SSH-2.0-OpenSSH_9.6\r\n")) as tap, calling(tap, seconds=60) as http:
        async with asyncio.timeout(SOON):
            with pytest.raises(CallUnanswered):
                await http.send(LOOK)
