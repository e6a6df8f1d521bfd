"""Builders of the core's values: a cancellation accepted at ten o'clock, its calls, and what looks show of its job."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from msgspec.structs import fields

from worker.backends.mrs import Mrs
from worker.backends.oracle_ess import OracleEss
from worker.backends.oracle_ml import OracleMl
from worker.backends.sahara import Sahara
from worker.domain import evolve
from worker.domain.cancellation import (
    WHOLE,
    Attestation,
    Cancellation,
    Child,
    ClockReading,
    Doubt,
    Doubted,
    Probed,
    Progress,
    Sent,
    Spec,
)
from worker.domain.evidence.family import whole
from worker.domain.model import Action, Answer, AnswerKind, Force, JobState, Observation, Policy, Poll, Source, Verb

T = datetime(2026, 11, 22, 10, tzinfo=UTC)
STEPS = {"ess": OracleEss.steps, "oml": OracleMl.steps, "mrs": Mrs.steps, "sahara": Sahara.steps}
PROGRESS = frozenset(one.name for one in fields(Progress))
SPEC = frozenset(one.name for one in fields(Spec))
A_YEAR = timedelta(days=365)
EFFECT = {AnswerKind.ACCEPTED: {"accepted": True}, AnswerKind.UNANSWERED: {"unanswered": True}}


class Build:
    """Builds values of the core, with defaults for what a test does not care about."""

    now = T

    @staticmethod
    def at(seconds: float) -> datetime:
        return T + timedelta(seconds=seconds)

    @staticmethod
    def policy(kind: str = "ess", **changes: Any) -> Policy:
        """A backend's policy: looks after 2, 4, 8 ... 60 s, warns after 1 h, forces after 30 min, ends after 24 h."""
        steps = STEPS[kind]
        kinds = {"steps": steps, "gone_means_stopped": steps.gone_means_stopped, "poll": Poll(2.0, 60.0, 2.0)}
        return Policy(**{**kinds, **changes})

    def cancellation(self, **changes: Any) -> Cancellation:
        """A cancellation, with fields of its orders and progress by name; `give_up` is in seconds from the acceptance.

        `remote_stopped` names who vouched, with the command, that the whole family has stopped.
        """
        if by := changes.pop("remote_stopped", ""):
            changes["attestations"] = {WHOLE: Attestation(by, T)}
        spec: dict[str, Any] = {
            "verb": Verb.CANCEL,
            "force": Force.AUTO,
            "force_after": 0.0,
            "give_up_at": self.at(changes.pop("give_up", 86400)),
        }
        spec |= {name: changes.pop(name) for name in tuple(changes) if name in SPEC}
        progress = {name: changes.pop(name) for name in tuple(changes) if name in PROGRESS}
        whole = {"id": "c1", "backend": "ess", "job_id": "1", "accepted_at": T, **changes}
        return Cancellation(**whole, spec=Spec(**spec), progress=Progress(**progress))

    def sent(self, last: str = "accepted", at: float = 0, **changes: Any) -> Sent:
        """The history of a call whose only try got this answer."""
        kind = AnswerKind(last)
        moments = {"first_at": self.at(at), "last_at": self.at(at)}
        return Sent(**{**moments, "last": kind, **EFFECT.get(kind, {}), **changes})

    def cancelled(self, last: str = "accepted", at: float = 0, **changes: Any) -> Mapping[str, Sent]:
        """What `Progress.sent` holds after one cancel."""
        return {Action.CANCEL: self.sent(last, at, **changes)}

    @staticmethod
    def seen(state: str = "active", raw: str = "", source: str = "own", **changes: Any) -> Observation:
        filled = {"raw": raw or state.upper(), "source": Source(source), "job_id": "1"}
        return Observation(JobState(state), **{**filled, **changes})

    @staticmethod
    def answer(kind: str, status: int | None = None, source: str = "own", **changes: Any) -> Answer:
        return Answer(AnswerKind(kind), Source(source), status, **changes)

    def stuck(self, spent: float | None = 1800, **changes: Any) -> Observation:
        """A job in CANCELLING for `spent` seconds on the backend's own clock, which is a year ahead of ours."""
        clock = {} if spent is None else {"since": T + A_YEAR - timedelta(seconds=spent), "clock": T + A_YEAR}
        return self.seen(**{"state": "cancelling", **clock, **changes})

    @staticmethod
    def steady(now: float = 0, theirs: datetime = T + A_YEAR) -> ClockReading:
        """A trusted backend clock, watched for a minute: it shows `theirs` when ours shows `now`."""
        minute = timedelta(seconds=60)
        return ClockReading(theirs - minute, T + timedelta(seconds=now) - minute, steady=True)

    @staticmethod
    def reading(theirs: datetime, ours: datetime = T, **changes: Any) -> ClockReading:
        """A backend's clock, read at `ours`."""
        return ClockReading(theirs, ours, **changes)

    @staticmethod
    def doubt(claim: str, since: float, last: float, times: int) -> Doubt:
        """Answers in a row that may not be the backend's own."""
        return Doubt(Doubted(claim), T + timedelta(seconds=since), T + timedelta(seconds=last), times)

    @staticmethod
    def word(by: str = "ann", at: float = 0) -> Attestation:
        """Somebody's word, given so many seconds after the acceptance."""
        return Attestation(by, T + timedelta(seconds=at))

    @staticmethod
    def child(first: float = 0, alive: float = 0, **changes: Any) -> Child:
        """A child that was first and last seen alive at this time."""
        return Child(T + timedelta(seconds=first), T + timedelta(seconds=alive), **changes)

    def looked(self, one: Cancellation, seen: Observation, at: float, **policy: Any) -> Cancellation:
        """The cancellation after a look that began and ended at these times."""
        moment = self.at(at)
        return evolve.observed(one, whole(one, seen), self.policy(**policy), moment, looks=1, asked=moment)

    @staticmethod
    def gone_by_probe(at: float = 0, job_id: str = "1") -> dict[str, Any]:
        """Progress in which the second source has said twice, the second time now, that a job's process is gone."""
        moment = T + timedelta(seconds=at)
        said = Probed(gone=True, since=moment - timedelta(seconds=60), last=moment, times=2)
        return {"looked_at": moment, "probes": {job_id: said}}


@pytest.fixture(scope="session")
def build() -> Build:
    return Build()
