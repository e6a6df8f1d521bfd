"""Redis through sentinels: one that hangs delays nobody, and a refusal is reported on one line."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
from kombu import Connection
from redis.asyncio import Redis
from redis.exceptions import RedisError
from support.certificates import Authority
from support.ports import HOST
from support.relay import relayed
from support.sentinel import MASTER, Replicated, watched

from worker.settings.celery import celery_settings
from worker.settings.environment import Settings
from worker.settings.redis_url import RedisTarget
from worker.store.redis_client import connect_to

GUARDED = ("user default off", "user watcher on >secret ~* &* +@all")
AT_ONCE = 9.0
"""Seconds: a long time for three local sentinels, but less than Celery waits for an answer of Redis."""


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replicated]:
    with watched(tmp_path_factory.mktemp("watched")) as running:
        yield running


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replicated]:
    with watched(tmp_path_factory.mktemp("guarded"), *GUARDED) as running:
        yield running


@asynccontextmanager
async def client_of(url: str) -> AsyncIterator[Redis]:
    client = connect_to(RedisTarget.parse(url))
    try:
        yield client
    finally:
        await client.aclose()


async def refusal(url: str) -> str:
    async with client_of(url) as client:
        with pytest.raises(RedisError) as caught:
            await client.ping()
    return str(caught.value)


async def test_a_sentinel_that_hangs_delays_no_first_contact(servers: Replicated) -> None:
    hung = servers.servers[1].pid
    os.kill(hung, signal.SIGSTOP)
    try:
        started = time.monotonic()
        async with client_of(servers.url) as client:
            assert await client.ping()
        assert time.monotonic() - started < AT_ONCE
    finally:
        os.kill(hung, signal.SIGCONT)


async def test_sentinels_that_all_hang_are_given_up_after_a_moment(servers: Replicated) -> None:
    for one in servers.servers[1:]:
        os.kill(one.pid, signal.SIGSTOP)
    try:
        started = time.monotonic()
        text = await refusal(servers.url)
        assert time.monotonic() - started < AT_ONCE
    finally:
        for one in servers.servers[1:]:
            os.kill(one.pid, signal.SIGCONT)

    assert text.startswith(f"no sentinel names a primary for '{MASTER}': {HOST}:")
    assert text.count("Timeout") == 3


async def test_kombu_gets_past_a_sentinel_that_hangs(servers: Replicated) -> None:
    hung = servers.servers[1].pid
    os.kill(hung, signal.SIGSTOP)
    try:
        started = time.monotonic()
        await asyncio.to_thread(send_by_kombu, servers.url)
        assert time.monotonic() - started < AT_ONCE
    finally:
        os.kill(hung, signal.SIGCONT)


def send_by_kombu(url: str) -> None:
    made = celery_settings(Settings.load({"CELERY_BROKER_URL": url}))
    options = made["broker_transport_options"]
    with Connection(made["broker_url"], transport_options=options) as connection:
        connection.SimpleQueue("tried").put("x")


async def test_a_primary_that_nobody_watches_is_told_with_what_is_watched(servers: Replicated) -> None:
    text = await refusal(servers.url.replace(MASTER, "other"))

    assert text.startswith("no sentinel names a primary for 'other': ")
    assert text.count(f"it watches {MASTER}") == 3


async def test_a_wrong_password_of_the_sentinels_is_told_on_one_line(guarded: Replicated) -> None:
    text = await refusal(f"{guarded.url}?sentinel_username=watcher&sentinel_password=hunter2")

    assert text.count("it refuses our user and password (?sentinel_username=..., ?sentinel_password=...)") == 3
    assert "\n" not in text
    assert "hunter2" not in text
    assert "<" not in text


async def test_sentinels_that_want_a_password_say_so(guarded: Replicated) -> None:
    assert "sentinel_password" in await refusal(guarded.url)


async def test_sentinels_are_asked_as_a_user_of_their_own(guarded: Replicated) -> None:
    async with client_of(f"{guarded.url}?sentinel_username=watcher&sentinel_password=secret") as client:
        assert await client.ping()


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "ours")


async def tls_hosts(stack: AsyncExitStack, authority: Authority, ports: list[int]) -> str:
    """Put TLS in front of servers; return the hosts and ports, as in a URL."""
    connects = [partial(asyncio.open_connection, HOST, port) for port in ports]
    relays = [await stack.enter_async_context(relayed(connect, authority.server())) for connect in connects]
    return ",".join(f"localhost:{port}" for port in relays)


async def test_sentinels_are_asked_over_tls(guarded: Replicated, authority: Authority) -> None:
    async with AsyncExitStack() as stack:
        hosts = await tls_hosts(stack, authority, list(guarded.sentinels))
        url = f"redis+sentinel://{hosts}/{MASTER}?sentinel_tls=true&ssl_ca_certs={authority.file}"
        client = await stack.enter_async_context(client_of(f"{url}&sentinel_username=watcher&sentinel_password=secret"))
        assert await client.ping()
        await asyncio.to_thread(send_by_kombu, f"{url}&sentinel_username=watcher&sentinel_password=secret")


async def test_a_sentinel_with_a_strangers_certificate_is_told_on_one_line(
    guarded: Replicated, authority: Authority
) -> None:
    async with AsyncExitStack() as stack:
        hosts = await tls_hosts(stack, authority, list(guarded.sentinels))
        text = await refusal(f"redis+sentinel://{hosts}/{MASTER}?sentinel_tls=true")

    assert "certificate verify failed" in text
    assert "\n" not in text


async def test_the_primary_that_sentinels_name_is_talked_to_over_tls(servers: Replicated, authority: Authority) -> None:
    async with AsyncExitStack() as stack:
        primary = await tls_hosts(stack, authority, [servers.master])
        sentinel = await stack.enter_async_context(scripted_sentinel(int(primary.rpartition(":")[2])))
        url = f"rediss+sentinel://{sentinel}/{MASTER}?sentinel_tls=no&ssl_ca_certs={authority.file}"
        client = await stack.enter_async_context(client_of(url))
        assert await client.ping()
        await asyncio.to_thread(send_by_kombu, url)


@asynccontextmanager
async def scripted_sentinel(port: int) -> AsyncIterator[str]:
    """Answer as a sentinel whose primary is at this port of `localhost`, a name: a real one reports an address."""
    state = {
        "name": MASTER,
        "ip": "localhost",
        "port": str(port),
        "flags": "master",
        "num-other-sentinels": "0",
        "quorum": "1",
    }
    words = [word for pair in state.items() for word in pair]
    masters = f"*1\r\n%{len(state)}\r\n" + "".join(f"${len(word)}\r\n{word}\r\n" for word in words)
    answers = {b"sentinel masters": masters.encode(), b"hello 3": b"%1\r\n$5\r\nproto\r\n:3\r\n"}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            lengths = [await reader.readline() for _ in range(2 * int(line[1:]))]
            asked = b" ".join(one.strip() for one in lengths[1::2]).lower()
            writer.write(answers.get(asked, b"-ERR unknown command\r\n"))
        writer.close()

    server = await asyncio.start_server(serve, HOST, 0)
    try:
        yield f"{HOST}:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()


async def test_redis_is_talked_to_over_tls_by_celerys_words(servers: Replicated, authority: Authority) -> None:
    async with AsyncExitStack() as stack:
        host = await tls_hosts(stack, authority, [servers.master])
        url = f"rediss://{host}/0?ssl_cert_reqs=CERT_REQUIRED&ssl_ca_certs={authority.file}"
        client = await stack.enter_async_context(client_of(url))
        assert await client.ping()
        await asyncio.to_thread(send_by_kombu, url)


async def test_with_few_connections_each_waits_for_its_turn(servers: Replicated) -> None:
    async with client_of(f"redis://{HOST}:{servers.master}?max_connections=10") as client:
        assert all(await asyncio.gather(*(client.ping() for _ in range(100))))
