"""A RabbitMQ node for tests: its data in a directory, its ports on loopback only, its own Erlang port mapper."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

import amqp

from worker.local.child_process import stop_all, tied

from .ports import free_ports

BINARY = "rabbitmq-server"
HOST = "127.0.0.1"
START_SECONDS = 90.0
STOP_SECONDS = 30.0
CONFIG = f"""
listeners.tcp.local = {HOST}:{{port}}
log.file = false
log.console = true
log.console.level = warning
"""


class NoRabbitMQ(Exception):
    """There is no RabbitMQ here; the text says what to install."""


def program(name: str = BINARY) -> Path:
    """Find one of RabbitMQ's programs, or Erlang's.

    Raises:
        NoRabbitMQ: it is not on PATH.

    """
    found = shutil.which(name)
    if found is None:
        raise NoRabbitMQ(f"{name} is not on PATH: install RabbitMQ 3.10 or later (Debian: apt install {BINARY})")
    path = Path(found).resolve()
    # Debian's program is a wrapper that only root and the user rabbitmq may call, and that changes the user.
    return path.with_name(name) if path.name == "rabbitmq-script-wrapper" else path


class Node:
    """A RabbitMQ node; a context manager. It can be killed, and comes back with the same data at the same address."""

    def __init__(self, directory: Path) -> None:
        self.port, self._distribution, self._mapper = free_ports(3)
        self._directory = directory
        self._log = directory / "rabbitmq.log"
        self._open = ExitStack()
        self._server: subprocess.Popen[bytes] | None = None

    def url(self, vhost: str = "/") -> str:
        """Return the address as `CELERY_BROKER_URL` wants it."""
        return f"amqp://guest:guest@{HOST}:{self.port}/{vhost}"

    def __enter__(self) -> Self:
        """Start it and wait until it answers."""
        program()
        self._directory.mkdir(parents=True, exist_ok=True)
        (self._directory / "rabbitmq.conf").write_text(CONFIG.format(port=self.port))
        (self._directory / "plugins").write_text("[].\n")
        with ExitStack() as stack:
            # Erlang would start a port mapper that outlives it, or share another one's.
            stack.enter_context(self._process("epmd", "-port", str(self._mapper), "-address", HOST))
            _until(lambda: _listens(self._mapper), "Erlang's port mapper")
            stack.callback(self.stop)
            self.start()
            self._open = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self._open.close()

    @property
    def pid(self) -> int:
        """The server's process."""
        assert self._server
        return self._server.pid

    def start(self) -> None:
        """Start the node and wait until it answers."""
        self._server = self._popen(BINARY)
        _until(self._answers, "RabbitMQ")

    def stop(self) -> None:
        """End the node as an operator would."""
        if self._server is not None:
            stop_all([self._server], STOP_SECONDS)

    def kill(self) -> float:
        """End the node as a crash would and start it again; return how many seconds it was away."""
        began = time.monotonic()
        assert self._server
        self._server.kill()
        self._server.wait()
        self.start()
        return time.monotonic() - began

    def survives(self, vhost: str, queue: str) -> bool:
        """Whether a kill leaves a quorum queue as it is: its name is written a while after the queue is declared."""
        files = self._directory.glob("mnesia/*/quorum/*/names.dets")
        return any(f"{vhost}_{queue}".encode() in file.read_bytes() for file in files)

    def control(self, *words: str) -> list[list[str]]:
        """Run `rabbitmqctl` and return the table that it prints, without its heading."""
        command = [str(program("rabbitmqctl")), "--quiet", *words]
        ended = subprocess.run(
            command, env=self._environment(), capture_output=True, text=True, timeout=60, check=False
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return [line.split("\t") for line in ended.stdout.splitlines()[1:]]

    def _environment(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("RABBITMQ_")}
        here = self._directory
        return {
            **kept,
            "HOME": str(here),
            "ERL_EPMD_PORT": str(self._mapper),
            "ERL_EPMD_ADDRESS": HOST,
            "RABBITMQ_NODENAME": f"canceller{self.port}@localhost",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_NODE_IP_ADDRESS": HOST,
            "RABBITMQ_DIST_PORT": str(self._distribution),
            "RABBITMQ_MNESIA_BASE": str(here / "mnesia"),
            "RABBITMQ_LOG_BASE": str(here / "logs"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_CONFIG_FILE": str(here / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": str(here / "none"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(here / "plugins"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "RUNNING_UNDER_SYSTEMD": "true",  # the script becomes the server: its process is the one to kill
        }

    def _popen(self, *command: str) -> subprocess.Popen[bytes]:
        with self._log.open("ab") as log:
            return subprocess.Popen(
                tied([str(program(command[0])), *command[1:]]),
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @contextmanager
    def _process(self, *command: str) -> Iterator[None]:
        process = self._popen(*command)
        try:
            yield
        finally:
            stop_all([process], STOP_SECONDS)

    def _answers(self) -> bool:
        assert self._server
        assert self._server.poll() is None, f"RabbitMQ ended:\n{self._log.read_text(errors='replace')[-3000:]}"
        try:
            with amqp.Connection(f"{HOST}:{self.port}", connect_timeout=5, read_timeout=5, write_timeout=5):
                return True
        except (OSError, amqp.AMQPError):
            return False


def _listens(port: int) -> bool:
    with socket.socket() as one:
        return one.connect_ex((HOST, port)) == 0


def _until(done: Callable[[], bool], who: str) -> None:
    never, deadline = threading.Event(), time.monotonic() + START_SECONDS
    while not done():
        assert time.monotonic() < deadline, f"{who} gave no answer in {START_SECONDS:g} s"
        never.wait(0.05)
