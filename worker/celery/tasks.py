"""The tasks that producers and operators send, run by Celery only if the broker is neither a Redis nor a RabbitMQ.

From a Redis, `intake/redis_consumer.py` takes the messages; from a RabbitMQ, `intake/rabbitmq_consumer.py` does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import structlog
from celery import Task
from celery.exceptions import Reject
from celery.signals import setup_logging
from celery.worker.strategy import default

from ..domain.errors import StoreUnavailable
from ..intake.decoder import Malformed, read
from ..protocol.batches import BATCH_TASKS
from ..protocol.envelope import CANVAS, plain
from ..protocol.message_ids import kept_id
from ..protocol.operator_actions import TASKS
from ..runtime.process import runtime
from . import app
from .worker_logs import configure_logs

log = structlog.get_logger(__name__)


setup_logging.connect(configure_logs)


TIMES = ("eta", "expires")
ASKED = "canceller_asked"
"""The header in which a message's times reach our tasks."""


def strategy(task: Any, app: Any, consumer: Any) -> Callable[..., None]:
    """Run at once what Celery would hold until its `eta`, or drop silently after its `expires`.

    Both are applied when the command is taken in, by Redis's time.
    """
    handle = default(task, app, consumer)

    def received(message: Any, *rest: Any) -> None:
        set_aside(message)
        handle(message, *rest)

    return received


def set_aside(message: Any) -> None:
    """Move a message's times to where Celery does not look; in a redelivered one they may be there already."""
    content = message.payload
    holder = content if isinstance(content, dict) and "args" in content else message.headers
    times = {name: holder.pop(name, None) for name in TIMES}
    message.headers.setdefault(ASKED, times)


def task(name: str) -> Any:
    """Register a task that does what its message asks for."""

    @app.task(name=name, bind=True, Strategy=f"{__name__}:strategy")
    def run(self: Task[..., None], *args: Any, **kwargs: Any) -> None:
        request: Any = self.request
        message_id = kept_id(str(request.id))
        try:
            options = {option: request.get(option) for option in (*CANVAS, "traceparent")} | (request.get(ASKED) or {})
            runtime().do([read(name, message_id, plain(args), plain(kwargs), options)])
        except StoreUnavailable as error:
            # While Redis is down, messages go back to the broker, so that none is lost.
            raise Reject(str(error), requeue=True) from error
        except Exception as error:
            log.exception("task.failed", task=name, message_id=message_id)
            reason = f"message: {type(error).__name__} while it was taken in"
            runtime().do([Malformed({"args": list(args), "kwargs": kwargs}, message_id, reason)])

    return run


cancel = task("worker.cancel")
delete = task("worker.delete")
submit = task("worker.submit")
operator_actions = [task(name) for name in TASKS]
batches = [task(name) for name in BATCH_TASKS]
