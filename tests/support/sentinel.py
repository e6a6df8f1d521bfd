"""A replicated Redis for a test: a master, two replicas, and three sentinels that watch them."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel

from worker.local.child_process import stop_all, tied
from worker.local.embedded_redis import server_binary

from .ports import HOST, free_ports

MASTER = "mymaster"
REPLICAS = 2
SENTINELS = 3
WATCH = f"""
bind {HOST}
sentinel monitor {MASTER} {HOST} {{master}} 2
sentinel down-after-milliseconds {MASTER} 2000
sentinel failover-timeout {MASTER} 6000
sentinel parallel-syncs {MASTER} {REPLICAS}
"""


@dataclass(frozen=True)
class Replicated:
    """Where everything listens; the first server is the master until it is killed.

    `servers` are the processes; if those of the sentinels are included, they come last.
    """

    servers: Sequence[subprocess.Popen[bytes]]
    master: int
    sentinels: Sequence[int]

    @property
    def url(self) -> str:
        """The address as `REDIS_URL` wants it."""
        return f"redis+sentinel://{','.join(f'{HOST}:{port}' for port in self.sentinels)}/{MASTER}/0"

    @property
    def broker_url(self) -> str:
        """The address as kombu wants it."""
        return ";".join(f"sentinel://{HOST}:{port}/0" for port in self.sentinels)

    def client(self) -> redis.Redis:
        """Return a client of whichever server is the master."""
        watch: Any = Sentinel([(HOST, port) for port in self.sentinels], socket_timeout=5)  # type: ignore[no-untyped-call]
        found: redis.Redis = watch.master_for(MASTER, redis.Redis)
        return found

    def replicate(self, seconds: float = 60) -> None:
        """Wait until both replicas have every write of the master."""
        with redis.Redis(host=HOST, port=self.master, single_connection_client=True) as client:
            client.set("replicated", time.monotonic())
            assert client.wait(REPLICAS, int(seconds * 1000)) == REPLICAS

    def fail_over(self, seconds: float = 90) -> int:
        """Kill the master; return the port of the new one once all sentinels agree on it."""
        self.servers[0].kill()
        self.servers[0].wait()
        until(lambda: self.master not in (now := self._masters()) and len(now) == 1, seconds)
        return self._masters().pop()

    def _masters(self) -> set[int]:
        return {seen_master(port) for port in self.sentinels}


def seen_master(port: int) -> int:
    """Ask a sentinel where the master listens."""
    with redis.Redis(host=HOST, port=port, socket_timeout=5) as client:
        return int(client.sentinel_get_master_addr_by_name(MASTER)[1])


def knows_all(port: int) -> bool:
    """Ask a sentinel whether it has met all others, and could fail over."""
    with redis.Redis(host=HOST, port=port, socket_timeout=5) as client:
        told = client.sentinel_master(MASTER)
    return (int(told["num-slaves"]), int(told["num-other-sentinels"])) == (REPLICAS, SENTINELS - 1)


def until(done: Callable[[], bool], seconds: float = 60) -> None:
    """Wait, by polling, until a condition is true."""
    never, deadline = threading.Event(), time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, f"not reached in {seconds} s"
        never.wait(0.02)


@contextmanager
def replicated(directory: Path) -> Iterator[Replicated]:
    """Run all servers; they end with the test."""
    master, *others = free_ports(1 + REPLICAS + SENTINELS)
    replicas, sentinels = others[:REPLICAS], others[REPLICAS:]
    with ExitStack() as stack:
        servers = [start_server(stack, directory, master)]
        servers += [start_server(stack, directory, port, "--replicaof", HOST, str(master)) for port in replicas]
        with redis.Redis(host=HOST, port=master) as client:
            until(lambda: client.info("replication")["connected_slaves"] == REPLICAS)
        for port in sentinels:
            _sentinel(stack, directory, port, master)
        until(lambda: all(knows_all(port) for port in sentinels))
        yield Replicated(servers, master, sentinels)


@contextmanager
def watched(directory: Path, *more: str) -> Iterator[Replicated]:
    """Run one server without replicas and three sentinels; `more` are options of these, such as a password."""
    master, *sentinels = free_ports(1 + SENTINELS)
    with ExitStack() as stack:
        servers = [start_server(stack, directory, master)]
        servers += [_sentinel(stack, directory, port, master, *more) for port in sentinels]
        yield Replicated(servers, master, sentinels)


def start_server(stack: ExitStack, directory: Path, port: int, *more: str) -> subprocess.Popen[bytes]:
    """Run a separate server; `more` are its options."""
    home = directory / f"server-{port}"
    home.mkdir()
    options = {"port": str(port), "bind": HOST, "dir": str(home), "save": "", "repl-diskless-sync-delay": "0"}
    return _start(stack, port, *(word for name, value in options.items() for word in (f"--{name}", value)), *more)


def _sentinel(stack: ExitStack, directory: Path, port: int, master: int, *more: str) -> subprocess.Popen[bytes]:
    home = directory / f"sentinel-{port}"
    home.mkdir()
    file = home / "sentinel.conf"
    file.write_text(f"port {port}\ndir {home}\nlogfile {home / 'log'}\n{WATCH.format(master=master)}" + "\n".join(more))
    return _start(stack, port, str(file), "--sentinel")


def _start(stack: ExitStack, port: int, *words: str) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        tied([server_binary(), *words]),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    stack.callback(stop_all, [process], 10)
    with redis.Redis(host=HOST, port=port, socket_timeout=5, retry=Retry(NoBackoff(), 0)) as client:
        until(lambda: _answers(client))
    return process


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.AuthenticationError:
        return True
    except redis.ConnectionError:
        return False
