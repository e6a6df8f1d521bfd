"""Shared by the tests of batches: parts, feeders over a real store, and members that end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace
from support.commands import INTAKE, LIMITS, commit
from support.stepped_redis import SteppedRedis

from worker.domain.event_drafts import EventDraft
from worker.intake.admission import Admission
from worker.intake.feeder import Feeder
from worker.intake.handover import Arrived, Handover
from worker.protocol.batches import BatchOrder, BatchResult, BatchStatus, parse_part
from worker.protocol.messages import Event
from worker.store.serving import Serving
from worker.store.store import Store
from worker.store.transitions import Rejection, ToClaim

IN_FLIGHT = {"ess": 1000, "oml": 1000}


def cancel(job_id: object, **fields: Any) -> dict[str, Any]:
    return {"verb": "cancel", "backend": "ess", "job_id": str(job_id), **fields}


def cancels(count: int, first: int = 0, **fields: Any) -> list[dict[str, Any]]:
    return [cancel(index, **fields) for index in range(first, first + count)]


class Stage:
    """A deployment without backends: the test starts the members and ends them."""

    def __init__(self, redis: SteppedRedis) -> None:
        self.store, self.redis = Store(redis, "canceller"), redis
        self.batches = self.store.batches

    def feeder(self, worker: str = "w1", admission: Admission = INTAKE, **in_flight: int) -> Feeder:
        async def nothing(_: Sequence[Arrived]) -> frozenset[str]:
            return frozenset()

        async def never(one: Rejection, _: str | None) -> None:
            raise AssertionError(one.reason)

        def asleep(_: str) -> None:
            """Do nothing: the test does all work itself."""

        handover = Handover(self.store, admission, Serving(admission.rules), nothing, never)
        return Feeder(self.store, admission, worker, asleep, handover, in_flight or IN_FLIGHT)

    async def send(
        self, commands: Sequence[object], batch_id: str = "b", part: int = 1, parts: int = 1, **options: Any
    ) -> bool:
        first = {"options": options} if part == 1 else {}
        content = {"batch_id": batch_id, "part": part, "parts": parts, "commands": list(commands), **first}
        return await self.batches.take_part(parse_part(content))

    async def feed(self, feeder: Feeder | None = None) -> None:
        """Do all that can be done now."""
        feeder = feeder or self.feeder()
        while await feeder.round() == 0.0:
            pass

    async def end(self, count: int = 1000, outcome: str = "cancelled", backend: str = "ess") -> int:
        """End up to a number of the open members that are due; return how many."""
        ended = 0
        while ended < count:
            limits = replace(LIMITS, slots=min(75, count - ended))
            claims = (await self.store.claim(ToClaim(backend, "w1", limits))).claims
            if not claims:
                break
            for one in claims:
                data = {"outcome": outcome, "evidence": "reported", "safe_to_rerun": True, "detail": "seen"}
                await self.store.commit(commit(one, "finish", facts=(EventDraft("finished", data),)))
            ended += len(claims)
        return ended

    async def order(self, action: str, batch_id: str = "b", *, hold: bool = False, message_id: str = "") -> None:
        order = BatchOrder(f"batch_{action}", batch_id, "ann", "because", hold)
        await self.batches.carry_out(order, message_id=message_id)

    async def status(self, batch_id: str = "b") -> BatchStatus:
        return await self.batches.status(batch_id)

    async def counts(self, batch_id: str = "b") -> dict[str, Any]:
        """Return the counters that are not zero."""
        found = (await self.status(batch_id)).counts
        named = {"waiting": found.waiting, "open": found.open, "rejected": found.rejected, **found.finished}
        assert found.selected == sum(named.values()), found
        return {name: count for name, count in named.items() if count}

    async def report(self, batch_id: str = "b") -> list[BatchResult]:
        return [one async for one in self.batches.report(batch_id)]

    async def events(self, batch_id: str | None = None) -> list[Event]:
        """Return the events of a batch, or of all cancellations if no batch is named."""
        found = [event for _, event in await self.store.events("0-0", count=100_000)]
        if batch_id is None:
            return [event for event in found if event.type.startswith("canceller.cancellation.")]
        return [event for event in found if event.type.startswith("canceller.batch.") and event.subject == batch_id]

    def pass_time(self, seconds: float) -> None:
        """Advance the deployment's clock."""
        self.redis.at += int(seconds * 1000)


def check_sums(events: Sequence[Event]) -> None:
    """Check that the counters of each event add up to all members, and that the sequence has no gap."""
    for number, event in enumerate(events, 1):
        counts = event.data["counts"]
        others = counts["waiting"] + counts["open"] + counts["rejected"] + sum(counts["finished"].values())
        assert counts["selected"] == others, event
        assert event.sequence == f"{number:010}"
