"""Makes the calls of one pass, one after the other and within its lease, and counts them."""

from __future__ import annotations

import time
from collections.abc import Generator
from functools import partial
from typing import TypeVar

from msgspec.structs import replace

from ..backends.adapter import NoReply, Reply, Request
from ..domain.cancellation import Cancellation
from ..domain.errors import CallUnanswered, CredentialRefused, CredentialUnavailable
from ..domain.evidence.breaker import outage
from ..domain.model import Action, Answer, AnswerKind, Observation, Source, unanswered
from ..observability.observer import CallMade
from .backend import Backend
from .clock import Clock

TOO_SLOW = unanswered("the look took longer than this worker may hold the record")

Said = TypeVar("Said", bound=Observation | Answer)


class Caller:
    """Makes the calls of one pass; `paid` is how many of them the claim has paid for."""

    def __init__(self, backend: Backend, clock: Clock, cancellation: Cancellation, paid: int) -> None:
        self.made = 0
        """Calls that have not been charged for yet."""
        self.failed = False
        """Whether any call failed in a way that counts against the backend as a whole."""
        self.cut_short = False
        """Whether the latest look was not over when the lease left no more time for it."""
        self._backend = backend
        self._clock = clock
        self._cancellation = cancellation
        self._paid = paid

    def lease_lasts(self, calls: int = 1) -> bool:
        """Whether this many calls, one after the other from now on, end within the lease whatever happens to them."""
        return self._backend.lease - self._clock.elapsed() > calls * self._backend.policy.timeout

    async def drive(self, exchange: Generator[Request, Reply, Said], action: Action) -> Said | Answer:
        """Make the calls of an exchange; those of a look end with the lease, which says nothing about the backend."""
        began, made, self.cut_short = time.monotonic(), self.made, False
        said = await self._said(exchange, look=action is Action.LOOK)
        self.failed |= not self.cut_short and outage(said)
        if self.made > made:
            kind = said.kind if isinstance(said, Answer) else AnswerKind.ACCEPTED
            seconds = time.monotonic() - began
            self._backend.observer(CallMade(self._backend.name, action, kind, seconds, self._cancellation))
        return said

    async def _said(self, exchange: Generator[Request, Reply, Said], *, look: bool) -> Said | Answer:
        """Return what an exchange makes of the replies; it is told of each call that got none or was not made."""
        request, retry_after = next(exchange), 0.0
        while True:
            without: Answer | None = None
            if look and not self.lease_lasts():
                self.cut_short, without = True, TOO_SLOW
            else:
                self.made += 1
                try:
                    reply = await self._backend.calls.send(request, traceparent=self._cancellation.traceparent)
                    retry_after = max(retry_after, reply.retry_after or 0.0)
                    step = partial(exchange.send, reply)
                except CallUnanswered as error:
                    without = unanswered(str(error))
                except CredentialUnavailable as error:
                    return Answer(AnswerKind.BUSY, Source.NOBODY, detail=str(error))
                except CredentialRefused as error:
                    return Answer(AnswerKind.REFUSED, Source.CREDENTIAL, detail=str(error))
            if without is not None:
                step = partial(exchange.throw, NoReply(without.detail))
            try:
                request = step()
            except StopIteration as stop:
                said: Said = stop.value
                asks = retry_after and isinstance(said, Observation)
                return replace(said, retry_after=retry_after) if asks else said
            except NoReply as error:
                return without or unanswered(str(error))

    def verdict(self, *, listed: bool) -> str:
        """Return the verdict on the backend, as `commit.lua` reads it; `listed` is whether a list has shown the job."""
        if self.failed:
            return f"bad:{self._backend.breaker_failures}:{int(self._backend.breaker_pause * 1000)}"
        return "ok" if self.made or listed else ""

    def charge(self) -> int:
        """Return how many calls are still to be charged for, and reset the count; the claim has paid for the first."""
        unpaid = max(0, self.made - self._paid)
        self._paid = max(0, self._paid - self.made)
        self.made = 0
        return unpaid
