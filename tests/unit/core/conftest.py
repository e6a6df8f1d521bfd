"""Builders of the core's values: a cancellation at ten o'clock, what was sent for it, what is seen of its job."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import fields

from worker.cancellation import WHOLE, Cancellation, Orders, Progress, Sent, Word
from worker.model import Action, AnswerKind, Force, JobState, Observation, Policy, Poll, Steps, Verb

T = datetime(2026, 11, 22, 10, tzinfo=UTC)
STEPS = {
    "ess": Steps(look_before_cancel=False, force=True),
    "oml": Steps(look_before_cancel=True, cancel_removes=True, delete_stops=True),
    "mrs": Steps(look_before_cancel=True, delete_stops=True),
    "sahara": Steps(look_before_cancel=False),
}
PROGRESS = frozenset(one.name for one in fields(Progress))
ORDERS = frozenset(one.name for one in fields(Orders))
EFFECT = {AnswerKind.ACCEPTED: {"accepted": True}, AnswerKind.UNANSWERED: {"unanswered": True}}


class Build:
    """Values of the core, each with what a test does not care about filled in."""

    now = T

    @staticmethod
    def at(seconds: float) -> datetime:
        return T + timedelta(seconds=seconds)

    @staticmethod
    def policy(kind: str = "ess", **changes: Any) -> Policy:
        """A backend's policy: looks after 2, 4, 8 ... 60 s, warns after 1 h, forces after 30 min, ends after 24 h."""
        return Policy(**{"steps": STEPS[kind], "poll": Poll(2.0, 60.0, 2.0), **changes})

    def cancellation(self, **changes: Any) -> Cancellation:
        """Orders and progress by the names of their fields; `give_up` in seconds from the acceptance.

        `remote_stopped` is who gave the word about the whole family with the command.
        """
        if by := changes.pop("remote_stopped", ""):
            changes["words"] = {WHOLE: Word(by, T)}
        orders = {
            "verb": Verb.CANCEL,
            "force": Force.AUTO,
            "force_after": 0.0,
            "give_up_at": self.at(changes.pop("give_up", 86400)),
        }
        orders |= {name: changes.pop(name) for name in tuple(changes) if name in ORDERS}
        progress = {name: changes.pop(name) for name in tuple(changes) if name in PROGRESS}
        whole = {"id": "c1", "backend": "ess", "job_id": "1", "accepted_at": T, **changes}
        return Cancellation(**whole, orders=Orders(**orders), progress=Progress(**progress))

    def sent(self, last: str = "accepted", at: float = 0, **changes: Any) -> Sent:
        """The history of a call whose only try ended so."""
        kind = AnswerKind(last)
        moments = {"first_at": self.at(at), "last_at": self.at(at)}
        return Sent(**{**moments, "last": kind, **EFFECT.get(kind, {}), **changes})

    def cancelled(self, last: str = "accepted", at: float = 0, **changes: Any) -> Mapping[str, Sent]:
        """What `Progress.sent` holds after one cancel."""
        return {Action.CANCEL: self.sent(last, at, **changes)}

    @staticmethod
    def seen(state: str = "active", raw: str = "", **changes: Any) -> Observation:
        return Observation(JobState(state), **{"raw": raw or state.upper(), "job_id": "1", **changes})

    def stuck(self, spent: float | None = 1800, **changes: Any) -> Observation:
        """A job in CANCELLING, `spent` seconds long on the backend's own clock, which runs a year ahead of ours."""
        theirs = T + timedelta(days=365)
        clock = {} if spent is None else {"since": theirs, "clock": theirs + timedelta(seconds=spent)}
        return self.seen("cancelling", **{**clock, **changes})


@pytest.fixture(scope="session")
def build() -> Build:
    return Build()
