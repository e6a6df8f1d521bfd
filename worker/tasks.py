"""The tasks that producers and operators send; what each asks for is read in `inbox.py`.

With a Redis broker the command queue is emptied by `taker.py` instead, and only bells come through here; with
RabbitMQ nothing does: what it delivers goes to `receiver.py`.
"""

from __future__ import annotations

import sys
from typing import Any

import click
import structlog
from celery import Task
from celery.exceptions import Reject
from celery.signals import setup_logging
from click.core import ParameterSource

from config import logs
from config.log_files import LogFile
from config.settings import Settings
from config.streams import escape_what_cannot_be_shown
from worker.celery import app
from worker.errors import NewerFormat, StoreUnavailable
from worker.inbox import Refusal, read
from worker.runtime import runtime

log = structlog.get_logger(__name__)

DEFAULTS = (None, ParameterSource.DEFAULT, ParameterSource.DEFAULT_MAP)
USAGE = 2
"""The exit code of mistakes in options and settings."""


@setup_logging.connect
def configure_logs(loglevel: int | None = None, logfile: str | None = None, **_: Any) -> None:
    """Set up the logs in Celery's place: as `-f` and `-l` say where they are given, else as our own settings do."""
    escape_what_cannot_be_shown()
    settings = Settings.load()
    level = loglevel if loglevel and _given("loglevel") else settings.log_level
    try:
        logs.configure(settings.log_format, level, LogFile(logfile) if logfile else None)
    except OSError as error:
        sys.stderr.write(f"--logfile: {logfile} can't be written ({error.strerror})\n")
        raise SystemExit(USAGE) from None


def _given(option: str) -> bool:
    """Whether Celery's command line has an option: its default must not outdo our settings."""
    context = click.get_current_context(silent=True)
    return context is not None and context.get_parameter_source(option) not in DEFAULTS


def task(name: str) -> Any:
    """Register a task that does what its message asks for."""

    @app.task(name=name, bind=True)
    def run(self: Task[..., None], *args: Any, **kwargs: Any) -> None:
        item = read(name, str(self.request.id), args, kwargs)
        try:
            runtime().do([item])
        except (StoreUnavailable, NewerFormat) as error:
            # Nothing that was sent is lost while Redis is away: the message goes back to the broker.
            raise Reject(str(error), requeue=True) from error
        except Exception as error:
            log.exception("task.failed", task=name, message_id=self.request.id)
            reason = f"message: {type(error).__name__} while it was taken in"
            runtime().do([Refusal({"args": list(args), "kwargs": kwargs}, str(self.request.id), reason)])

    return run


cancel = task("worker.cancel")
delete = task("worker.delete")
submit = task("worker.submit")
reconcile = task("worker.reconcile")
abort = task("worker.abort")
attest = task("worker.attest")
