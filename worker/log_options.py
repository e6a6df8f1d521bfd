"""Sets up a worker's logs as Celery's command line and our own settings say."""

from __future__ import annotations

from typing import Any

import click
import structlog
from click.core import ParameterSource

from config import logs
from config.log_files import LogFile
from config.settings import Settings, process_environment
from config.streams import complain, escape_what_cannot_be_shown
from config.unread import unread_variables

log = structlog.get_logger(__name__)

DEFAULTS = (None, ParameterSource.DEFAULT, ParameterSource.DEFAULT_MAP)
USAGE = 2
"""The exit code of mistakes in options and settings."""


def configure_logs(loglevel: int | None = None, logfile: str | None = None, **_: Any) -> None:
    """Set up the logs in Celery's place: as `-f` and `-l` say where they are given, else as our own settings do."""
    escape_what_cannot_be_shown()
    settings = Settings.load()
    level = loglevel if loglevel and _given("loglevel") else settings.log_level
    try:
        logs.configure(settings.log_format, level, LogFile(logfile) if logfile else None)
    except OSError as error:
        complain(f"--logfile: {logfile} can't be written ({error.strerror})")
        raise SystemExit(USAGE) from None
    for problem in unread_variables(process_environment()):
        log.warning("settings.not_read", problem=problem)


def _given(option: str) -> bool:
    """Whether Celery's command line has an option: its default must not outdo our settings."""
    context = click.get_current_context(silent=True)
    return context is not None and context.get_parameter_source(option) not in DEFAULTS
