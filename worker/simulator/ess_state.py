"""ESS states: what a cancel and a force do, when force is allowed, how parents follow children. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from .job import Course, Job, Moment, moment, vocabulary

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .knobs import EssKnobs
    from .world import World

CANCELLED, CANCELLING, REFUSED, UNSURE = "CANCELLED", "CANCELLING", "refused", "unsure"

CANCEL_EFFECTS = {
    "UNKNOWN": UNSURE,
    "WAIT": CANCELLED,
    "READY": CANCELLED,
    "RUNNING": CANCELLING,
    "COMPLETED": CANCELLING,
    "BLOCKED": CANCELLED,
    "HOLD": CANCELLED,
    "CANCELLING": REFUSED,
    "EXPIRED": REFUSED,
    "CANCELLED": REFUSED,
    "ERROR": REFUSED,
    "WARNING": REFUSED,
    "SUCCEEDED": REFUSED,
    "PAUSED": CANCELLING,
    "PENDING_VALIDATION": UNSURE,
    "VALIDATION_FAILED": REFUSED,
    "SCHEDULE_ENDED": CANCELLED,
    "FINISHED": REFUSED,
    "ERROR_AUTO_RETRY": CANCELLED,
    "ERROR_MANUAL_RECOVERY": UNSURE,
}
"""The effect of a cancel in each of 20 states (SEED S2 for the first six that move; the rest INFERRED in DOC E4)."""

TERMINAL = frozenset({"EXPIRED", "CANCELLED", "ERROR", "WARNING", "SUCCEEDED", "VALIDATION_FAILED", "FINISHED"})

REPORTED = {
    "SUCCESS": "SUCCEEDED",
    "WARNING": "WARNING",
    "ERROR": "ERROR",
    "BUSINESS_ERROR": "ERROR",
    "CANCEL": "CANCELLED",
    "PAUSE": "PAUSED",
    "SUSPEND": "PAUSED",
}
"""What a job may report of itself through executionStatus (DOC E2); UPDATE changes nothing."""

COURSE = Course(
    running="RUNNING",
    cancelling="CANCELLING",
    cancelled="CANCELLED",
    terminal=TERMINAL,
    idle=frozenset({"HOLD"}),
    words=vocabulary(CANCEL_EFFECTS, {"failed": "ERROR", "waiting": "WAIT"}),
)


def moment_of(world: World, job: Job, now: float) -> Moment:
    """Return the state of a request; a parent follows its children."""
    knobs = world.knobs.ess
    race = "" if knobs.race_outcome == CANCELLED else knobs.race_outcome
    own = moment(job, now, COURSE, knobs.cancel_delay, race)
    children = [moment_of(world, child, now) for child in world.children("ess", job.id)]
    return parent_moment(job, own, children, knobs.parent_end)


def parent_moment(job: Job, own: Moment, children: Sequence[Moment], rule: str) -> Moment:
    """Derive a parent's state from its children's: it ends with the last of them or stays SCHEDULE_ENDED (INFERRED)."""
    if not children or job.last.state in TERMINAL:
        return own
    asked = job.last.state == CANCELLING
    if rule == "stays":
        return Moment("SCHEDULE_ENDED", job.last.since) if asked else own
    if any(child.state not in TERMINAL for child in children):
        return job.last if asked else own
    ended = max(job.last.since, *(child.since for child in children))
    return Moment(CANCELLED if asked else "FINISHED", ended)


def cancel_effect(state: str, knobs: EssKnobs, *, is_parent: bool) -> str:
    """Return the effect of a cancel on a request: CANCELLED, CANCELLING or refused."""
    effect = CANCEL_EFFECTS[state]
    if effect == UNSURE:
        effect = CANCELLED if knobs.cancel_unsure == CANCELLED else REFUSED
    return CANCELLING if is_parent and effect == CANCELLED else effect


def last_check_in(job: Job, since: float, now: float, knobs: EssKnobs) -> float:
    """Return when the force clock last began: entry into CANCELLING or the last check-in after it (SEED S3, DOC E3)."""
    every = job.life.checks_in_every or knobs.check_in_every
    count = math.floor((now - since) / every + 1e-9) if every else 0
    if job.life.check_ins is not None:
        count = min(count, job.life.check_ins)
    return max([since + count * every, *(at for at in job.check_ins if since <= at <= now)])


def force_due(job: Job, here: Moment, now: float, knobs: EssKnobs) -> float:
    """Return when force becomes allowed, as known at `now`: after 30 minutes of silence (SEED S3)."""
    return last_check_in(job, here.since, now, knobs) + knobs.force_window


def force_objection(job: Job, here: Moment, now: float, knobs: EssKnobs, *, is_parent: bool) -> str:
    """Return why force is refused; empty if its preconditions are met (SEED S3, numbers 2 and 3)."""
    if here.state != CANCELLING:
        return f"request {job.id} is in state {here.state}"
    if job.life.sync:
        return f"request {job.id} is not asynchronous"
    if is_parent and knobs.force_on_parent == "refuse":
        return f"request {job.id} does not wait for an asynchronous response"
    if round(now - force_due(job, here, now, knobs), 3) < 0:
        return f"request {job.id} has not been in CANCELLING for long enough"
    return ""
