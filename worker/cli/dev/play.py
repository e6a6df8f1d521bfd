"""`dev`: embedded Redis, simulator and workers in the foreground, one log, and what to type next."""

from __future__ import annotations

import asyncio
import shlex
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from ...aio.tasks import cancel_all
from ...domain.errors import CancellerError, StoreUnavailable
from ...local.child_process import start_worker
from ...local.embedded_redis import Embedded
from ...local.simulator_process import SimulatorProcess, simulator_process
from ...local.supervisor import Supervisor, stop_signals
from ...settings.celery import broker_url
from ...settings.env_file import DEPLOYMENT, ENV_FILE, process_environment
from ...settings.environment import Settings
from ..commands.board import INSTALL
from ..commands.up import check_ports
from ..configuration import configuration
from ..exits import Exit
from ..options import Json
from ..output import Output
from ..session import connected
from .board import BoardProcess, board_process
from .jobs import JOBS, MORE, NEXT
from .merged_log import MergedLog

WORKERS = 2
SPEED = 60.0
"""Simulated seconds in a real one: half an hour lasts 30 s."""
BOARD_PORT = 8590
PORT = 8580
"""The simulator's port in the backends files that `canceller init` writes; another is used if it is taken."""
KEPT = frozenset({"CANCELLER_HTTP", "CANCELLER_LOG_LEVEL", "CANCELLER_SLOTS"})
"""Variables that workers get as the shell has them, because they do not lead to another deployment."""
LOOK_EVERY = 0.2
LAST_LINES = 2.0
"""Seconds to wait for what ended processes have logged."""


class DevError(CancellerError):
    """Something of the deployment has died; the text says what."""


@dataclass(frozen=True, slots=True)
class Deployment:
    """What runs, and the environment that leads to it."""

    redis: Embedded
    simulator: SimulatorProcess
    supervisor: Supervisor
    env: Mapping[str, str]
    env_file: Path
    board: BoardProcess | None
    speed: float

    def check(self) -> None:
        """Restart workers that have died.

        Raises:
            DevError: something that can't be restarted has died.

        """
        if not self.redis.running:
            raise DevError("the embedded Redis has died")
        if self.simulator.process.poll() is not None:
            raise DevError("the simulator has died")
        if self.supervisor.restart_dead() is not None:
            raise DevError("a worker says that its configuration is wrong, see above")


def dev(
    *,
    workers: Annotated[int, typer.Option(min=1, max=64, help="Worker processes.")] = WORKERS,
    speed: Annotated[
        float, typer.Option(min=1, max=100_000, help="Seconds of the simulator's clock in a real one.")
    ] = SPEED,
    backends: Annotated[
        Path | None,
        typer.Option("--backends", metavar="FILE", help="Your backends file. [default: the simulator's backends]"),
    ] = None,
    json: Json = False,
) -> None:
    """Run a deployment to develop against: embedded Redis, simulated job systems with jobs, workers, one log.

    It says what to type next. Ctrl-C ends all of it, and nothing is left behind. Variables that lead to another
    deployment are ignored; several may run at once.

    canceller dev

    canceller dev --speed 600 --backends backends.toml
    """
    if backends is not None:
        backends = configuration(backends)[0].backends
    check_ports(Settings.load(environment()[0]), workers)
    log = MergedLog(Output(as_json=json))
    with stop_signals() as stopped, tempfile.TemporaryDirectory(prefix="canceller-dev-") as directory:
        log.say("starting an embedded Redis, the simulator and the workers; Ctrl-C stops everything")
        try:
            with _deployment(Path(directory), backends, workers, speed, log) as started:
                asyncio.run(_attend(started, stopped, log))
        finally:
            log.finish(LAST_LINES)
            log.say("everything has stopped, and nothing is left behind")
    raise typer.Exit(Exit.DONE)


