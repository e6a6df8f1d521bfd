"""The connection that runs a worker's scripts: who gets which reply, and what happens when Redis goes away."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as Lost
from redis.exceptions import NoScriptError, ReadOnlyError, RedisError, ResponseError
from redis.exceptions import TimeoutError as Late
from support.certificates import Authority
from support.http_recorder import listening
from support.relay import pump, relayed

from worker.domain.errors import StoreUnavailable
from worker.local.embedded_redis import Embedded
from worker.settings.redis_url import RedisTarget
from worker.store.redis_client import connect_to
from worker.store.script_connection import ScriptConnection
from worker.store.store import Store

ECHO = "return {ARGV[1], tonumber(ARGV[2])}"
WRITE = "return redis.call('SET', 'written', '1')"
SOON = 30.0


@pytest.fixture
async def scripts(redis_url: str) -> AsyncIterator[ScriptConnection]:
    async with running(redis_url) as (one, _):
        yield one


@asynccontextmanager
async def running(url: str) -> AsyncIterator[tuple[ScriptConnection, Redis]]:
    client = connect_to(RedisTarget.parse(url))
    scripts = ScriptConnection(client)
    try:
        yield scripts, client
    finally:
        await scripts.aclose()
        await client.aclose()


async def numbers(redis: Redis) -> set[str]:
    """Return the ids of the connections that run scripts."""
    return {one["id"] for one in await redis.client_list() if one["cmd"] in {"eval", "evalsha"}}


async def end(redis: Redis, number: str) -> None:
    await redis.client_kill_filter(_id=number)


async def test_each_caller_gets_the_reply_to_its_own_script(scripts: ScriptConnection, redis: Redis) -> None:
    replies = await asyncio.gather(*(scripts.eval(ECHO, 0, f"no {index}", index) for index in range(500)))

    assert replies == [[f"no {index}".encode(), index] for index in range(500)]
    assert len(await numbers(redis)) == 1


async def test_a_caller_that_is_cancelled_takes_no_reply_from_the_next(scripts: ScriptConnection) -> None:
    await scripts.eval(ECHO, 0, "first", 0)
    given_up = asyncio.create_task(scripts.eval(ECHO, 0, "waiting", 2))
    kept = asyncio.create_task(scripts.eval(ECHO, 0, "kept", 1))
    await asyncio.sleep(0)
    given_up.cancel()

    assert await kept == [b"kept", 1]
    assert given_up.cancelled()


async def test_an_error_is_its_own_callers_alone(scripts: ScriptConnection, redis: Redis) -> None:
    await scripts.eval(ECHO, 0, "a", 1)
    calls = [scripts.eval("return nonsense()", 0), scripts.evalsha("f" * 40, 0), scripts.eval(ECHO, 0, "b", 2)]
    wrong, unknown, right = await asyncio.gather(*calls, return_exceptions=True)

    assert (type(wrong), type(unknown), right) == (ResponseError, NoScriptError, [b"b", 2])
    assert len(await numbers(redis)) == 1


async def test_a_store_goes_on_after_redis_forgot_its_scripts(store: Store, redis: Redis) -> None:
    await store.times()
    await redis.script_flush()

    assert len(await store.times()) == 1


async def test_a_script_whose_connection_is_cut_fails_and_the_next_one_connects(
    scripts: ScriptConnection, redis: Redis
) -> None:
    await scripts.eval(ECHO, 0, "a", 1)
    (number,) = await numbers(redis)
    await end(redis, number)

    async with asyncio.timeout(SOON):
        while True:
            try:
                assert await scripts.eval(ECHO, 0, "b", 2) == [b"b", 2]
                break
            except Lost:
                continue
    assert await numbers(redis) != {number}


async def test_all_who_ask_while_redis_is_away_are_told_so_at_once(tmp_path: Path) -> None:
    with Embedded(tmp_path) as server:
        url = server.url
    async with running(url) as (scripts, client), asyncio.timeout(SOON):
        store = Store(client, "canceller", scripts=scripts)
        answers = await asyncio.gather(*(store.times() for _ in range(50)), return_exceptions=True)

    assert {type(one) for one in answers} == {StoreUnavailable}


async def test_a_server_that_comes_back_is_used_again(tmp_path: Path) -> None:
    with Embedded(tmp_path) as server:
        url = server.url
        async with running(url) as (scripts, _):
            await scripts.eval(ECHO, 0, "a", 1)
            server.__exit__()
            with pytest.raises(Lost):
                await scripts.eval(ECHO, 0, "b", 2)
            with Embedded(tmp_path) as again:
                assert again.url == url
                assert await scripts.eval(ECHO, 0, "c", 3) == [b"c", 3]


async def test_a_replica_is_left_for_a_new_connection(tmp_path: Path) -> None:
    with Embedded(tmp_path) as server:
        async with running(server.url) as (scripts, client):
            await scripts.eval(WRITE, 0)
            (before,) = await numbers(client)
            await client.execute_command("REPLICAOF", "127.0.0.1", 1)
            with pytest.raises(ReadOnlyError):
                await scripts.eval(WRITE, 0)
            await client.execute_command("REPLICAOF", "NO", "ONE")
            assert await scripts.eval(WRITE, 0) == b"OK"
            assert before not in await numbers(client)


async def test_what_waits_when_it_is_closed_fails(scripts: ScriptConnection) -> None:
    await scripts.eval(ECHO, 0, "a", 1)
    waiting = asyncio.create_task(scripts.eval(ECHO, 0, "waiting", 2))
    await asyncio.sleep(0)
    await scripts.aclose()

    with pytest.raises(Lost):
        await waiting


async def test_what_waits_for_a_connection_when_it_is_closed_fails() -> None:
    async def silent(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read(65536)
        asked.set()
        await reader.read()

    asked = asyncio.Event()
    async with listening(silent) as port, asyncio.timeout(SOON):
        client = connect_to(RedisTarget.parse(f"redis://127.0.0.1:{port}"))
        scripts = ScriptConnection(client)
        waiting = asyncio.create_task(scripts.eval(ECHO, 0, "a", 1))
        await asked.wait()
        await scripts.aclose()
        with pytest.raises(Lost):
            await waiting
        await client.aclose()


async def test_a_closed_one_opens_no_connection(scripts: ScriptConnection, redis: Redis) -> None:
    await scripts.eval(ECHO, 0, "a", 1)
    await scripts.aclose()

    with pytest.raises(Lost):
        await scripts.eval(ECHO, 0, "b", 2)
    assert await numbers(redis) == set()


@dataclass
class Leg:
    """One connection through a `Way`."""

    writer: asyncio.StreamWriter
    flows: asyncio.Event
    ended: asyncio.Event


@dataclass
class Way:
    """A relay to a Redis, on which a connection can fall silent without being closed."""

    socket: str
    legs: list[Leg] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass on data in both directions, but nothing to Redis unless `flows` is set."""
        leg = Leg(writer, asyncio.Event(), asyncio.Event())
        self.legs.append(leg)
        leg.flows.set()
        their_reader, their_writer = await asyncio.open_unix_connection(self.socket)
        back = asyncio.create_task(pump(their_reader, writer))
        try:
            while data := await reader.read(65536):
                await leg.flows.wait()
                their_writer.write(data)
        finally:
            leg.ended.set()
            their_writer.close()
            back.cancel()
            await asyncio.gather(back, return_exceptions=True)


