"""A loop in a separate thread, and what a forked child may do with it."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
import threading
import traceback
from pathlib import Path
from types import FrameType

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
