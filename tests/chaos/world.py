"""The deployment under the chaos bench: Redis, worker processes, and the reader of the event stream."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

import redis

from tests.chaos.upsets import Deploys, Pipe
from tests.support.stepping import SteppedClock
from worker.local.embedded_redis import Embedded

ROOT = Path(__file__).resolve().parents[2]
EVENTS = "{canceller}:events"
FINISHED = b"canceller.cancellation.finished.v1"


class Server:
    """A Redis that can be killed and comes back with the same data at the same address."""

    def __init__(self, directory: Path, fsync: str, clock: SteppedClock | None = None) -> None:
        self._directory, self._fsync, self._clock = directory, fsync, clock
        self._start()
        self.url = self._embedded.url

    def kill(self) -> float:
        """Kill it and start it again; return how many seconds it was away."""
        began = time.monotonic()
        server = self._embedded._server
        assert server
        server.kill()
        server.wait()
        self.stop()
        self._start()
        assert self._embedded.url == self.url
        return time.monotonic() - began

    def _start(self) -> None:
        self._embedded = Embedded(self._directory, fsync=self._fsync)
        with self._clock.applied() if self._clock else nullcontext():
            self._embedded.__enter__()

    def stop(self) -> None:
        """End it."""
        self._embedded.__exit__()

    def client(self) -> redis.Redis:
        """Return a client that does not wait for long."""
        return redis.Redis.from_url(self.url, socket_timeout=5)


class Worker:
    """One worker process after another; all write to one log, through `pipe` if there is one.

    `deploys` chooses the backends file of each.
    """

    def __init__(
        self,
        name: str,
        directory: Path,
        env: Mapping[str, str],
        pipe: Pipe | None = None,
        deploys: Deploys | None = None,
    ) -> None:
        self._name, self._env = name, env
        self._pipe, self._deploys = pipe, deploys
        self.log = directory / f"{name}.log"
        self.lives = 0
        self.start()

    def start(self) -> None:
        """Start the process; its log is read later."""
        self.lives += 1
        self.started = time.monotonic()
        self.id = ""
        self._at = self.log.stat().st_size if self.log.exists() else 0
        self._called = False
        command = [sys.executable, "-m", "celery", "-A", "worker", "worker", "-n", f"{self._name}-{self.lives}@%h"]
        env = dict(self._env)
        if self._deploys is not None:
            env["CANCELLER_BACKENDS"] = str(self._deploys.file_for(self._name))
        if self._pipe is not None:
            self._process = self._pipe.run(command, env, ROOT)
            return
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, env=env, cwd=ROOT, stdout=log, stderr=log)

    def read(self) -> None:
        """Read the next part of the log: who this worker is, and whether it has made a call."""
        with self.log.open("rb") as log:
            log.seek(self._at)
            new = log.read()
        whole = new.rfind(b"\n") + 1
        self._at += whole
        for line in new[:whole].splitlines():
            if not self.id and b"engine.started" in line:
                self.id = str(json.loads(line)["worker"])
            self._called |= b"_sent" in line

    @property
    def alive(self) -> bool:
        """Whether the process runs; one that ended by itself is a finding."""
        return self._process.poll() is None

    def ready(self, *, called: bool = True) -> bool:
        """Whether its engine runs, and it has made a changing call since its start."""
        self.read()
        return bool(self.id) and (self._called or not called)

    def kill(self) -> str:
        """Kill it as a crash would; return who it was."""
        self._process.kill()
        self._process.wait()
        return self.id

    def stop(self) -> None:
        """End it with SIGTERM."""
        self._process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=15)
        self._process.kill()
        self._process.wait()


class Reader:
    """Reads the event stream as it grows, in a thread; keeps the raw events with their times of arrival."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.raw: list[tuple[float, bytes]] = []
        self.ended: list[tuple[str, str]] = []
        self.errors: list[str] = []
        self.last = time.monotonic()
        self._position = "0-0"
        self._stopping = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopping = True
        self._thread.join(timeout=10)

    def _run(self) -> None:
        client = self._server.client()
        while not self._stopping:
            try:
                self._read(client)
            except (redis.RedisError, OSError):
                time.sleep(0.1)
            except Exception as error:
                self.errors.append(repr(error))
                raise

    def _read(self, client: redis.Redis) -> None:
        reply: Any = client.xread({EVENTS: self._position}, count=2000, block=500)
        for _, entries in reply or []:
            for entry, fields in entries:
                self._position = entry.decode()
                self.last = time.monotonic()
                raw = fields[b"event"]
                self.raw.append((time.time(), raw))
                if FINISHED in raw:
                    event = json.loads(raw)
                    self.ended.append((event["backend"], event["subject"]))


def environment(server: Server, backends: Path, more: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a worker process."""
    return {
        **os.environ,
        "REDIS_URL": server.url,
        "CANCELLER_BACKENDS": str(backends),
        "CANCELLER_LOG_FORMAT": "json",
        **more,
    }
