"""The walk of one cancellation over the model of a backend."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import Any

import pytest
from msgspec.structs import replace
from unit.domain.walks.model import LEASE, T, World

from worker.domain import evolve
from worker.domain.cancellation import WHOLE, Attestation, Cancellation, OperatorHold, Spec
from worker.domain.decision import Finish, Hold, Send, Wait
from worker.domain.escalation import after_answer, decide, needs_look, to_probe, warn_at
from worker.domain.evidence.family import whole
from worker.domain.model import STRICTNESS, Answer, Force, Observation, Policy, Verb, unanswered
from worker.store.codec import READER, WRITER
from worker.store.compression import pack, unpack


class Lost(Exception):
    """The pass left no commit: the worker died, or the orders had changed since the claim."""


@dataclass
class Walk:
    """One cancellation from its acceptance to its end; each pass asks the core as `reconcile.Pass` does."""

    world: World
    record: Cancellation
    policy: Policy
    watch: Any
    now: float = 0.0
    due: float = 0.0
    resumed: float = 0.0

    def run(self) -> None:
        """Go on until the end; `watch` is told about each step and judges it."""
        while not self.watch.over:
            assert self.now < 9999, "the walk does not end"
            self._operate()
            self.now = max(self.now, self.due)
            self._end_hold()
            self.world.advance(self.now, known=self.record.progress.seen_alive)
            try:
                self._pass()
            except Lost as lost:
                self.watch.lost()
                self.due = self.now + (0 if str(lost) == "fenced" else LEASE)
                self.resumed = max(self.resumed, self.due)

    def _time(self) -> datetime:
        return T + timedelta(seconds=self.now)

    def _spend(self) -> None:
        self.now += self.world.chance.choice((0.0, 0.0, 0.5, 9.0))

    def _lose(self, fault: str) -> None:
        if self.world.maybe(fault, 0.15):
            raise Lost(fault)

    def _operate(self) -> None:
        """Let producers and operators change the orders at a moment before the record comes due."""
        world, chance = self.world, self.world.chance
        changes: dict[str, Any] = {}
        if world.maybe("hold", 0.3):
            self._hold(chance.choice((None, 0.5, 30.0, 200.0)))
            changes["hold"] = self.record.spec.hold
        spec = self.record.spec
        if world.maybe("abort", 0.05):
            changes["aborted"] = "ann"
        if world.maybe("attest", 0.2):
            changes["attestations"] = {WHOLE: Attestation("ann", self._time())}
        if world.maybe("join", 0.2):
            until = T + timedelta(seconds=self.now + chance.choice((0.0, 100.0)))
            changes |= {
                "verb": chance.choice((spec.verb, Verb.DELETE)),
                "force": max(spec.force, chance.choice(list(Force)), key=STRICTNESS.__getitem__),
                "force_after": max(spec.force_after, chance.choice((0.0, 45.0))),
                "expect": (),
                "give_up_at": max(spec.give_up_at, min(until, T + timedelta(seconds=500))),
            }
        if changes:
            self.record = replace(self.record, spec=replace(spec, **changes, revision=spec.revision + 1))
            self.due = chance.uniform(self.now, max(self.now, self.due))

    def _hold(self, seconds: float | None) -> None:
        """Hold the cancellation as `hold.lua` does; if it is held already, release it, and mostly leave it at that."""
        if self.record.spec.hold is not None:
            self._lift(self._time())
            if self.world.chance.random() < 0.6:
                return
        now = self._time()
        until = None if seconds is None else now + timedelta(seconds=seconds)
        self.watch.held(self.now, None if seconds is None else self.now + seconds)
        spec = self.record.spec
        self.record = replace(self.record, spec=replace(spec, hold=OperatorHold("ann", "wait", now, until)))

    def _lift(self, at: datetime) -> None:
        """Lift the hold as `holds.lua` does."""
        spec = self.record.spec
        assert spec.hold is not None
        stood = max(0.0, (at - spec.hold.since).total_seconds())
        moved = stood if spec.hold.since < spec.give_up_at else 0.0
        self.watch.released((at - T).total_seconds())
        self.resumed = max(self.resumed, self.now)
        self.record = replace(
            self.record,
            spec=replace(
                spec,
                hold=None,
                held_for=spec.held_for + stood,
                give_up_at=spec.give_up_at + timedelta(seconds=moved),
                revision=spec.revision + 1,
            ),
        )

    def _end_hold(self) -> None:
        """End a hold whose time is over, as a claim does; release one without a time limit at random."""
        hold = self.record.spec.hold
        if hold is None:
            return
        if hold.until is not None and self._time() >= hold.until:
            self._lift(hold.until)
        elif hold.until is None and self.world.chance.random() < 0.1:
            self._lift(self._time())

    def _pass(self) -> None:
        one, left_open = self.record, evolve.recovered(self.record, self.policy)
        if left_open is not None:
            one = left_open[0]
        one, seen = self._look(one)
        self._lose("crash early")
        decision = decide(one, seen, self.policy, self._time())
        if not isinstance(decision, Finish) and self._time() >= warn_at(one, self.policy):
            one = evolve.progress(one, overdue=True)
        if isinstance(decision, Send):
            self.watch.sending(self, one, decision, seen)
            self._send(one, decision)
        elif isinstance(decision, Finish):
            self.watch.finished(self, one, decision, seen)
        else:
            self._wait(one, decision)

    def _look(self, one: Cancellation) -> tuple[Cancellation, Observation | Answer | None]:
        if one.spec.aborted:
            return one, None
        if self.world.maybe("paused", 0.2):
            return one, unanswered("paused")
        if not needs_look(one, self.policy, T if "suspect" in self.world.script.faults else None):
            return one, None
        asked = self._time()
        seen = self.world.look(self.now)
        self.watch.asked(self, seen)
        self._spend()
        one = evolve.progress(one, looks=one.progress.looks + 1)
        if isinstance(seen, Answer):
            return evolve.look_failed(one, seen, asked), seen
        seen = whole(one, seen)
        return self._probe(self._observe(one, seen, asked), seen), seen

    def _observe(self, one: Cancellation, seen: Observation, asked: datetime) -> Cancellation:
        self.watch.looked(self, seen)
        return evolve.observed(one, seen, self.policy, self._time(), asked=asked)

    def _probe(self, one: Cancellation, seen: Observation) -> Cancellation:
        for target in to_probe(one, seen, self.policy, self._time()):
            one = evolve.probed(one, target, not any(member.running for member in self.world.family))
        return one

    def _send(self, one: Cancellation, send: Send) -> None:
        self._lose("fenced")
        self._commit(evolve.intended(one, send, self._time()))
        self.watch.intended(self, send)
        self._lose("crash before call")
        called = self._time()
        answer = self.world.call(send.action, send.job_id, self.now)
        self._spend()
        self._lose("crash after call")
        self.watch.answered(self, send, answer)
        one = evolve.answered(self.record, send, answer, self.policy, self._time())
        if answer.before is not None:
            one = self._observe(one, whole(one, answer.before), called)
        decision = after_answer(one, send, answer, self.policy, self._time())
        if isinstance(decision, Finish):
            self.watch.finished(self, one, decision, answer.before)
        else:
            self._wait(one, decision)

    def _wait(self, one: Cancellation, decision: Wait | Hold) -> None:
        self.watch.waiting(self, decision)
        self.due = (decision.until - T).total_seconds()
        self._commit(evolve.waiting(one, "wait"))

    def _commit(self, one: Cancellation) -> None:
        """Store the progress as Redis would."""
        stored = READER.decode(unpack(pack(WRITER.encode(one.progress))))
        assert stored == one.progress
        self.record = replace(one, progress=stored)
        self.watch.committed()


@pytest.fixture(scope="session")
def walk() -> Callable[..., None]:
    def run(script: Any, policy: Policy, spec: Spec, watch: Any) -> None:
        world = World(script, Random(script.seed))  # noqa: S311 - chance, not secrets
        Walk(world, Cancellation("c1", script.kind, "1", T, spec), policy, watch).run()

    return run
