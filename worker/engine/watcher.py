"""Looks at the jobs of one backend after their cancellations have ended, as its `watch_after` says."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import structlog

from ..domain import event_drafts
from ..domain.after_the_end import lives, next_look, shows
from ..domain.errors import StoreUnavailable
from ..domain.model import Action, Observation
from ..domain.polling import asked_for
from ..observability.log_fields import context, loggable
from ..observability.outage import Outage
from ..store.codec import Snapshot
from ..store.store import Store
from ..store.transitions import Acceptance
from ..store.watch_list import Seen, ToWatch
from .backend import Backend
from .calls import Caller
from .clock import Clock

log = structlog.get_logger(__name__)

EVERY = 1.0
"""Seconds between two checks for due looks, unless one is known to be due sooner."""
AT_ONCE = 10
"""The most looks at once."""
TAKEN = frozenset({"accepted", "joined", "same"})
"""The verdicts on a command after which no other try is needed."""
MOST_IDS = 10
"""How many ids are tried for the command that opens a cancellation again, if others have used the earlier ones."""


class Watcher:
    """Looks at jobs after the end. What is to be done is in Redis, so any worker of the backend can continue it."""

    def __init__(self, backend: Backend, store: Store, outage: Outage, wake: Callable[[str], None]) -> None:
        """`wake` is called with the backend's name once a cancellation is open again."""
        self._backend = backend
        self._store = store
        self._outage = outage
        self._wake = wake

    async def run(self) -> None:
        """Look at whatever is due, until this task is cancelled."""
        while True:
            pause = EVERY
            try:
                pause = await self.round()
            except StoreUnavailable as error:
                self._outage.goes_on(str(error), error.hint)
            except Exception:
                log.exception("engine.watch_failed", backend=self._backend.name)
            await asyncio.sleep(pause)

    async def round(self) -> float:
        """Look once at what is due now; return how many seconds the next round may wait."""
        backend, asked = self._backend, time.monotonic()
        one = ToWatch(backend.name, AT_ONCE, backend.lease, backend.max_in_flight, backend.rate)
        found = await self._store.watch_list.claim(one)
        clock = Clock(found.now, asked)
        await asyncio.gather(*(self._look(ended, clock) for ended in found.ended))
        if len(found.ended) == AT_ONCE:
            return 0.0
        if not found.ended and found.next_due is not None and found.next_due <= found.now:
            return EVERY  # a look is due that the breaker, the rate or the permits do not allow yet
        soon = EVERY if found.next_due is None else (found.next_due - clock.now()).total_seconds()
        return min(EVERY, max(0.02, soon))

    async def _look(self, ended: Snapshot, clock: Clock) -> None:
        cancellation = ended.record.cancellation
        try:
            await self._settle(ended, await self._seen(ended, clock))
        except StoreUnavailable as error:
            log.warning("job.look_lost", **context(cancellation), error=str(error))
        except Exception:
            log.exception("job.look_failed", **context(cancellation))

    async def _seen(self, ended: Snapshot, clock: Clock) -> Seen:
        """Look at a job, unless that was done and only opening its cancellation again is left to do."""
        record, backend = ended.record, self._backend
        cancellation, ended_at = record.cancellation, record.ended_at
        if record.reappeared:
            return Seen("reopen" if backend.reopen else "done")
        if record.outcome is None or ended_at is None or not backend.watch_after:
            return Seen("done")
        if backend.elsewhere(cancellation):
            again = next_look(ended_at, backend.watch_after, backend.policy, clock.now(), shown=False)
            return Seen("again", again) if again else Seen("done")
        caller = Caller(backend, clock, cancellation, paid=1)
        said = await caller.drive(backend.adapter.look(cancellation.job), Action.LOOK)
        verdict = caller.verdict(listed=False)
        calls = caller.charge()
        if isinstance(said, Observation) and lives(said):
            event = event_drafts.reappeared(said, record.outcome, ended_at)
            return Seen("reopen" if backend.reopen else "alive", event=event, calls=calls, verdict=verdict)
        again = next_look(ended_at, backend.watch_after, backend.policy, clock.now(), shown=shows(said))
        if again:
            again = max(again, clock.now() + asked_for(said.retry_after, backend.policy))
        return Seen("again" if again else "done", again, calls=calls, verdict=verdict)

    async def _settle(self, ended: Snapshot, seen: Seen) -> None:
        """Note what was seen, then open the cancellation again: a crash in between leaves that to the next claim."""
        backend, cancellation = self._backend, ended.record.cancellation
        watch_list = self._store.watch_list
        if await watch_list.settle(backend.name, cancellation.id, seen) and seen.event:
            log.warning("job.reappeared", **context(cancellation), **loggable(seen.event))
        if seen.follows != "reopen" or backend.reopen is None:
            return
        verdict = await self._open_again(backend.reopen, ended)
        if verdict == "conflict":
            hint = "other commands already use the ids reserved for this: cancel the job with a new command"
            log.error("job.not_opened_again", **context(cancellation), hint=hint)
        if verdict in TAKEN or verdict == "conflict":
            await watch_list.settle(backend.name, cancellation.id, Seen("done"))
            self._wake(backend.name)

    async def _open_again(self, make: Callable[[Snapshot, int], Acceptance], ended: Snapshot) -> str:
        """Open a cancellation again, once, under the first id that no other command has; return the last verdict."""
        verdict = "conflict"
        for taken in range(MOST_IDS):
            verdict = (await self._store.accept(make(ended, taken))).verdict
            if verdict != "conflict":
                break
        return verdict
