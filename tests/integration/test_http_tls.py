"""The HTTP client over TLS: whom it trusts, which certificate it shows, and that it resumes sessions."""

from __future__ import annotations

import asyncio
import ssl

import pytest
from support.certificates import Authority
from support.http_recorder import OK, calling, says, wiretap

from worker.backends.adapter import Request
from worker.domain.errors import CallUnanswered
from worker.http.client import Http
from worker.http.tls import Tls
from worker.http.transport_aiohttp import AiohttpTransport

LOOK = Request("GET", ("job",))


async def test_what_the_system_trusts_is_called(system: Authority) -> None:
    async with wiretap(says(OK), system.server()) as tap, calling(tap) as http:
        assert (await http.send(LOOK)).body == b"{}"


async def test_what_the_system_does_not_trust_gets_no_request(system: Authority, ours: Authority) -> None:
    assert system.file != ours.file
    async with wiretap(says(OK), ours.server()) as tap, calling(tap) as http:
        with pytest.raises(CallUnanswered) as caught:
            await http.send(LOOK)

    assert tap.requests == []
    assert "certificate" in str(caught.value.__cause__)


async def test_another_hosts_certificate_gets_no_request(system: Authority) -> None:
    async with wiretap(says(OK), system.server("elsewhere.example.com")) as tap, calling(tap) as http:
        with pytest.raises(CallUnanswered):
            await http.send(LOOK)

    assert tap.requests == []


async def test_a_ca_file_replaces_the_systems_authorities(system: Authority, ours: Authority) -> None:
    async with wiretap(says(OK), system.server()) as foreign, wiretap(says(OK), ours.server()) as known:
        wire = AiohttpTransport(Tls(ca_file=str(ours.file)))
        try:
            assert (await Http(known.url, wire=wire).send(LOOK)).body == b"{}"
            with pytest.raises(CallUnanswered):
                await Http(foreign.url, wire=wire).send(LOOK)
        finally:
            await wire.aclose()

    assert foreign.requests == []


async def test_a_client_certificate_is_shown(ours: Authority) -> None:
    own = ours.certificate("canceller")
    async with wiretap(says(OK), ours.server(asks=True)) as tap:
        http = Http(tap.url, wire=AiohttpTransport(Tls(str(ours.file), *own)))
        assert (await http.send(LOOK)).body == b"{}"
        await http.aclose()


async def test_it_is_http_1_whatever_else_is_offered(system: Authority) -> None:
    spoken: list[str | None] = []

    async def behave(writer: asyncio.StreamWriter, count: int) -> bool:
        tls: ssl.SSLObject = writer.get_extra_info("ssl_object")
        spoken.append(tls.selected_alpn_protocol())
        return await says(OK)(writer, count)

    async with wiretap(behave, system.server()) as tap, calling(tap) as http:
        await http.send(LOOK)

    assert tap.lines() == ["GET /base/job HTTP/1.1"]
    assert spoken[0] in {None, "http/1.1"}


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_new_connection_goes_on_with_the_session_of_the_last(
    system: Authority, version: ssl.TLSVersion
) -> None:
    resumed: list[bool] = []

    async def behave(writer: asyncio.StreamWriter, count: int) -> bool:
        resumed.append(writer.get_extra_info("ssl_object").session_reused)
        await says(OK.replace(b"OK\r\n", b"OK\r\nConnection: close\r\n"))(writer, count)
        return False

    server = system.server()
    server.minimum_version = server.maximum_version = version
    async with wiretap(behave, server) as tap, calling(tap) as http:
        for _ in range(3):
            await http.send(LOOK)

    assert (tap.connections, resumed) == (3, [False, True, True])


async def test_a_dropped_tls_connection_makes_exactly_one_request(system: Authority) -> None:
    async def behave(writer: asyncio.StreamWriter, count: int) -> bool:
        if count == 2:
            writer.transport.abort()
            return False
        return await says(OK)(writer, count)

    async with wiretap(behave, system.server()) as tap, calling(tap) as http:
        await http.send(LOOK)
        with pytest.raises(CallUnanswered):
            await http.send(Request("GET", ("job", "cancel")))

    assert tap.lines() == ["GET /base/job HTTP/1.1", "GET /base/job/cancel HTTP/1.1"]


def test_a_ca_file_that_is_missing_is_reported_at_once() -> None:
    with pytest.raises(OSError, match="No such file"):
        AiohttpTransport(Tls(ca_file="/missing.pem"))
