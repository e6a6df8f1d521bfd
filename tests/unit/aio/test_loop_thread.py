"""A loop in a separate thread, and what a forked child may do with it."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from worker.aio.daemon import in_daemon_thread
from worker.aio.loop_thread import THREADS, LoopThread

ROOT = Path(__file__).resolve().parents[3]
FORKED = """
import asyncio, os, socket, sys
from worker.aio.loop_thread import LoopThread

ours, theirs = socket.socketpair()
thread = LoopThread("test")

async def opened():
    return await asyncio.open_connection(sock=ours)

reader, writer = thread.call(opened())

async def answer():
    return os.getpid()

child = os.fork()
if child == 0:
    writer.write(b"from the child")
    writer.close()  # as a StreamWriter does that is collected, from Python 3.12 on
    assert thread.call(answer(), timeout=60) == os.getpid()
    thread.close()
    del reader, writer
    sys.exit(0)
assert os.waitpid(child, 0)[1] == 0
theirs.sendall(b"to the parent")
print(thread.call(asyncio.wait_for(reader.readexactly(13), 60)).decode())
theirs.settimeout(0)
try:
    print(theirs.recv(100))
except BlockingIOError:
    print("nothing from the child")
"""


async def nothing() -> None: ...


def test_what_a_forked_child_does_to_an_inherited_connection_does_not_reach_the_parents() -> None:
    # Since version 3.12, Python warns about a fork beside threads: these tests are about what can go wrong there.
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKED],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert done.stderr == ""
    assert done.stdout.splitlines() == ["to the parent", "nothing from the child"]


class Interrupted(Exception):
    """Raised by a signal, as Celery's soft time limit is."""


def test_what_is_waited_for_ends_with_an_interrupted_wait() -> None:
    ended = threading.Event()

    async def endless() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    def interrupt(_: int, frame: FrameType | None) -> None:
        if frame and "result" in {one.name for one in traceback.extract_stack(frame)}:
            raise Interrupted

    thread, before = LoopThread("test"), signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.01, 0.01)
    try:
        with pytest.raises(Interrupted):
            thread.call(endless())
        signal.setitimer(signal.ITIMER_REAL, 0)
        assert ended.wait(60)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
        thread.close()


def test_a_loops_lookups_share_few_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    used = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: used.append(threading.current_thread()))

    async def look_up() -> None:
        loop = asyncio.get_running_loop()
        await asyncio.gather(*(loop.getaddrinfo("host", 80) for _ in range(3 * THREADS)))

    thread = LoopThread("test")
    thread.call(look_up())
    thread.close()

    assert len(used) == 3 * THREADS
    assert len(set(used)) <= THREADS


def test_a_closed_one_says_so() -> None:
    thread = LoopThread("test")
    thread.call(nothing())
    thread.close()
    thread.close()

    with pytest.raises(RuntimeError, match="test is closed"):
        thread.call(nothing())


def test_a_wait_ends_with_an_error_when_another_thread_closes_it() -> None:
    thread, begun, ended, raised = LoopThread("test"), threading.Event(), [], []

    async def endless() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    def wait() -> None:
        try:
            thread.call(endless(), timeout=3600)
        except RuntimeError as error:
            raised.append(str(error))

    waiting = threading.Thread(target=wait)
    waiting.start()
    assert begun.wait(60)
    thread.close()
    waiting.join(60)

    assert (ended, raised) == ([True], ["test is closed"])


def test_what_was_begun_just_before_the_close_ends_as_well() -> None:
    thread = LoopThread("test")
    thread.call(nothing())
    futures = [thread.begin(asyncio.sleep(3600)) for _ in range(100)]
    thread.close()

    assert all(future.cancelled() for future in futures)


@pytest.mark.parametrize("first", [True, False], ids=["before the loop knows of it", "after that"])
def test_what_is_begun_while_a_signals_handler_closes_ends_with_an_error(
    monkeypatch: pytest.MonkeyPatch, *, first: bool
) -> None:
    thread, schedule = LoopThread("test"), asyncio.run_coroutine_threadsafe
    thread.call(nothing())

    def interrupted(work: Coroutine[Any, Any, None], loop: asyncio.AbstractEventLoop) -> Future[None]:
        if first:
            thread.close()
        future = schedule(work, loop)
        thread.close()
        return future

    monkeypatch.setattr(asyncio, "run_coroutine_threadsafe", interrupted)

    with pytest.raises(RuntimeError, match="test is closed"):
        thread.call(asyncio.sleep(3600), timeout=60)


