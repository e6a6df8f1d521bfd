"""Sets up a worker's logs from Celery's command line and our own settings."""

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
from ..settings.env_file import process_environment
from ..settings.environment import Settings
from ..settings.unread import unread_variables

log = structlog.get_logger(__name__)

DEFAULTS = (None, ParameterSource.DEFAULT, ParameterSource.DEFAULT_MAP)
USAGE = 2
"""The exit code of mistakes in options and settings."""
QUEUES: list[LogQueue] = []
"""The queues of this process's log lines; a forked child appends its own to its parent's, which is empty."""


def configure_logs(loglevel: int | None = None, logfile: str | None = None, **_: Any) -> None:
    """Set up our logs and Celery's, instead of Celery, from `-f` and `-l` if they are given, else from our settings."""
    escape_what_cannot_be_shown()
    settings = Settings.load()
    context = click.get_current_context(silent=True)
    given = context is not None and context.get_parameter_source("loglevel") not in DEFAULTS
    level = loglevel if loglevel and given else settings.log_level  # the option's default must not override ours
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
    """Wait for the lines that are not written yet, but only for a moment: there may be no reader."""
    for one in QUEUES:
        one.drain()


worker_process_shutdown.connect(drain_logs)  # Celery's forked children end without `atexit`
