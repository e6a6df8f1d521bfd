"""Blocking calls in threads of our own: the host's executor, however busy or ended, has no part in them."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from pathlib import Path

import pytest

from worker.aio.daemon import Threads, in_daemon_thread

ROOT = Path(__file__).resolve().parents[3]
LATE = {
    "atexit": "atexit.register(call)",
    "a thread that outlives the main one": "threading.Thread(target=outlive).start()",
}
EXITING = """
import asyncio, atexit, threading
from worker.aio.daemon import in_daemon_thread
from worker.aio.loop_thread import LoopThread

thread = LoopThread("test")
thread.call(asyncio.sleep(0))

def call():
    print(thread.call(in_daemon_thread(lambda: "called")))
    print(thread.call(resolved()))

def outlive():
    threading.main_thread().join()
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


async def test_no_more_calls_than_the_limit_run_at_once() -> None:
    threads, running, peaks, lock = Threads(2), [0], [0], threading.Lock()
    both = threading.Barrier(2)

    def call() -> None:
        with lock:
            running[0] += 1
            peaks.append(running[0])
        both.wait(60)
        with lock:
            running[0] -= 1

    await asyncio.gather(*(threads.run(call) for _ in range(6)))

    assert max(peaks) == 2


async def test_a_call_sees_the_callers_context() -> None:
    seen: ContextVar[str] = ContextVar("seen")
    seen.set("the caller's")

    assert await in_daemon_thread(seen.get) == "the caller's"
