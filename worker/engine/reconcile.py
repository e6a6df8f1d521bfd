"""One pass over one cancellation: look, decide, note the intent, call, commit. A crash anywhere costs one more look."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime

import structlog
from msgspec.structs import replace

from ..aio.delayed import Delayed
from ..backends.adapter import call
from ..domain import event_drafts, evolve
from ..domain.cancellation import Cancellation
from ..domain.decision import Decision, Finish, Hold, Send, Wait
from ..domain.errors import CredentialRefused, CredentialUnavailable, StoreUnavailable
from ..domain.escalation import after_answer, decide, matters, needs_look, next_pass, to_probe, too_early, warn_at
from ..domain.event_drafts import EventDraft
from ..domain.evidence.family import whole
from ..domain.evidence.proof import refuted
from ..domain.model import Action, Answer, AnswerKind, Observation, Outcome, Source, unanswered
from ..observability.log_fields import context
from ..store.store import Store
from ..store.transitions import Claim, Commit
from .backend import Backend
from .calls import Caller
from .clock import Clock
from .emitted import report
from .look_groups import ALONE, LISTS, LookGroup

log = structlog.get_logger(__name__)
PAUSED = unanswered("the backend is paused after repeated failures")
MOVED = unanswered(
    "the backends file points elsewhere now than when this cancellation was accepted: "
    "change the address back, or abort this cancellation"
)
LEFT = frozenset({Outcome.TIMED_OUT, Outcome.REFUSED, Outcome.PLANNED, Outcome.CHANGED})
"""The outcomes that rest on an observation of a job that has not ended."""
RETRY = 0.2
"""Seconds between two tries to commit."""
SOON = 0.05
"""Seconds that an answer may wait for the look at its effect, to be committed together with it."""
FRESH = 0.25
"""Seconds for which an intent noted with the claim may be acted on; later it is noted anew if nothing has changed."""


@dataclass(frozen=True, slots=True)
class PassInput:
    """What a pass begins with.

    `lost_at` is when Redis may have forgotten something; `paused` means that the backend is paused, so that no call is
    made; `listed` is what a list has shown of the job, or why to wait; `paid` is how many calls the claim has paid for.
    """

    claim: Claim
    lost_at: datetime | None = None
    paused: bool = False
    listed: Observation | Answer | None = None
    paid: int = 1


class Reconciliation:
    """One pass. It ends with a commit, or without one if the claim was lost."""

    def __init__(
        self, given: PassInput, backend: Backend, store: Store, clock: Clock, look_group: LookGroup | None = None
    ) -> None:
        """`look_group` shares the looks that are due right after a call."""
        self._given = given
        self._backend = backend
        self._store = store
        self._clock = clock
        typical = backend.stop_times.typical
        self._policy = replace(backend.policy, stop_times=typical) if typical else backend.policy
        self._cancellation = given.claim.record.cancellation
        self._drafts: list[EventDraft] = []
        self._caller = Caller(backend, clock, self._cancellation, given.paid)
        self._look_group = look_group
        self._listed = False  # whether a list has shown the job
        self._due: datetime | None = None

    async def run(self) -> datetime | None:
        """Make the pass; return when the record comes due again, None if it has ended or the claim was lost."""
        left_open = evolve.recovered(self._cancellation, self._policy)
        if left_open is not None:  # a worker died in this call: it counts as unanswered
            self._cancellation, send = left_open
            self._drafts.append(event_drafts.sent(send, evolve.UNANSWERED))
        self._now = self._clock.now()  # the time of the latest decision and of what follows from it at once
        if too_early(self._cancellation, self._now):
            # Decide with the same time: a moment later it may not be too early, and a look may be needed.
            await self._carry_out(decide(self._cancellation, None, self._policy, self._now), None)
        elif self._backend.elsewhere(self._cancellation):
            await self._moved()
        elif self._given.claim.piggy_backed:
            await self._piggy_backed()
        elif self._given.listed is not None:
            await self._on_list(self._given.listed)
        else:
            seen = await self._see(self._given.lost_at, paused=self._given.paused)
            await self._carry_out(self._decide(seen), seen)
        return self._due

    async def _moved(self) -> None:
        """Conclude nothing if another place would answer: count a failed look, without a call."""
        if self._backend.moved.due():
            log.warning("backend.moved", backend=self._backend.name, place=self._backend.place, hint=MOVED.detail)
        self._cancellation = evolve.look_failed(self._cancellation, MOVED, self._clock.now())
        await self._carry_out(self._decide(MOVED), None)

    async def _piggy_backed(self) -> None:
        """Poll without a permit: whatever needs a call of its own is left to the next pass."""
        seen: Observation | Answer | None = None
        if self._given.listed is not None:
            seen = self._observed(self._given.listed, self._clock.redis)
            calls = bool(self._to_probe(seen))
        elif not (calls := needs_look(self._cancellation, self._policy, self._given.lost_at)):
            seen = await self._see(self._given.lost_at, paused=self._given.paused)
        if not calls and not self._acts(decision := self._decide(seen)):
            await self._carry_out(decision, seen)
        elif await self._commit("alone"):
            self._due = self._clock.now()

    async def _on_list(self, listed: Observation | Answer) -> None:
        """Treat what a list has shown as a look; if there is more to do than to wait or to finish, look at the job."""
        self._listed = isinstance(listed, Observation)
        seen: Observation | Answer | None = await self._take_in_look(listed, self._clock.redis)
        if self._acts(decision := self._decide(seen)):
            seen = await self._see(self._given.lost_at, paused=self._given.paused)
            decision = self._decide(seen)
        await self._carry_out(decision, seen)

    async def _carry_out(self, decision: Decision, seen: Observation | Answer | None) -> None:
        self._warn(decision)
        if isinstance(decision, Send):
            await self._send(decision)
        elif isinstance(decision, Finish):
            await self._finish(decision, seen if isinstance(seen, Observation) else None)
        elif isinstance(decision, Hold):
            await self._hold(decision)
        else:
            await self._wait(decision)

    def _acts(self, decision: Decision) -> bool:
        """Whether a decision calls, reports a new hold, or ends before the job does: a list may be too old for that."""
        unreported = isinstance(decision, Hold) and decision.gate.reason not in self._cancellation.progress.held
        return isinstance(decision, Send) or unreported or (isinstance(decision, Finish) and decision.outcome in LEFT)

    def _decide(self, seen: Observation | Answer | None) -> Decision:
        self._now = self._clock.now()
        return decide(self._cancellation, seen, self._policy, self._now)

    async def _leave(self, before: Cancellation, why: str) -> None:
        """Leave what was decided to another pass, which looks first: at once unless the backend is slow or busy."""
        self._cancellation = before
        until = next_pass(before, self._policy, self._clock.now(), slow=self._caller.cut_short)
        await self._carry_out(Wait(until, why), None)

    async def _see(self, lost_at: datetime | None, *, paused: bool) -> Observation | Answer | None:
        if paused and not self._cancellation.spec.aborted:
            return PAUSED
        if not needs_look(self._cancellation, self._policy, lost_at):
            return None
        asked = self._clock.now()
        seen = await self._caller.drive(self._backend.adapter.look(self._cancellation.job), Action.LOOK)
        return await self._take_in_look(seen, asked)

    async def _take_in_look(self, seen: Observation | Answer, asked: datetime) -> Observation | Answer:
        """Take in what was seen of the job, and ask the second source if that matters now."""
        seen = self._observed(seen, asked)
        for target in self._to_probe(seen):
            if not (self._backend.probe and self._caller.lease_lasts()):
                break
            self._cancellation = evolve.probed(self._cancellation, target, await self._backend.probe(target))
        return seen

    def _observed(self, seen: Observation | Answer, asked: datetime) -> Observation | Answer:
        if isinstance(seen, Answer):
            self._cancellation = evolve.look_failed(self._cancellation, seen, asked, looks=1)
            return seen
        seen = whole(self._cancellation, seen)
        self._drafts += map(event_drafts.void, refuted(self._cancellation, seen, asked).values())
        now = self._clock.now()
        self._cancellation = evolve.observed(self._cancellation, seen, self._policy, now, looks=1, asked=asked)
        return seen

    def _to_probe(self, seen: Observation | Answer) -> tuple[str, ...]:
        if self._backend.probe is None or isinstance(seen, Answer):
            return ()
        return to_probe(self._cancellation, seen, self._policy, self._clock.now())

    def _warn(self, decision: Decision) -> None:
        if isinstance(decision, Finish) or self._now < warn_at(self._cancellation, self._policy):
            return
        self._cancellation = evolve.progress(self._cancellation, overdue=True)
        self._drafts.append(event_drafts.overdue(self._cancellation, self._policy))

    async def _send(self, send: Send) -> None:
        """Note the intent, make the call, take in the answer."""
        try:
            await self._backend.calls.ready()
        except CredentialUnavailable as error:
            await self._unready(unanswered(str(error)))
            return
        except CredentialRefused as error:
            await self._unready(Answer(AnswerKind.REFUSED, Source.CREDENTIAL, detail=str(error)))
            return
        before = self._cancellation
        self._cancellation = evolve.intended(before, send, self._clock.now())
        if not await self._noted(before, send):
            return
        if not self._caller.lease_lasts():
            await self._leave(before, f"make the {send.action} in a new pass")
            return
        job = before.job if send.job_id == before.job_id else replace(before.job, id=send.job_id)
        answer = await self._caller.drive(call(self._backend.adapter, send.action, job), send.action)
        await self._take_in(send, answer)

    async def _noted(self, before: Cancellation, send: Send) -> bool:
        """Note the intent, unless the claim has just done so.

        If Redis does not confirm it, no call is made and the record is left to a new pass.
        """
        first = send == Send(Action.CANCEL, before.job_id) and not before.progress.sent
        if self._given.claim.noted and first and self._clock.elapsed() < FRESH:
            return True
        try:
            if not self._caller.cut_short:  # else no call fits into the lease any more
                return await self._commit("intent")
        except StoreUnavailable:
            if self._drafts:
                raise  # the drafts may have been written with it, and must not be written twice
        await self._leave(before, "note the intent in a new pass")
        return False

    async def _take_in(self, send: Send, answer: Answer) -> None:
        self._now = now = self._clock.now()
        self._cancellation = evolve.answered(self._cancellation, send, answer, self._policy, now)
        self._drafts.append(event_drafts.sent(send, answer))
        if answer.before is not None:
            self._cancellation = evolve.observed(self._cancellation, answer.before, self._policy, now)
        decision = after_answer(self._cancellation, send, answer, self._policy, now)
        look_now = answer.kind is AnswerKind.ACCEPTED and send.action is not Action.FORCE
        if isinstance(decision, Finish):
            await self._finish(decision, answer.before)
        elif decision.until <= now and look_now and self._caller.lease_lasts():
            await self._look_at_once(decision)
        else:
            await self._wait(decision)

    async def _look_at_once(self, wait: Wait) -> None:
        """Poll once in this pass, and commit the answer and the observation together; the next pass acts on it.

        Done only if the call was accepted and was no force: any other answer may decide the outcome, and would be lost
        if the worker died during the look. If the look takes long, the answer is committed first.
        """
        answer_first = Delayed(SOON, lambda: self._commit("answer"))
        try:
            seen = await self._see_together()
        except (Exception, asyncio.CancelledError):
            if await answer_first.call_off() is not False:
                await self._wait(wait)  # the answer must not be lost with the look
            raise
        finally:
            answer_first.timer.cancel()
        if await answer_first.call_off() is False:
            return
        if self._acts(decision := self._decide(seen)):
            await self._leave(self._cancellation, "act on what was seen in a new pass")
        else:
            await self._carry_out(decision, seen)

    async def _see_together(self) -> Observation | Answer | None:
        asked = self._clock.now()
        shown = ALONE
        if self._look_group and self._caller.lease_lasts(LISTS + 1):
            shown = await self._look_group.see(self._cancellation.job)
        self._caller.made += shown.calls
        if shown.shown is None:
            return await self._see(None, paused=False)
        return await self._take_in_look(shown.shown, asked)

    async def _unready(self, answer: Answer) -> None:
        """Wait as after a failed look: there is no credential now, so nothing was sent."""
        self._caller.failed = True
        self._cancellation = evolve.look_failed(self._cancellation, answer, self._clock.now())
        decision = self._decide(answer)
        if isinstance(decision, Finish):
            await self._finish(decision, None)
        elif isinstance(decision, Wait):
            await self._wait(decision)

    async def _hold(self, hold: Hold) -> None:
        """Report why the force step is held, once per reason."""
        if self._acts(hold):
            held = self._cancellation.progress.held
            self._cancellation = evolve.progress(self._cancellation, held=(*held, hold.gate.reason))
            self._drafts.append(event_drafts.held(hold.gate, self._clock.now()))
        why = f"look again; the force step is due and held by: {', '.join(hold.gate.shut)}"
        await self._wait(Wait(hold.until, why))

    async def _wait(self, wait: Wait) -> None:
        self._cancellation = evolve.waiting(self._cancellation, wait.why)
        if await self._commit("wait", due=wait.until):
            self._due = wait.until

    async def _finish(self, finish: Finish, seen: Observation | None) -> None:
        if finish.outcome is Outcome.CANCELLED:
            self._backend.stop_times.learn(self._cancellation, self._now)
        self._drafts.append(event_drafts.finished(self._cancellation, finish, seen, self._policy))
        await self._commit("finish")

    async def _commit(self, mode: str, due: datetime | None = None) -> bool:
        """Commit what was found; False if nothing was written: the spec has changed, or the claim is lost."""
        new = tuple(self._drafts)
        result = await self._commit_in_lease(
            Commit(
                token=self._given.claim.token,
                record=self._given.claim.record,
                mode=mode,
                progress=self._cancellation.progress,
                facts=new,
                due=due,
                matters=matters(self._cancellation, self._policy),
                verdict=self._caller.verdict(listed=self._listed),  # before its calls are charged for
                calls=self._caller.charge(),
                watch_after=self._backend.watched(new),
            )
        )
        if result == 1:
            report(self._cancellation, new, self._backend.observer)
        elif result == 0:
            self._due = self._clock.now()
        else:
            log.warning("cancellation.fenced", **context(self._cancellation))
        del self._drafts[: len(new)]
        return result == 1

    async def _commit_in_lease(self, commit: Commit) -> int:
        """Commit; while Redis is down, try again within the lease. The claim token fences off a second write.

        An intent is not tried again: it is not known whether it was noted.
        """
        while True:
            try:
                return await self._store.commit(commit)
            except StoreUnavailable:
                if commit.mode == "intent" or not self._caller.lease_lasts():
                    raise
            await asyncio.sleep(RETRY)
