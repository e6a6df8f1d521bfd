"""A job and what becomes of it: pure functions of a job and a time. No clock, no wire."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from .life import Life


@dataclass(frozen=True, slots=True)
class Moment:
    """A state and when it began, in seconds since 1970."""

    state: str
    since: float


@dataclass(frozen=True, slots=True)
class Job:
    """One remote job. `last` is the state that the last effective call put it in; the rest follows from its life."""

    system: str
    id: str
    life: Life
    created_at: float
    last: Moment
    parent: str = ""
    project: str = ""
    cluster: str = ""
    submitter: str = "SIMULATOR"
    cancels: int = 0
    cancelled_from: str = ""
    check_ins: tuple[float, ...] = ()
    refreshed_at: float = 0.0
    deleted_at: float | None = None

    def cancelled(self, state: str, seen: str, now: float) -> Job:
        """Return a copy that an accepted cancel has moved from `seen` to `state`."""
        return dataclasses.replace(self, last=Moment(state, now), cancelled_from=seen, cancels=self.cancels + 1)

    def hidden(self, now: float) -> bool:
        """Return whether the system denies that it exists."""
        return self.life.absent or (self.deleted_at is not None and now >= self.deleted_at)


@dataclass(frozen=True, slots=True)
class Course:
    """One system's vocabulary: which part each of its states plays in a life."""

    running: str
    cancelling: str
    cancelled: str
    terminal: frozenset[str]
    words: Mapping[str, str]
    idle: frozenset[str] = frozenset()

    def word(self, text: str) -> str:
        """Translate a general word, or one of the system's own in any case, into the system's own.

        Raises:
            ValueError: The system has no such state.

        """
        if not text:
            return self.running
        try:
            return self.words[text.casefold()]
        except KeyError:
            raise ValueError(f"no state {text!r} here; there are {', '.join(self.words)}") from None


def vocabulary(own: Iterable[str], general: Mapping[str, str]) -> dict[str, str]:
    """Build the words of a course: general words, and the system's own states, which win."""
    return dict(general) | {state.casefold(): state for state in own}


def moment(job: Job, now: float, course: Course, delay: float, race: str = "") -> Moment:
    """Return the state of the job at `now`.

    Args:
        job: The job.
        now: Seconds since 1970.
        course: The vocabulary of its system.
        delay: Seconds that a cancel takes unless the job's life says otherwise.
        race: What a cancelled job ends as unless its life says otherwise.

    """
    last = job.last
    if last.state in course.terminal or last.state in course.idle:
        return last
    ahead = _after_cancel(job, course, delay, race) if last.state == course.cancelling else _by_itself(job, course)
    return _walk(last, [*ahead, *_natural_end(job, course)], now, course.terminal)


def cancel_takes(job: Job, delay: float) -> float:
    """Return the seconds from an accepted cancel to its end; infinite for a stuck job."""
    if job.life.stuck:
        return math.inf
    return delay if job.life.cancels_after is None else job.life.cancels_after


def _walk(here: Moment, ahead: list[Moment], now: float, terminal: frozenset[str]) -> Moment:
    for step in sorted(ahead, key=lambda step: step.since):
        if here.state in terminal or step.since > now:
            break
        here = step
    return here


def _by_itself(job: Job, course: Course) -> list[Moment]:
    if job.life.starts_after is None or job.last.state == course.running:
        return []
    return [Moment(course.running, job.last.since + job.life.starts_after)]


def _natural_end(job: Job, course: Course) -> list[Moment]:
    if job.life.ends_after is None:
        return []
    return [Moment(course.word(job.life.ends_as), max(job.created_at + job.life.ends_after, job.last.since))]


def _after_cancel(job: Job, course: Course, delay: float, race: str) -> list[Moment]:
    life, since = job.life, job.last.since
    if life.falls_back_after is not None and (life.fall_backs is None or job.cancels <= life.fall_backs):
        back = Moment(course.running, since + life.falls_back_after)
        return [back] if life.killed_after is None else [back, Moment(course.cancelled, back.since + life.killed_after)]
    end = course.word(life.race or race) if life.race or race else course.cancelled
    return [Moment(end, since + cancel_takes(job, delay))]
