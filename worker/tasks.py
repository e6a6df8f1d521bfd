"""The tasks that producers and operators send; what each asks for is read in `inbox.py`.

With a Redis broker the command queue is emptied by `taker.py` instead, and only bells come through here; with
RabbitMQ nothing does: what it delivers goes to `receiver.py`.
"""

from __future__ import annotations

from typing import Any

import structlog
from celery import Task
from celery.exceptions import Reject
from celery.signals import setup_logging

from config import logs
from config.settings import Settings
from config.streams import escape_what_cannot_be_shown
from worker.celery import app
from worker.errors import NewerFormat, StoreUnavailable
from worker.inbox import Refusal, read
from worker.runtime import runtime

log = structlog.get_logger(__name__)


@setup_logging.connect
def configure_logs(**_: Any) -> None:
    """Keep Celery from setting up logs of its own."""
    escape_what_cannot_be_shown()
    settings = Settings.load()
    logs.configure(settings.log_format, settings.log_level)


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
