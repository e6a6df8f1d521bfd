"""Blocking calls in threads of our own: the host's executor, however busy or ended, has no part in them."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from functools import partial
from pathlib import Path

import pytest

from worker.aio.daemon import Threads, in_daemon_thread

ROOT = Path(__file__).resolve().parents[3]
LATE = {
    "atexit": "atexit.register(call)",
    "a thread that outlives the main one": "threading.Thread(target=outlive).start()",
    "an executor's thread after the script": "pool.submit(once_it_exits)",
}
EXITING = """
import asyncio, atexit, threading
from concurrent.futures import ThreadPoolExecutor
from worker.aio.daemon import in_daemon_thread
from worker.aio.loop_thread import LoopThread

pool = ThreadPoolExecutor(1)
thread = LoopThread("test")
thread.call(asyncio.sleep(0))

def call():
    print(thread.call(in_daemon_thread(lambda: "called")))
    print(thread.call(resolved()))

def outlive():
    threading.main_thread().join()
    call()

def once_it_exits():
    try:
        while True:
            pool.submit(int).cancel()
    except RuntimeError:
        call()

async def resolved():
    return (await asyncio.get_running_loop().getaddrinfo("localhost", 80))[0][4][1]

"""


async def test_a_hosts_busy_executor_delays_no_call() -> None:
    done = threading.Event()
    with ThreadPoolExecutor(1) as busy:
        asyncio.get_running_loop().set_default_executor(busy)
        busy.submit(done.wait)
        try:
            assert await asyncio.wait_for(in_daemon_thread(lambda: "called"), 60) == "called"
        finally:
            done.set()


@pytest.mark.parametrize("late", LATE.values(), ids=LATE.keys())
def test_a_call_while_the_interpreter_exits_is_made(late: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", EXITING + late], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )

    assert done.stderr == ""
    assert done.stdout.splitlines() == ["called", "80"]


async def test_no_more_calls_than_the_limit_run_at_once_also_if_nobody_waits_for_them_any_more() -> None:
    threads, begun, may_end, used = Threads(2), threading.Semaphore(0), threading.Event(), []

    def call() -> str:
        used.append(threading.current_thread())
        begun.release()
        may_end.wait(60)
        return "called"

    given_up = [asyncio.ensure_future(threads.run(call)) for _ in range(2)]
    await asyncio.gather(*(in_daemon_thread(begun.acquire) for _ in given_up))
    for one in given_up:
        one.cancel()
    await asyncio.wait(given_up)
    later = [asyncio.ensure_future(threads.run(call)) for _ in range(6)]
    await asyncio.sleep(0)

    assert len(used) == 2
    may_end.set()
    assert await asyncio.gather(*later) == ["called"] * 6
    assert len(set(used)) == 2


async def test_a_call_that_nobody_waits_for_any_more_when_its_turn_comes_is_not_made() -> None:
    threads, begun, may_end, made = Threads(1), threading.Event(), threading.Event(), []

    def hold() -> None:
        begun.set()
        may_end.wait(60)

    first = asyncio.ensure_future(threads.run(hold))
    await in_daemon_thread(begun.wait)
    given_up = [asyncio.ensure_future(threads.run(partial(made.append, number))) for number in range(3)]
    await asyncio.sleep(0)
    for one in given_up:
        one.cancel()
    await asyncio.wait(given_up)
    may_end.set()
    await first
    await threads.run(partial(made.append, "the next"))

    assert made == ["the next"]


async def test_calls_one_after_another_share_a_thread() -> None:
    threads = Threads(10)

    assert len({await threads.run(threading.get_ident) for _ in range(20)}) == 1


async def test_idle_threads_end_with_what_has_started_them() -> None:
    threads = Threads(10)
    thread = await threads.run(threading.current_thread)
    del threads
    await in_daemon_thread(partial(thread.join, 60))

    assert not thread.is_alive()


@pytest.mark.parametrize(
    "raised", [SystemExit, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError, StopIteration]
)
async def test_what_would_end_the_loop_is_raised_as_an_ordinary_exception(raised: type[BaseException]) -> None:
    def call() -> None:
        raise raised

    with pytest.raises(RuntimeError, match=raised.__name__) as caught:
        await asyncio.wait_for(in_daemon_thread(call), 60)

    assert isinstance(caught.value.__cause__, raised)


async def test_a_call_sees_the_callers_context() -> None:
    seen: ContextVar[str] = ContextVar("seen")
    seen.set("the caller's")

    assert await in_daemon_thread(seen.get) == "the caller's"