@asynccontextmanager
async def on_a_way(url: str, gives_up: float, patience: float) -> AsyncIterator[tuple[ScriptConnection, Way]]:
    way = Way(socket_of(url))
    async with listening(way.serve) as port:
        client = Redis.from_url(f"redis://127.0.0.1:{port}", socket_timeout=gives_up)
        scripts = ScriptConnection(client, patience)
        try:
            yield scripts, way
        finally:
            await scripts.aclose()
            await client.aclose()


def socket_of(url: str) -> str:
    return unquote(urlsplit(url).path)


async def until_answered(scripts: ScriptConnection) -> None:
    """Run scripts, each with a short timeout, until one is answered."""
    async with asyncio.timeout(SOON):
        while True:
            try:
                async with asyncio.timeout(0.05):
                    await scripts.eval(ECHO, 0, "x", 1)
                    return
            except TimeoutError:
                continue


async def test_a_peer_that_is_gone_without_a_word_is_given_up_after_the_timeout(redis_url: str) -> None:
    async with on_a_way(redis_url, gives_up=1.0, patience=60) as (scripts, way), asyncio.timeout(SOON):
        await scripts.eval(ECHO, 0, "a", 1)
        way.legs[0].flows.clear()
        with pytest.raises(Late):
            await scripts.eval(ECHO, 0, "b", 2)
        assert await scripts.eval(ECHO, 0, "c", 3) == [b"c", 3]
        assert len(way.legs) == 2


