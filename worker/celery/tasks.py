"""The tasks that producers and operators send; what each asks for is read in `inbox.py`.

Messages of a Redis broker are taken by `taker.py` instead, and what RabbitMQ delivers goes to `receiver.py`. With any
other broker they come through here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import structlog
from celery import Task
from celery.exceptions import Reject
from celery.signals import setup_logging
from celery.worker.strategy import default

from ..errors import StoreUnavailable
from ..intake.decoder import Item, Malformed, read
from ..protocol.envelope import CANVAS, plain
from ..protocol.operator_actions import TASKS
from ..runtime.process import runtime
from . import app
from .worker_logs import configure_logs

log = structlog.get_logger(__name__)


setup_logging.connect(configure_logs)


TIMES = ("eta", "expires")
ASKED = "canceller_asked"
"""The header under which a message's times reach our tasks."""


def strategy(task: Any, app: Any, consumer: Any) -> Callable[..., None]:
    """Hand over at once what Celery would hold until its `eta`, or drop without a word past its `expires`.

    Both are heeded when the command is taken in, by Redis's time.
    """
    handle = default(task, app, consumer)

    def received(message: Any, *rest: Any) -> None:
        set_aside(message)
        handle(message, *rest)

    return received


def set_aside(message: Any) -> None:
    """Put a message's times where Celery does not look; in one that comes again they may be there already."""
    content = message.payload
    holder = content if isinstance(content, dict) and "args" in content else message.headers
    times = {name: holder.pop(name, None) for name in TIMES}
    message.headers.setdefault(ASKED, times)


def asked(name: str, request: Any, args: Any, kwargs: Any) -> Item:
    """Read what a message asks for that Celery has decoded."""
    options = {option: request.get(option) for option in (*CANVAS, "traceparent")} | (request.get(ASKED) or {})
    return read(name, str(request.id), plain(args), plain(kwargs), options)


def task(name: str) -> Any:
    """Register a task that does what its message asks for."""

    @app.task(name=name, bind=True, Strategy=f"{__name__}:strategy")
    def run(self: Task[..., None], *args: Any, **kwargs: Any) -> None:
        try:
            runtime().do([asked(name, self.request, args, kwargs)])
        except StoreUnavailable as error:
            # Nothing that was sent is lost while Redis is away: the message goes back to the broker.
            raise Reject(str(error), requeue=True) from error
        except Exception as error:
            log.exception("task.failed", task=name, message_id=self.request.id)
            reason = f"message: {type(error).__name__} while it was taken in"
            runtime().do([Malformed({"args": list(args), "kwargs": kwargs}, str(self.request.id), reason)])

    return run


cancel = task("worker.cancel")
delete = task("worker.delete")
submit = task("worker.submit")
operator_actions = [task(name) for name in TASKS]
