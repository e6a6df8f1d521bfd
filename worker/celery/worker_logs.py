"""Sets up a worker's logs as Celery's command line and our own settings say."""

from __future__ import annotations

import atexit
import sys
from typing import Any

import click
import structlog
from celery.signals import worker_process_shutdown
from click.core import ParameterSource

from ..observability import logs
from ..observability.log_files import LogFile
from ..observability.log_queue import Descriptor, LogQueue
from ..observability.streams import complain, escape_what_cannot_be_shown
from ..settings.environment import Settings, process_environment
from ..settings.unread import unread_variables

log = structlog.get_logger(__name__)

DEFAULTS = (None, ParameterSource.DEFAULT, ParameterSource.DEFAULT_MAP)
USAGE = 2
"""The exit code of mistakes in options and settings."""
QUEUES: list[LogQueue] = []
"""Where this process's lines wait for their writing; in a forked child, behind its parent's empty one."""


def configure_logs(loglevel: int | None = None, logfile: str | None = None, **_: Any) -> None:
    """Set up the logs in Celery's place: as `-f` and `-l` say where they are given, else as our own settings do.

    Celery's lines take the same way.
    """
    escape_what_cannot_be_shown()
    settings = Settings.load()
    level = loglevel if loglevel and _given("loglevel") else settings.log_level
    try:
        sink = LogFile(logfile) if logfile else Descriptor(sys.stderr)
    except OSError as error:
        complain(f"--logfile: {logfile} can't be written ({error.strerror})")
        raise SystemExit(USAGE) from None
    QUEUES.append(LogQueue(sink, settings.log_queue))
    logs.configure(settings.log_format, level, QUEUES[-1])
    for problem in unread_variables(process_environment()):
        log.warning("settings.not_read", problem=problem)


@atexit.register
def drain_logs(**_: Any) -> None:
    """Wait for the lines that are not written yet; for a moment at most, as nobody may read them."""
    for one in QUEUES:
        one.drain()


worker_process_shutdown.connect(drain_logs)  # Celery's forked children end without `atexit`


def _given(option: str) -> bool:
    """Whether Celery's command line has an option: its default must not outdo our settings."""
    context = click.get_current_context(silent=True)
    return context is not None and context.get_parameter_source(option) not in DEFAULTS
