"""How a client ends: closed while others wait, or used while its process exits."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from celery import Celery
from redis import Redis
from support.cell import ROOT
from support.shell import run_program

from worker.client import Client
from worker.client.async_client import AsyncClient
from worker.settings.environment import Settings

LONG = 3600
LATE = {
    "atexit": "atexit.register(send)",
    "a thread that outlives the main one": "threading.Thread(target=outlive).start()",
    "an executor's thread after the script": "pool.submit(once_it_exits)",
}
EXITING = """
import atexit, sys, threading
from concurrent.futures import ThreadPoolExecutor
sys.path.insert(0, {root!r})
from worker.client import Client

pool = ThreadPoolExecutor(1)
client = Client.from_env()
client.batches()

def send():
    client.cancel("ess", 1)
    client.close()

def outlive():
    threading.main_thread().join()
    send()

def once_it_exits():
    try:
        while True:
            pool.submit(int).cancel()
    except RuntimeError:
        send()

{late}
"""


@pytest.mark.parametrize("late", LATE.values(), ids=LATE.keys())
def test_a_command_is_sent_while_the_process_exits(late: str, redis_url: str, sync_redis: Redis) -> None:
    done = run_program({"REDIS_URL": redis_url, "PATH": ""}, EXITING.format(root=str(ROOT), late=late))

    assert done.stderr == ""
    assert sync_redis.llen("commands") == 1


async def test_a_hosts_busy_executor_delays_no_command(redis_url: str, sync_redis: Redis) -> None:
    done = threading.Event()
    with ThreadPoolExecutor(1) as busy:
        asyncio.get_running_loop().set_default_executor(busy)
        busy.submit(done.wait)
        client = AsyncClient(Settings.load({"REDIS_URL": redis_url}))
        try:
            await asyncio.wait_for(client.cancel("ess", 1), 60)
            await client.aclose()
        finally:
            done.set()

    assert sync_redis.llen("commands") == 1


def follow(client: Client) -> None:
    for _ in client.events():
        pass


WAITS: dict[str, Callable[[Client], object]] = {
    "wait": lambda client: client.wait("nothing", timeout=LONG),
    "wait without a timeout": lambda client: client.wait("nothing"),
    "events": follow,
}


@pytest.mark.parametrize("wait", WAITS.values(), ids=WAITS.keys())
def test_a_wait_ends_with_an_error_when_another_thread_closes_the_client(
    wait: Callable[[Client], object], redis_url: str, sync_redis: Redis
) -> None:
    client = Client(Settings.load({"REDIS_URL": redis_url}))
    waiting = Raising(lambda: wait(client))
    reads_events(sync_redis)
    client.close()

    assert waiting.raised() == "canceller-client is closed"


@pytest.mark.parametrize("timeout", [None, LONG])
def test_a_get_ends_with_an_error_when_another_thread_closes_the_result_backend(
    timeout: float | None, redis_url: str, sync_redis: Redis
) -> None:
    app = Celery(backend=f"canceller+{redis_url}", set_as_current=False)
    backend: Any = app.backend
    waiting = Raising(lambda: app.AsyncResult("nothing").get(timeout=timeout))
    reads_events(sync_redis)
    backend.close()

    assert waiting.raised() == "canceller-results is closed"


async def follow_events(client: AsyncClient) -> None:
    async for _ in client.events():
        pass


async def wait_for_batch(client: AsyncClient) -> None:
    await client.batch_by_id("nothing").wait()


async def wait_until_taken_in(client: AsyncClient) -> None:
    batch = await client.batch([{"verb": "cancel", "backend": "ess", "job_id": 1}])
    await batch.taken_in()


ASYNCHRONOUS: dict[str, tuple[Callable[[AsyncClient], Coroutine[Any, Any, object]], str]] = {
    "wait": (lambda client: client.wait("nothing"), "xread"),
    "events": (follow_events, "xread"),
    "wait for a batch": (wait_for_batch, "get"),
    "wait until a batch is taken in": (wait_until_taken_in, "evalsha"),
}


@pytest.mark.parametrize(("wait", "command"), ASYNCHRONOUS.values(), ids=ASYNCHRONOUS.keys())
async def test_a_wait_ends_with_an_error_and_opens_no_connection_when_the_asynchronous_client_is_closed(
    wait: Callable[[AsyncClient], Coroutine[Any, Any, object]], command: str, redis_url: str, sync_redis: Redis
) -> None:
    before = len(sync_redis.client_list())
    client = AsyncClient(Settings.load({"REDIS_URL": redis_url}))
    waiting = asyncio.create_task(wait(client))
    await asyncio.to_thread(reads, sync_redis, command)
    await client.aclose()

    with pytest.raises(RuntimeError, match="closed during this wait"):
        await asyncio.wait_for(waiting, 60)
    sync_redis.ping()  # one turn of the server's loop, in which it sees what was closed
    assert len(sync_redis.client_list()) == before


async def test_reading_events_ends_with_an_error_when_the_client_is_closed_between_two_of_them(
    redis_url: str, sync_redis: Redis
) -> None:
    sync_redis.xadd("{canceller}:events", {"event": json.dumps(EVENT)})
    client = AsyncClient(Settings.load({"REDIS_URL": redis_url}))
    events = client.events()
    await anext(events)
    await client.aclose()

    with pytest.raises(RuntimeError, match="closed during this wait"):
        await asyncio.wait_for(anext(events), 60)


EVENT = {"id": "1", "source": "/", "type": "canceller.backend.paused.v1", "time": "2026-01-01T00:00:00Z", "data": {}}


class Raising:
    """A thread that calls a function, which raises a RuntimeError."""

    def __init__(self, function: Callable[[], object]) -> None:
        self._function = function
        self._raised = ""
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._function()
        except RuntimeError as error:
            self._raised = str(error)

    def raised(self) -> str:
        """Wait until it ends, and return the error's text."""
        self._thread.join(60)
        return self._raised


def reads_events(server: Redis) -> None:
    """Wait until somebody waits at the server for events."""
    reads(server, "xread")


def reads(server: Redis, command: str) -> None:
    """Wait until somebody's last command at the server is this one."""
    while not any(one["cmd"] == command for one in server.client_list()):
        pass
