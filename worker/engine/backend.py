"""One remote job system as the engine knows it: its adapter, policy and limits, and what makes its calls."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import Protocol

from ..backends.adapter import Adapter, Reply, Request
from ..domain.cancellation import Cancellation
from ..domain.decision import ENDED
from ..domain.event_drafts import EventDraft
from ..domain.model import Policy
from ..observability.observer import NOBODY, Observer
from ..observability.outage import Seldom
from ..store.codec import Snapshot, place_mark
from ..store.transitions import Acceptance
from .stop_times import StopTimes


class Calls(Protocol):
    """What makes the HTTP calls of one backend; see `worker.http.client`."""

    async def ready(self) -> None:
        """Make sure that a usable credential is at hand."""

    async def send(self, request: Request, *, traceparent: str | None = None) -> Reply:
        """Make one call."""


@dataclass(frozen=True, slots=True)
class Backend:
    """One remote job system, ready to be worked on.

    `probe` asks the second source whether a job's process is gone; it returns None if that is not known. `rate` is in
    calls per second, 0 for no limit; `breaker_pause` is in seconds. `look_many` allows lists in place of looks.
    `watch_after` is how many seconds after the end of a cancellation its job is looked at. If the job is alive then,
    `reopen` makes the command that opens the cancellation again, given how many ids for that command are taken; None
    if it stays closed. `place` says which API is called at which address; `moved` limits how often it is logged that
    this has changed. `connections` are closed at the end.
    """

    name: str
    adapter: Adapter
    policy: Policy
    calls: Calls
    probe: Callable[[str], Awaitable[bool | None]] | None = None
    max_in_flight: int = 64
    rate: float = 0.0
    breaker_failures: int = 10
    breaker_pause: float = 15.0
    look_many: bool = True
    watch_after: tuple[float, ...] = ()
    reopen: Callable[[Snapshot, int], Acceptance] | None = None
    place: str = ""
    observer: Observer = NOBODY
    stop_times: StopTimes = field(default_factory=StopTimes)
    moved: Seldom = field(default_factory=Seldom)
    connections: AsyncExitStack = field(default_factory=AsyncExitStack)

    @property
    def lease(self) -> float:
        """How long a worker may hold a record: longer than its calls can take."""
        return 3 * self.policy.timeout + 10

    def elsewhere(self, cancellation: Cancellation) -> bool:
        """Whether a cancellation was accepted for another place: then this backend's answers are not about its job."""
        return bool(self.place and cancellation.place) and cancellation.place != place_mark(self.place)

    def watched(self, events: Sequence[EventDraft]) -> tuple[float, ...]:
        """Return how many seconds after its end to look at the job, if these events report an end; empty for never.

        Only a job that has ended can come back to life.
        """
        if not self.watch_after:
            return ()
        ended = any(event.name == "finished" and event.data["outcome"] in ENDED for event in events)
        return self.watch_after if ended else ()