async def test_a_script_that_waits_for_long_holds_up_no_later_ones(redis_url: str) -> None:
    async with on_a_way(redis_url, gives_up=60, patience=0.2) as (scripts, way), asyncio.timeout(SOON):
        await scripts.eval(ECHO, 0, "a", 1)
        way.legs[0].flows.clear()
        late = asyncio.create_task(scripts.eval(ECHO, 0, "late", 2))
        await until_answered(scripts)
        assert not late.done()
        way.legs[0].flows.set()
        assert await late == [b"late", 2]
        await way.legs[0].ended.wait()
        assert not way.legs[1].ended.is_set()


async def test_a_reply_that_nobody_asked_for_ends_the_connection(redis_url: str) -> None:
    async with on_a_way(redis_url, gives_up=60, patience=60) as (scripts, way), asyncio.timeout(SOON):
        await scripts.eval(ECHO, 0, "a", 1)
        way.legs[0].writer.write(b":1\r\n")
        await way.legs[0].ended.wait()
        assert await scripts.eval(ECHO, 0, "b", 2) == [b"b", 2]


async def test_what_is_no_reply_ends_the_connection(redis_url: str) -> None:
    async with on_a_way(redis_url, gives_up=60, patience=60) as (scripts, way), asyncio.timeout(SOON):
        await scripts.eval(ECHO, 0, "a", 1)
        way.legs[0].flows.clear()
        asked = asyncio.create_task(scripts.eval(ECHO, 0, "b", 2))
        await asyncio.sleep(0)
        way.legs[0].writer.write(b"HTTP/1.1 400 Bad Request\r\n")
        with pytest.raises(Lost):
            await asked


async def test_a_replica_of_redis_6_is_left_for_a_new_connection(redis_url: str) -> None:
    async with on_a_way(redis_url, gives_up=60, patience=60) as (scripts, way), asyncio.timeout(SOON):
        await scripts.eval(ECHO, 0, "a", 1)
        way.legs[0].flows.clear()
        asked = asyncio.create_task(scripts.eval(WRITE, 0))
        await asyncio.sleep(0)
        way.legs[0].writer.write(
            b"-ERR Error running script (call to f_5f0): @user_script:1: @user_script: 1: "
            b"-READONLY You can't write against a read only replica.\r\n"
        )
        with pytest.raises(ResponseError, match="READONLY"):
            await asked
        assert await scripts.eval(ECHO, 0, "b", 2) == [b"b", 2]
        assert len(way.legs) == 2


async def test_what_redis_pushes_is_no_reply(redis_url: str) -> None:
    async with on_a_way(redis_url, gives_up=60, patience=60) as (scripts, way):
        await scripts.eval(ECHO, 0, "a", 1)
        way.legs[0].writer.write(b">2\r\n+invalidate\r\n*0\r\n")
        assert await scripts.eval(ECHO, 0, "b", 2) == [b"b", 2]


async def test_it_connects_over_tls_as_the_user_and_to_the_database_that_the_url_names(
    redis_url: str, redis: Redis, ours: Authority
) -> None:
    await redis.execute_command("ACL", "SETUSER", "runner", "on", ">secret", "~*", "+@all")
    connect = partial(asyncio.open_unix_connection, socket_of(redis_url))
    async with relayed(connect, ours.server()) as port:
        url = f"rediss://runner:secret@localhost:{port}/3?ssl_ca_certs={ours.file}"
        async with running(url) as (scripts, _):
            await scripts.eval(ECHO, 0, "a", 1)
            (one,) = (one for one in await redis.client_list() if one["cmd"] == "eval")
    await redis.execute_command("ACL", "DELUSER", "runner")

    assert (one["user"], one["db"]) == ("runner", "3")


async def test_a_wrong_password_is_told_as_redis_tells_it(redis_url: str) -> None:
    async with running(f"{redis_url}?username=nobody&password=wrong") as (scripts, _):
        with pytest.raises(RedisError, match="invalid username-password pair"):
            await scripts.eval(ECHO, 0, "a", 1)