@contextmanager
def _deployment(
    directory: Path, backends: Path | None, workers: int, speed: float, log: MergedLog
) -> Iterator[Deployment]:
    with (
        Embedded(directory / "redis") as redis,
        simulator_process(directory, speed, {"jobs": JOBS}, _free_or_any(PORT)) as simulator,
    ):
        if backends is None:
            backends = directory / "backends.toml"
            backends.write_text(simulator.example, encoding="utf-8")
        own = {
            "REDIS_URL": redis.url,
            "CANCELLER_BACKENDS": str(backends.absolute()),
            "CANCELLER_CLOCK_SPEED": f"{speed:g}",
        }
        env_file = directory / "env"
        env_file.write_text("".join(f"{name}='{value}'\n" for name, value in own.items()), encoding="utf-8")
        env = {**environment()[0], **own, "CANCELLER_LOG_FORMAT": "json"}

        def start(number: int) -> subprocess.Popen[bytes]:
            process = start_worker(number, env, subprocess.PIPE)
            log.read(f"worker-{number}", process)
            return process

        supervisor = Supervisor(start, workers, log.say)
        with board_process(env, _free_or_any(BOARD_PORT)) as board:
            try:
                yield Deployment(redis, simulator, supervisor, env, env_file, board, speed)
            finally:
                log.say("stopping the workers, the board, the simulator and Redis")
                supervisor.stop()


def _free_or_any(port: int) -> int:
    """Return the port if it is free on the loopback, else 0."""
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind(("127.0.0.1", port))
        except OSError:
            return 0
    return port


async def _attend(started: Deployment, stopped: threading.Event, log: MergedLog) -> None:
    """Keep all running and write events, until a signal."""
    following, told = asyncio.create_task(_follow(Settings.load(started.env), log)), False
    try:
        while not stopped.is_set():
            started.check()
            if log.worker_started.is_set() and not told:
                whole = {"source": "dev", "simulator": started.simulator.url, "env_file": str(started.env_file)}
                board = started.board.address() if started.board else {}
                log.show({**whole, **board}, what_next(started, board))
                told = True
            await asyncio.sleep(LOOK_EVERY)
    finally:
        await cancel_all({following})


async def _follow(settings: Settings, log: MergedLog) -> None:
    with suppress(StoreUnavailable):  # that Redis has died is reported elsewhere
        async with connected(settings) as session:
            async for event in session.client.events():
                log.event(event)


def environment() -> tuple[dict[str, str], list[str]]:
    """Return this process's environment without variables that lead to another deployment, and their names."""
    whole = process_environment()
    elsewhere = sorted(name for name in whole if name.startswith(DEPLOYMENT) and name not in KEPT)
    return {name: value for name, value in whole.items() if name not in elsewhere}, elsewhere


def what_next(started: Deployment, board: Mapping[str, str]) -> list[str]:
    """Return the lines that say what to type next."""
    lines = [f"export {ENV_FILE}={shlex.quote(str(started.env_file))}"]
    _, others = environment()
    if others:
        lines.append(f"unset {' '.join(others)}")  # what a shell has set takes precedence over an env file
    url = started.simulator.url
    for command, shows in (*NEXT, MORE):
        lines += [f"# {shows}", command.replace("SIMULATOR", url)]
    return [
        "",
        "It works. Type in another terminal:",
        *(f"  {line}" for line in lines),
        f"The board is at {board['board']} and asks for the token {board['board_token']}"
        if board
        else f"The board needs its extra, `board`: {INSTALL}, and start this again",
        f"The simulator is at {url}{_pace(started.speed)}",
        f"Producers that use only Celery need the broker {broker_url(started.redis.url)}",
        "",
    ]


def _pace(speed: float) -> str:
    """Say how fast the simulator's clock runs if faster than ours, because `status` predicts forces by our clock."""
    if speed == 1:
        return ""
    lasts = f"half an hour lasts {1800 / speed:.3g} s, and a force comes sooner than `canceller status` says"
    return f"; its clock runs {speed:g} times as fast: {lasts}"
