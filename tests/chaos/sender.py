"""The producer of the chaos bench: a bare Celery sender in a separate process."""

from __future__ import annotations

import multiprocessing
import signal
import time
from collections.abc import Mapping
from typing import Any

from celery import Celery

from tests.chaos.plan import plan

EVERY, OF = 20, 100
"""Of every hundred commands, this many go out together in one `worker.submit`."""


def main(shared: Any, settings: Mapping[str, Any], seed: int, rate: float, finished: bool) -> None:  # noqa: FBT001 - a process's
    """Send commands up to `shared.limit`, at a steady rate, until told to stop."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    app = Celery(set_as_current=False)
    app.conf.update(settings)
    started, base = time.monotonic(), 0
    while not shared["stop"].is_set():
        index = shared["sent"].value
        if rate and index - base > (time.monotonic() - started) * rate:
            time.sleep(0.005)
        elif index >= shared["limit"].value:
            time.sleep(0.01)
            started, base = time.monotonic(), index
        else:
            shared["sent"].value = index + _send(app, seed, index, finished=finished)


def _send(app: Celery, seed: int, index: int, *, finished: bool) -> int:
    if not finished and index % OF == 0:
        plans = [plan(seed, at) for at in range(index, index + EVERY)]
        commands = [
            {"verb": verb, "command_id": command_id, **fields}
            for one in plans
            for verb, command_id, fields in one.commands()
        ]
        _until_sent(app, "worker.submit", f"s{index}", {"commands": commands})
        return EVERY
    one = plan(seed, index, finished=finished)
    for verb, command_id, fields in one.commands() * (1 + one.doubled):
        _until_sent(app, f"worker.{verb}", command_id, fields)
    return 1


def _until_sent(app: Celery, task: str, task_id: str, kwargs: dict[str, Any]) -> None:
    """Send, and try again while the broker is away: the same id is the same command."""
    while True:
        try:
            app.send_task(task, kwargs=kwargs, queue="commands", task_id=task_id)
        except Exception:  # noqa: BLE001 - kombu passes on whatever its transport raises
            time.sleep(0.2)
        else:
            return


class Sender:
    """The sending process, as seen from the bench's process."""

    def __init__(self, settings: Mapping[str, Any], seed: int, rate: float, *, finished: bool) -> None:
        context = multiprocessing.get_context("spawn")
        self._shared: dict[str, Any] = {
            "sent": context.Value("q", 0),
            "limit": context.Value("q", 0),
            "stop": context.Event(),
        }
        args = (self._shared, settings, seed, rate, finished)
        self._process = context.Process(target=main, args=args, daemon=True)

    def start(self) -> None:
        """Start sending."""
        self._process.start()

    @property
    def sent(self) -> int:
        """How many plans have been sent in full."""
        return int(self._shared["sent"].value)

    def allow(self, limit: int) -> None:
        """Let it send up to that many plans in total."""
        self._shared["limit"].value = limit

    def stop(self) -> None:
        """End it between two messages."""
        self._shared["stop"].set()
        self._process.join(timeout=30)
        self._process.kill()