class Starting:
    """Starts threads, and then does once what a signal's handler does meanwhile."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, handler: Callable[[], object], *, fails: bool = False) -> None:
        self.threads: list[threading.Thread] = []
        start = threading.Thread.start

        def interrupted(thread: threading.Thread) -> None:
            self.threads.append(thread)
            monkeypatch.setattr(threading.Thread, "start", start)
            if not fails:
                start(thread)
            handler()

        monkeypatch.setattr(threading.Thread, "start", interrupted)

    def ended(self) -> bool:
        """Wait for the thread that was started, and return whether it has ended."""
        for one in self.threads:
            one.join(60)
        return not any(one.is_alive() for one in self.threads)


def raising(error: BaseException) -> Callable[[], None]:
    def fail() -> None:
        raise error

    return fail


async def this_loop() -> asyncio.AbstractEventLoop:
    return asyncio.get_running_loop()


def test_an_interrupted_start_ends_its_loop_and_the_next_call_starts_another(monkeypatch: pytest.MonkeyPatch) -> None:
    thread, starting = LoopThread("test"), Starting(monkeypatch, raising(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        thread.call(nothing())

    assert starting.ended()
    assert thread.call(this_loop()).is_running()
    thread.close()


def test_a_thread_that_can_not_start_leaves_no_loop_and_the_next_call_starts_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    thread = LoopThread("test")
    Starting(monkeypatch, raising(RuntimeError("can't start new thread")), fails=True)
    with pytest.raises(RuntimeError, match="can't start"):
        thread.call(nothing())

    assert thread.call(this_loop()).is_running()
    thread.close()


def test_a_signals_handler_that_calls_while_a_loop_starts_uses_the_only_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    thread, used = LoopThread("test"), []
    starting = Starting(monkeypatch, lambda: used.append(thread.call(this_loop())))

    assert [thread.call(this_loop())] == used
    assert starting.ended()
    thread.close()


def test_a_signals_handler_that_closes_while_a_loop_starts_leaves_none(monkeypatch: pytest.MonkeyPatch) -> None:
    thread = LoopThread("test")
    starting = Starting(monkeypatch, thread.close)
    with pytest.raises(RuntimeError, match="test is closed"):
        thread.call(nothing())

    assert starting.ended()


def test_a_close_within_its_own_loop_ends_it() -> None:
    thread, ended = LoopThread("test"), threading.Event()

    async def last() -> None:
        ended.set()

    async def close() -> None:
        thread.close(last)

    thread.call(close())

    assert ended.wait(60)


def test_each_of_several_closes_returns_once_all_is_done() -> None:
    thread, last, done = LoopThread("test"), threading.Event(), []

    async def end() -> None:
        await in_daemon_thread(lambda: last.wait(60))
        done.append("last")

    def close() -> None:
        thread.close(end)
        done.append("closed")

    thread.call(nothing())
    closing = [threading.Thread(target=close) for _ in range(3)]
    for one in closing:
        one.start()
    last.set()
    for one in closing:
        one.join(60)

    assert done == ["last", "closed", "closed", "closed"]
    assert not thread.started


def test_a_close_raises_what_its_last_work_raised() -> None:
    thread = LoopThread("test")
    thread.call(nothing())

    async def fail() -> None:
        raise ValueError("the last work")

    with pytest.raises(ValueError, match="the last work"):
        thread.close(fail)
    assert not thread.started


def test_a_close_of_what_never_ran_runs_nothing() -> None:
    ran = []

    async def end() -> None:
        ran.append(True)

    LoopThread("test").close(end)

    assert not ran


def test_no_thread_runs_before_the_first_call() -> None:
    thread = LoopThread("test")
    assert not thread.started
    thread.call(asyncio.sleep(0))
    assert thread.started
    thread.close()
