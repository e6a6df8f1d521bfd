"""Sends events as Celery tasks to another application's broker, without a Celery app."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial

from ..aio.daemon import in_daemon_thread
from ..broker.sender import TaskSender
from ..domain.errors import CancellerError
from .receiver import Message
from .tries import Failure


class CeleryTask:
    """A task of another application; its only keyword argument is the event, its id that of the event."""

    max_in_flight = 8
    at_once = 1

    def __init__(self, broker_url: str, queue: str, task: str) -> None:
        self._sender = TaskSender(broker_url, queue)
        self._task = task
        self.aclose = partial(in_daemon_thread, self._sender.close)

    async def deliver(self, messages: Sequence[Message]) -> Sequence[Failure | None]:
        """Send an event; it has arrived once the broker has confirmed it."""
        ((event_id, body),) = messages
        arguments = {"event": json.loads(body)}
        try:
            await in_daemon_thread(lambda: self._sender.publish(self._task, event_id, arguments))
        except CancellerError as error:
            return [Failure(str(error))]
        return [None]

    async def reach(self) -> str:
        """Connect to the broker."""
        await in_daemon_thread(self._sender.reach)
        return "its broker accepts connections"
