"""Walks of the whole core against a model of a backend.

Whether a step keeps the rules is judged here by the model's own log and times, never by the core's record.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from msgspec import structs
from unit.domain.walks.scripts import LIVES, Script, scripts

from worker.backends.mrs import Mrs
from worker.backends.oracle_ess import OracleEss
from worker.backends.oracle_ml import OracleMl
from worker.backends.sahara import Sahara
from worker.domain import event_drafts
from worker.domain.cancellation import Cancellation, Spec
from worker.domain.decision import Finish, Hold, Send, Wait
from worker.domain.model import (
    FINAL,
    Action,
    Answer,
    AnswerKind,
    Evidence,
    Force,
    JobState,
    Observation,
    Outcome,
    Policy,
    Poll,
    Source,
    Verb,
)
from worker.store.codec import fragment

T = datetime(2026, 11, 22, 10, tzinfo=UTC)
POLL = Poll(2.0, 10.0, 2.0)
BLINK = 0.002
SLOWEST = 9.0
"""Seconds that a call of the model takes at most."""
STOPPED = {Outcome.CANCELLED, Outcome.FORCE_CANCELLED, Outcome.COMPLETED_ANYWAY}
NOTHING_PROVEN = {
    *(Outcome.TIMED_OUT, Outcome.NOT_FOUND, Outcome.REFUSED, Outcome.ABORTED, Outcome.PLANNED, Outcome.CHANGED)
}
STEPS = {"ess": OracleEss.steps, "oml": OracleMl.steps, "mrs": Mrs.steps, "sahara": Sahara.steps}
BELIEVE_AFTER = 30.0


@dataclass(frozen=True)
class Tries:
    """What the watch remembers of one changing call to one job."""

    accepted: bool = False
    unanswered_at: float | None = None
    refused_at: float | None = None
    allowed: bool | None = None
    not_before: float = 0.0


@dataclass
class Watch:
    """Judges each step of a walk."""

    script: Script
    over: bool = False
    tries: dict[tuple[Action, str], Tries] = field(default_factory=dict)
    sights: dict[str, tuple[float, str]] = field(default_factory=dict)
    new_sights: dict[str, tuple[float, str]] = field(default_factory=dict)
    looked_at: float = -1.0
    effective: list[float] = field(default_factory=list)
    intents: int = 0
    life_at: float = -1.0
    vague: tuple[float, ...] = ()
    new_vague: tuple[float, ...] = ()
    hold: tuple[float, float] | None = None
    holds: tuple[tuple[float, float], ...] = ()

    # What happens

    def held(self, at: float, until: float | None) -> None:
        self.hold = (at, until if until is not None else 1e9)

    def released(self, at: float) -> None:
        assert self.hold is not None
        self.holds = (*self.holds, (self.hold[0], at))
        self.hold = None

    def stood(self, since: float) -> float:
        """How long time has stood still, in holds, since then."""
        return sum(max(0.0, end - max(start, since)) for start, end in self.holds)

    def asked(self, walk: Any, seen: Observation | Answer) -> None:
        """Remember for how many looks in a row, and since when, a gateway has said that the job is gone."""
        if isinstance(seen, Observation) and seen.source is Source.UNSURE:
            self.new_vague = (*self.vague, walk.now)
        elif isinstance(seen, Observation) or seen.kind is AnswerKind.REFUSED:
            self.new_vague = ()

    def looked(self, walk: Any, seen: Observation) -> None:
        self.looked_at = walk.now
        stuck = {one.job_id: one.since_text for one in (seen, *seen.children) if one.state is JobState.CANCELLING}
        unseen = {one.job_id for one in (seen, *seen.children) if not one.raw}
        if seen.source is Source.UNSURE:
            return
        kept = {name: sight for name, sight in self.sights.items() if stuck.get(name) == sight[1] or name in unseen}
        if any(stuck.get(name, text) != text for name, (_, text) in self.sights.items()):
            self.life_at = walk.now
        self.new_sights = kept | {name: (walk.now, text) for name, text in stuck.items() if name not in kept}

    def committed(self) -> None:
        self.sights, self.vague = self.new_sights, self.new_vague

    def lost(self) -> None:
        self.new_sights, self.new_vague = self.sights, self.vague

    def intended(self, walk: Any, send: Send) -> None:
        self.intents += 1
        key = (send.action, send.job_id)
        # A refusal limits only the next try; after that, a later command's longer `force_after` has no bearing on it.
        tries = replace(self.tries.get(key, Tries()), refused_at=None)
        self.tries[key] = replace(tries, unanswered_at=walk.now, allowed=send.allowed)
        if send.action is not Action.FORCE:
            self.effective.append(walk.now)

    def answered(self, walk: Any, send: Send, answer: Answer) -> None:
        key = (send.action, send.job_id)
        tries = replace(self.tries[key], unanswered_at=None)
        ended_before = answer.before is not None and answer.before.final
        if answer.kind is AnswerKind.UNANSWERED:
            tries = replace(tries, unanswered_at=walk.now)
        elif answer.kind is AnswerKind.BUSY or answer.source is not Source.OWN:
            tries = replace(tries, not_before=walk.now + (answer.retry_after or 0))
        elif answer.kind is AnswerKind.ACCEPTED and not ended_before:
            tries = replace(tries, accepted=True)
        else:
            tries = replace(tries, refused_at=walk.now)
            early = send.action is Action.FORCE and answer.kind is AnswerKind.REJECTED
            assert not (early and send.allowed), "refused what the backend allowed"
        self.tries[key] = tries
        if tries.unanswered_at is None and not tries.accepted and send.action is not Action.FORCE:
            self.effective.pop()

    def waiting(self, walk: Any, decision: Wait | Hold) -> None:
        wait = (decision.until - T).total_seconds() - walk.now
        assert -BLINK <= wait <= max(POLL.max, 300.0) + BLINK
        if isinstance(decision, Hold):
            assert decision.gate.shut, "an open gate was held"
            assert decision.gate.wait == 0, "a force was held before it was due"

    # What must not happen

    def sending(self, walk: Any, one: Cancellation, send: Send, seen: Observation | Answer | None) -> None:
        tries = self.tries.get((send.action, send.job_id), Tries())
        assert not isinstance(seen, Answer), "sent without having seen anything"
        assert seen is not None or (send.action is Action.CANCEL and not self.intents), (
            "only the first cancel goes unseen"
        )
        assert self.hold is None, "a changing call was decided while held"
        assert not self.script.dry_run, "a dry run sent"
        if one.spec.expect and not self.intents:
            assert isinstance(seen, Observation)
            assert seen.raw in one.spec.expect, "touched in another state than the expected one"
        assert not tries.accepted, "an accepted call was repeated"
        assert walk.now >= tries.not_before - BLINK, "sent before the backend asked for it"
        assert walk.now < (one.spec.give_up_at - T).total_seconds() + BLINK, "sent after the end of the time"
        self._goal_is_ahead(one, send, seen)
        self._repeats_by_the_rule(walk, send, seen)
        if send.action is Action.FORCE and seen is not None:
            self._may_force(walk, one, send, seen)

    def _goal_is_ahead(self, one: Cancellation, send: Send, seen: Observation | None) -> None:
        if seen is None or not seen.final:
            return
        assert one.spec.verb is Verb.DELETE, "a changing call after the goal was seen"
        assert send.action is Action.DELETE
        assert seen.state is not JobState.GONE

    def _repeats_by_the_rule(self, walk: Any, send: Send, seen: Observation | None) -> None:
        same = (
            {Action.CANCEL, Action.DELETE} if self.script.kind == "oml" and send.action is not Action.FORCE else set()
        )
        left = [
            tries.unanswered_at
            for (action, job_id), tries in self.tries.items()
            if job_id == send.job_id and action in {send.action, *same} and tries.unanswered_at is not None
        ]
        if not left:
            return
        assert seen is not None
        assert walk.now >= max(left) + POLL.first - BLINK, "an unanswered call was repeated too early"
        assert self.looked_at >= max(left) + POLL.first - BLINK, "an unanswered call was repeated on an older look"
        if send.action is Action.CANCEL:
            assert seen.state in {JobState.ACTIVE, JobState.UNKNOWN}, "repeated over the effect of the first try"

    def _may_force(self, walk: Any, one: Cancellation, send: Send, seen: Observation) -> None:
        member = next(each for each in (seen, *seen.children) if each.job_id == send.job_id)
        alive = [child for child in seen.children if not child.final]
        needed = max(one.spec.force_after, self.script.force_after)
        tries = self.tries.get((send.action, send.job_id), Tries())
        assert member.state is JobState.CANCELLING
        assert not alive or member in alive, "a parent was forced over a living child"
        assert member.asynchronous is not False
        assert member.force_allowed is not False
        assert Force.NEVER not in {one.spec.force, self.script.force}
        if Force.ATTESTED in {one.spec.force, self.script.force}:
            gone = "probe" in self.script.faults and not any(each.running for each in walk.world.family)
            given_at = max(((word.at - T).total_seconds() for word in one.spec.attestations.values()), default=-99.0)
            assert given_at >= self.life_at - SLOWEST or gone, "forced without a proof that holds"
        truth = next(each for each in walk.world.family if each.id == send.job_id)
        on_theirs = self.script.times == "full" and self.script.rate <= 1  # a slow clock never shows too long a time
        spent = walk.world.spent(truth, walk.now) if on_theirs else 0.0
        seen_at = self.new_sights[send.job_id][0]
        on_ours = walk.now - seen_at - self.stood(seen_at)
        assert max(spent, on_ours) >= needed - BLINK, "forced too early"
        if tries.refused_at is not None and not (member.force_allowed and tries.allowed is not True):
            stood = self.stood(tries.refused_at)
            assert walk.now >= tries.refused_at + needed + stood - BLINK, "a second refused force in one window"

    # The end

    def finished(self, walk: Any, one: Cancellation, finish: Finish, seen: Observation | Answer | None) -> None:
        assert not self.over, "finished twice"
        self.over = True
        told = event_drafts.finished(one, finish, seen if isinstance(seen, Observation) else None, walk.policy)
        json.loads("{" + fragment(told.data) + "}")
        self._counts_match(walk, told.data["calls"])
        give_up_at = (one.spec.give_up_at - T).total_seconds()
        late = walk.now > max(give_up_at, walk.resumed) + POLL.max + 3 * SLOWEST + BLINK
        assert self.hold is not None or not late, "ended too late"
        if finish.outcome is Outcome.TIMED_OUT:
            assert walk.now >= give_up_at - BLINK
            holds = self.hold is not None and self.hold[0] < give_up_at and walk.now < self.hold[1]
            assert not holds, "given up while held"
        self._only_looked(walk, one, finish)
        ended = finish.outcome not in {Outcome.TIMED_OUT, Outcome.ABORTED}
        if ended and isinstance(seen, Observation) and seen.source is Source.UNSURE:
            assert len(self.new_vague) > 2, "gone by too few words of a gateway"
            assert self.new_vague[-1] - self.new_vague[0] >= BELIEVE_AFTER, "gone by words that did not last"
            assert one.progress.end is not None or not finish.safe_to_rerun
            return
        self._tells_the_truth(walk.world, one, finish)
        self._proves_what_it_says(walk.world, finish)

    def _only_looked(self, walk: Any, one: Cancellation, finish: Finish) -> None:
        """A dry run, and a job that is not as expected, end without any changing call."""
        unseen = {Outcome.TIMED_OUT, Outcome.REFUSED, Outcome.ABORTED}
        assert (finish.outcome is Outcome.PLANNED) == (self.script.dry_run and finish.outcome not in unseen)
        assert finish.outcome is not Outcome.CHANGED or one.spec.expect
        if finish.outcome in {Outcome.PLANNED, Outcome.CHANGED}:
            assert walk.world.log == [], "said to have sent nothing"
            assert self.intents == 0

    def _counts_match(self, walk: Any, calls: dict[str, int]) -> None:
        told = sum(count for name, count in calls.items() if name != "look")
        assert len(walk.world.log) <= told == self.intents

    def _tells_the_truth(self, world: Any, one: Cancellation, finish: Finish) -> None:
        root, outcome, sent = world.root, finish.outcome, {action for action, _, _ in world.log}
        if outcome in STOPPED | {Outcome.DELETED, Outcome.ALREADY_FINISHED}:
            assert all(member.state in FINAL for member in world.family), "ended before the job did"
            assert self.script.life != "absent"
        if outcome in {Outcome.CANCELLED, Outcome.DELETED}:
            assert self.effective, "stopped by nothing of ours"
        if outcome is Outcome.ALREADY_FINISHED:
            assert root.ended <= min(self.effective, default=root.ended), "our call came before the end"
        if outcome is Outcome.COMPLETED_ANYWAY:
            assert root.final in {JobState.SUCCEEDED, JobState.FAILED}
        if outcome is Outcome.FORCE_CANCELLED:
            assert Action.FORCE in sent or self.intents > len(world.log)
        if outcome is Outcome.DELETED:
            assert one.spec.verb is Verb.DELETE
            assert root.state is JobState.GONE
        assert (outcome is Outcome.NOT_FOUND) <= (self.script.life == "absent")
        assert (outcome is Outcome.REFUSED) <= (world.refused or "gateway" in self.script.faults)
        assert (outcome is Outcome.ABORTED) <= bool(one.spec.aborted)

    def _proves_what_it_says(self, world: Any, finish: Finish) -> None:
        if finish.evidence in {Evidence.REPORTED, Evidence.PROBED}:
            assert not any(member.running for member in world.family), "said to have stopped, and still runs"
        if finish.safe_to_rerun:
            assert finish.evidence in {Evidence.REPORTED, Evidence.PROBED, Evidence.ATTESTED}
        if finish.outcome in NOTHING_PROVEN:
            assert (finish.evidence, finish.safe_to_rerun) == (Evidence.NONE, False)


ANY: frozenset[str] = frozenset()
HELD = frozenset({"hold"})


@pytest.mark.parametrize(
    ("kind", "examples", "lives", "always"),
    [
        pytest.param("ess", 1000, LIVES, ANY, id="ess"),
        pytest.param("oml", 300, LIVES, ANY, id="oml"),
        pytest.param("mrs", 300, LIVES, ANY, id="mrs"),
        pytest.param("sahara", 300, LIVES, ANY, id="sahara"),
        pytest.param("ess", 500, ["stuck", "checks in"], HELD, id="ess-stuck-and-held"),
    ],
)
def test_every_walk_keeps_every_rule(
    walk: Callable[..., None], kind: str, examples: int, lives: list[str], always: frozenset[str]
) -> None:
    @settings(max_examples=examples, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(scripts(kind, lives, always))
    def holds(script: Script) -> None:
        probes = "probe" in script.faults
        steps = STEPS[kind]
        policy = Policy(
            steps,
            script.force,
            script.force_after,
            script.give_up,
            60.0,
            POLL,
            gone_means_stopped=steps.gone_means_stopped,
            believe_after=BELIEVE_AFTER,
            probes=probes,
        )
        give_up_at = T + timedelta(seconds=script.give_up)
        spec = Spec(script.verb, script.force, script.force_after, give_up_at, dry_run=script.dry_run)
        spec = structs.replace(spec, expect=(script.expect,) if script.expect else ())
        walk(script, policy, spec, Watch(script))

    holds()
