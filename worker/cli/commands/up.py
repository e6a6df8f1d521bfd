"""`up`: everything on one machine, in the foreground."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from ...local.child_process import start_worker
from ...local.embedded_redis import Embedded
from ...local.supervisor import Supervisor, stop_signals
from ...settings.celery import broker_url
from ...settings.env_file import process_environment
from ...settings.environment import Settings
from ...settings.errors import ConfigurationError
from ...views.counted import counted
from ..configuration import configuration
from ..exits import Exit
from ..options import BackendsFile, Json
from ..output import Output

LOOK_EVERY = 0.2
"""Seconds between two looks at the processes."""


def up(
    *,
    backends: BackendsFile = None,
    workers: Annotated[
        int | None, typer.Option(min=1, max=256, help="Worker processes. [default: one for each core]")
    ] = None,
    json: Json = False,
) -> None:
    """Run workers in the foreground, and an embedded Redis if REDIS_URL is not set.

    A worker that dies is started again. SIGTERM, Ctrl-C and a closed terminal end the workers, then Redis. With --json
    all logs are JSON.
    Exit 2 when the configuration has mistakes.

    canceller up --backends backends.toml

    canceller up --workers 4 --json
    """
    output = Output(as_json=json)
    settings, _ = configuration(backends, embeds_redis=True)
    count = workers or os.cpu_count() or 1
    check_ports(settings, count)
    with stop_signals() as stopped, redis_of(settings, output) as redis:
        env = environment(settings, redis, as_json=json)
        supervisor = Supervisor(lambda number: start_worker(number, env), count, lambda text: report(output, text))
        raise typer.Exit(run(supervisor, redis, stopped, output))


def report(output: Output, text: str) -> None:
    """Report what happens, alongside the workers' logs; if the terminal is gone, everything still ends in order."""
    try:
        if output.json:
            output.object({"event": "up", "text": text})
        else:
            output.note(f"canceller: {text}")
    except OSError:
        output.silence()


@contextmanager
def redis_of(settings: Settings, output: Output) -> Iterator[Embedded | None]:
    """Start the embedded Redis, unless the settings name one."""
    if settings.redis_url is not None:
        report(output, "using the Redis that REDIS_URL names")
        yield None
        return
    with Embedded(settings.data_dir) as redis:
        report(output, f"embedded Redis at {redis.url}; its data is in {redis.data_dir}")
        if settings.celery_broker_url is None:
            report(output, f"the broker for producers that use only Celery: {broker_url(redis.url)}")
        try:
            yield redis
        finally:
            report(output, "stopping the embedded Redis")


def environment(settings: Settings, redis: Embedded | None, *, as_json: bool) -> dict[str, str]:
    """Return the environment of the workers."""
    env = dict(process_environment())
    if settings.backends is not None:
        env["CANCELLER_BACKENDS"] = str(settings.backends.absolute())
    if redis is not None:
        env["REDIS_URL"] = redis.url
    if as_json:
        env["CANCELLER_LOG_FORMAT"] = "json"
    return env


def check_ports(settings: Settings, count: int) -> None:
    """Check that each worker can have a port of its own.

    Raises:
        ConfigurationError: there are too few ports.

    """
    try:
        if settings.http is not None:
            settings.http.of_worker(count - 1)
    except ValueError as error:
        raise ConfigurationError([f"CANCELLER_HTTP: {error}"]) from None


def run(supervisor: Supervisor, redis: Embedded | None, stopped: threading.Event, output: Output) -> Exit:
    """Keep the workers running until a signal, or an error that a restart can't repair."""
    report(output, f"{counted(supervisor.count, 'worker')} in the foreground; Ctrl-C stops everything")
    try:
        while not stopped.wait(LOOK_EVERY):
            if redis is not None and not redis.running:
                report(output, f"the embedded Redis has died; its log is {redis.data_dir / 'redis.log'}")
                return Exit.ERROR
            if supervisor.restart_dead() is not None:
                report(output, "a worker says that its configuration is wrong, see above")
                return Exit.USAGE
    finally:
        report(output, "stopping the workers")
        supervisor.stop()
    return Exit.DONE
