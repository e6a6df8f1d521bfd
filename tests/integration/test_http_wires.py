"""How a request is written, how a reply is read, how long a connection lives."""

from __future__ import annotations

import asyncio
import logging
from urllib.parse import unquote

import pytest
from support.http_recorder import OK, SOON, Wiretap, calling, says, wiretap

from worker.backends.adapter import Reply, Request
from worker.domain.errors import CallUnanswered
from worker.http import transport_aiohttp
from worker.http.client import Http

LOOK = Request("GET", ("job",))
PRINTABLE = "".join(map(chr, range(32, 127)))


async def silent(_writer: asyncio.StreamWriter, _count: int) -> bool:
    return True


async def over(tap: Wiretap) -> None:
    """Wait until every connection has ended."""
    if tap.tasks:  # none if a short timeout ended before the first was opened
        _, open_ones = await asyncio.wait(tap.tasks, timeout=SOON)
        assert not open_ones


def reply(body: bytes, **headers: str) -> bytes:
    lines = [f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items()]
    return f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n{''.join(lines)}\r\n".encode() + body


async def test_every_character_of_an_id_is_written_as_we_encode_it() -> None:
    async with wiretap(says(OK)) as tap, calling(tap) as http:
        for job_id in (PRINTABLE, "%2E%2e", "..;", "%2F", "%", "ü"):
            await http.send(Request("GET", (job_id,), query={"q": job_id}))

    written = [line.split(" ")[1].removeprefix("/base/").split("?q=") for line in tap.lines()]
    assert [unquote(path) for path, _ in written] == [PRINTABLE, "%2E%2e", "..;", "%2F", "%", "ü"]
    assert all(path == query for path, query in written)
    assert all(not set(path) & set("/?#;&=+'\"\\|^`{}<>") for path, _ in written)


async def test_a_host_alone_is_asked_for_its_root() -> None:
    async with wiretap(says(OK)) as tap:
        http = Http(tap.url)
        await http.send(Request("GET", ()))
        await http.send(Request("GET", (), query={"id": "1"}))
        await http.aclose()

    assert tap.lines() == ["GET / HTTP/1.1", "GET /?id=1 HTTP/1.1"]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_a_call_without_a_body_says_so_once(method: str) -> None:
    async with wiretap(says(OK)) as tap, calling(tap) as http:
        await http.send(Request(method, ("job",)))

    assert tap.headers(b"content-length") == [b"0"]


async def test_a_get_says_nothing_of_a_body() -> None:
    async with wiretap(says(OK)) as tap, calling(tap) as http:
        await http.send(LOOK)

    assert tap.headers(b"content-length") == tap.headers(b"transfer-encoding") == []


async def test_no_header_is_smuggled_in() -> None:
    async with wiretap(says(OK)) as tap, calling(tap) as http:
        with pytest.raises(CallUnanswered) as caught:
            await http.send(LOOK, traceparent="hunter2\r\nX-Evil: 1")

    assert tap.requests == []
    assert "hunter2" not in f"{caught.value!r} {caught.value.__cause__!r}"


async def test_headers_are_lower_case_and_those_of_one_name_are_joined() -> None:
    said = b"HTTP/1.1 200 OK\r\nDATE: Sun, 06 Nov 1994 08:49:37 GMT\r\nX-A: 1\r\nx-a: 2\r\nContent-Length: 0\r\n\r\n"
    async with wiretap(says(said)) as tap, calling(tap) as http:
        found = await http.send(LOOK)

    assert found.headers["x-a"] == "1, 2"
    assert found.date is not None
    assert found.date.year == 1994


async def test_a_header_that_is_not_ascii_hides_no_other() -> None:
    said = b"HTTP/1.1 200 OK\r\nServer: caf\xe9\r\nX: \xc3\xbc\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\n{}"
    async with wiretap(says(said)) as tap, calling(tap) as http:
        found = await http.send(LOOK)

    assert (found.retry_after, found.body) == (7.0, b"{}")


@pytest.mark.parametrize(("size", "taken"), [(65_000, True), (66_000, False)])
async def test_a_header_may_have_65_kilobytes(size: int, taken: bool) -> None:  # noqa: FBT001
    async with wiretap(says(reply(b"{}", X_Token="t" * size))) as tap, calling(tap) as http:
        if taken:
            assert len((await http.send(LOOK)).headers["x-token"]) == size
        else:
            with pytest.raises(CallUnanswered):
                await http.send(LOOK)


@pytest.mark.parametrize("interim", [b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"])
async def test_an_interim_reply_is_not_the_answer(interim: bytes) -> None:
    async with wiretap(says(interim + OK)) as tap, calling(tap) as http:
        assert (await http.send(LOOK)).status == 200


async def test_calls_in_a_row_share_a_connection() -> None:
    async with wiretap(says(OK)) as tap, calling(tap) as http:
        for _ in range(5):
            await http.send(LOOK)

    assert (len(tap.requests), tap.connections) == (5, 1)


async def test_an_idle_connection_is_closed_by_us(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport_aiohttp, "KEEP_ALIVE", 0.05)
    async with wiretap(says(OK)) as tap, calling(tap) as http:
        await http.send(LOOK)
        await over(tap)


async def test_a_call_that_is_cancelled_closes_its_connection_at_once() -> None:
    arrived = asyncio.Event()

    async def behave(_writer: asyncio.StreamWriter, _count: int) -> bool:
        arrived.set()
        return True

    async with wiretap(behave) as tap, calling(tap, seconds=60.0) as http:
        call = asyncio.create_task(http.send(LOOK))
        await asyncio.wait_for(arrived.wait(), SOON)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await over(tap)


async def test_a_call_without_an_answer_closes_its_connection() -> None:
    async with wiretap(silent) as tap, calling(tap, seconds=0.2) as http:
        with pytest.raises(CallUnanswered, match="no reply in time"):
            await http.send(LOOK)
        await over(tap)


async def test_closing_ends_all_connections() -> None:
    async with wiretap(says(OK)) as tap:
        async with calling(tap) as http:
            await http.send(LOOK)
        await over(tap)


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH", "DELETE"])
async def test_no_call_is_made_twice_whenever_the_server_drops(method: str) -> None:
    async def moody(writer: asyncio.StreamWriter, count: int) -> bool:
        if count % 5 == 1:
            writer.transport.abort()
        if count % 5 in {1, 2}:
            return False
        if count % 5 == 3:
            await says(OK[:-3])(writer, 1)
            return False
        await says(OK)(writer, 1)
        return count % 5 != 4  # it closes after an answer that promised to keep the connection

    async with wiretap(moody) as tap, calling(tap) as http:
        for first in range(0, 100, 10):
            calls = [http.send(Request(method, (str(number),))) for number in range(first, first + 10)]
            said = await asyncio.gather(*calls, return_exceptions=True)
            assert {type(one) for one in said} <= {Reply, CallUnanswered}

    assert len(set(tap.lines())) == len(tap.lines())


async def test_a_call_leaves_no_url_and_no_token_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with wiretap(says(OK)) as tap, calling(tap) as http:
        await http.send(Request("GET", ("hunter2",), query={"key": "hunter2"}, headers={"X-Auth-Token": "hunter2"}))

    assert "hunter2" not in caplog.text
