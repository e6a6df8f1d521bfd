"""Asks a backend about a job, outside of any pass."""

from __future__ import annotations

from ..backends.adapter import Reply
from ..domain.model import Answer, Job, Observation
from ..engine.backend import Backend


async def ask(backend: Backend, job: Job) -> Observation | Answer:
    """Look at a job once.

    Raises:
        CancellerError: there was no answer, or no credential to ask with.

    """
    await backend.calls.ready()
    exchange = backend.adapter.look(job)
    request = next(exchange)
    while True:
        reply: Reply = await backend.calls.send(request)
        try:
            request = exchange.send(reply)
        except StopIteration as stop:
            said: Observation | Answer = stop.value
            return said
