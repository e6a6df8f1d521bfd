"""Shared by the tests of the transitions: commands that any backend takes, claims, commits."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec.structs import replace

from worker.domain.cancellation import Progress
from worker.domain.event_drafts import EventDraft
from worker.domain.model import Job, Policy, Steps
from worker.intake.admission import Admission, BackendRules
from worker.protocol.signing import Signed
from worker.store.store import Store
from worker.store.transitions import Acceptance, Claim, Claims, Commit, Limits, ToClaim

LATER = datetime.fromisoformat("2099-01-01T00:00:00+00:00")
LIMITS = Limits(slots=100, lease=40.0, max_in_flight=100, rate=0.0, batch_slots=75)
FINISHED = (EventDraft("finished", {"outcome": "cancelled"}),)


class Anything:
    """An adapter that takes any command; a cluster is part of a job's address."""

    steps = Steps(look_before_cancel=False, force=True)
    params = frozenset({"cluster_id"})

    def problem(self, job: object) -> str:
        return f"{job}" if job is None else ""

    def address(self, job: Job) -> str:
        return job.params.get("cluster_id", "")


RULES = BackendRules(Anything(), Policy(Anything.steps))  # type: ignore[arg-type]
INTAKE = Admission({"ess": RULES, "oml": RULES})


def command(job_id: str = "1", command_id: str = "c-1", **fields: Any) -> Acceptance:
    taken = INTAKE.take({"verb": "cancel", "backend": "ess", "job_id": job_id, **fields}, command_id)
    assert isinstance(taken, Acceptance), taken
    return taken


def signed(producer: str, command_id: str, **fields: Any) -> Acceptance:
    """A signed command of a producer without the right to force."""
    one = command(command_id=command_id, **fields)
    signature = Signed(producer, f"{producer} {command_id}", LATER)
    return replace(one, signed=signature, said={**one.said, "signed_by": producer}, binding=False)


async def claim(store: Store, worker: str = "w1", backend: str = "ess", limits: Limits = LIMITS) -> Claims:
    return await store.claim(ToClaim(backend, worker, limits))


async def claim_one(store: Store, worker: str = "w1") -> Claim:
    (one,) = (await claim(store, worker)).claims
    return one


def commit(one: Claim, mode: str, **changes: Any) -> Commit:
    return Commit(one.token, one.record, mode, changes.pop("progress", Progress()), **changes)


async def names(store: Store) -> list[str]:
    return [event.name for _, event in await store.events("0-0")]
