"""One pass over one cancellation: look, decide, note the intent, call, commit. A crash anywhere costs one more look."""

from __future__ import annotations

import asyncio
from datetime import datetime

import structlog
from msgspec.structs import replace

from ..backends.adapter import call
from ..domain import event_drafts, evolve
from ..domain.cancellation import Cancellation
from ..domain.decision import Decision, Finish, Hold, Send, Wait
from ..domain.escalation import after_answer, decide, matters, needs_look, overdue, to_probe, too_early
from ..domain.event_drafts import EventDraft
from ..domain.evidence.family import whole
from ..domain.evidence.proof import refuted
from ..domain.model import Action, Answer, AnswerKind, Observation, Outcome, Source, unanswered
from ..errors import CredentialRefused, CredentialUnavailable, StoreUnavailable
from ..observability.log_fields import context, loggable
from ..store.store import Store
from ..store.transitions import Claim, Commit
from .backend import Backend
from .calls import Caller
from .clock import Clock
from .look_groups import ALONE, LISTS, LookGroup

log = structlog.get_logger(__name__)
PAUSED = unanswered("the backend is paused after repeated failures")
MOVED = unanswered(
    "the backends file points elsewhere now, and this cancellation was accepted for another place: "
    "point the file back to it, or abort this cancellation"
)
LEFT = frozenset({Outcome.TIMED_OUT, Outcome.PLANNED, Outcome.CHANGED})
"""The outcomes that rest on a sight of a job that has not ended."""
RETRY = 0.2
"""Seconds between two tries to hand in a pass."""
SOON = 0.05
"""Seconds that an answer may wait for the look at what it has done, to be handed in with it."""
FRESH = 0.25
"""Seconds for which an intent that was noted with the claim may be acted on: later, the orders are looked at again."""


class Reconciliation:
    """One pass. It ends with a commit, or without one where the claim was lost."""

    def __init__(
        self, claim: Claim, backend: Backend, store: Store, clock: Clock, paid: int = 1, bunch: LookGroup | None = None
    ) -> None:
        """`paid` is how many calls the claim has paid for; looks that are due at once may be shared in a `bunch`."""
        self._claim = claim
        self._backend = backend
        self._store = store
        self._clock = clock
        self._policy = replace(backend.policy, usual=backend.tempo.usual) if backend.tempo.usual else backend.policy
        self._cancellation = claim.record.cancellation
        self._facts: list[EventDraft] = []
        self._caller = Caller(backend, clock, claim.record.cancellation.traceparent, paid)
        self._bunch = bunch
        self._listed = False
        self._unprobed = False
        self._due: datetime | None = None

    async def run(self, suspect: datetime | None, *, blind: bool, listed: Observation | None = None) -> datetime | None:
        """Make the pass; return when the record comes due again, None when it does not or is not ours.

        `suspect` is when Redis may have forgotten something; `blind` forbids any call; `listed` is what a list
        has shown of the job: where there is more to do than to wait or to end, a look at the job alone comes first.
        One that rides along leaves that look to a pass of its own.
        """
        self._begin()
        began = self._clock.now()
        if too_early(self._cancellation, began):
            # Decided by the time at which it did without a look, which may be over by now.
            await self._carry_out(decide(self._cancellation, None, self._policy, began), None)
            return self._due
        if self._backend.elsewhere(self._cancellation):
            return await self._leave_alone()
        self._listed = listed is not None
        if self._claim.rides and listed is None and self._looks(suspect):
            return await self._alone()
        seen = (
            await self._see(suspect, blind=blind)
            if listed is None
            else await self._take_sight(listed, self._clock.redis)
        )
        decision = self._decide(seen)
        if self._claim.rides and (self._acts(decision) or self._unprobed):
            return await self._alone()
        if listed is not None and self._acts(decision):
            seen = await self._see(suspect, blind=blind)
            decision = self._decide(seen)
        await self._carry_out(decision, seen)
        return self._due

    async def _leave_alone(self) -> datetime | None:
        """Conclude nothing where another place would answer: that is a failed look, without a call."""
        if self._backend.moved.due():
            log.warning("backend.moved", backend=self._backend.name, place=self._backend.place, hint=MOVED.detail)
        self._cancellation = evolve.look_failed(self._cancellation, MOVED, self._clock.now())
        await self._carry_out(self._decide(MOVED), None)
        return self._due

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
        """Whether it makes a call, tells something new, or ends without an end of the job: a list may lag behind."""
        untold = isinstance(decision, Hold) and decision.gate.reason not in self._cancellation.progress.held
        leaves = isinstance(decision, Finish) and decision.outcome in LEFT
        return untold or leaves or isinstance(decision, Send)

    def _decide(self, seen: Observation | Answer | None) -> Decision:
        return decide(self._cancellation, seen, self._policy, self._clock.now())

    def _begin(self) -> None:
        """Count a call that a dead worker left open as unanswered."""
        left_open = evolve.recovered(self._cancellation, self._policy)
        if left_open is not None:
            self._cancellation, send = left_open
            self._facts.append(event_drafts.sent(send, evolve.UNANSWERED))

    def _looks(self, suspect: datetime | None) -> bool:
        aborted = self._cancellation.spec.aborted
        return not aborted and needs_look(self._cancellation, self._policy, suspect)

    async def _see(self, suspect: datetime | None, *, blind: bool) -> Observation | Answer | None:
        if blind and not self._cancellation.spec.aborted:
            return PAUSED
        if not self._looks(suspect):
            return None
        asked = self._clock.now()
        seen = await self._caller.drive(self._backend.adapter.look(self._cancellation.job), look=True)
        if isinstance(seen, Answer):
            self._cancellation = evolve.look_failed(evolve.looked(self._cancellation), seen, asked)
            return seen
        return await self._take_sight(seen, asked)

    async def _take_sight(self, seen: Observation, asked: datetime) -> Observation:
        seen = whole(self._cancellation, seen)
        self._facts += map(event_drafts.void, refuted(self._cancellation, seen, asked).values())
        self._cancellation = evolve.observed(
            self._cancellation, seen, self._policy, self._clock.now(), looks=1, asked=asked
        )
        await self._ask_probe(seen)
        return seen

    async def _ask_probe(self, seen: Observation) -> None:
        """Ask the second source, where it matters; one that rides along leaves these calls to a pass of its own."""
        probe = self._backend.probe
        targets = to_probe(self._cancellation, seen, self._policy, self._clock.now()) if probe else ()
        self._unprobed = bool(targets) and self._claim.rides
        if probe is None or self._unprobed:
            return
        for target in targets:
            if not self._caller.lease_lasts():
                return
            self._cancellation = evolve.probed(self._cancellation, target, await probe(target))

    def _warn(self, decision: Decision) -> None:
        if isinstance(decision, Finish) or not overdue(self._cancellation, self._policy, self._clock.now()):
            return
        self._cancellation = evolve.progress(self._cancellation, overdue=True)
        self._facts.append(event_drafts.overdue(self._cancellation, self._policy))

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
            self._cancellation = before
            await self._wait(Wait(self._clock.now(), f"make the {send.action} in a new pass"))
            return
        job = before.job if send.job_id == before.job_id else evolve.child_job(before.job, send.job_id)
        answer = await self._caller.drive(call(self._backend.adapter, send.action, job))
        await self._take_in(send, answer)

    async def _noted(self, before: Cancellation, send: Send) -> bool:
        """Note the intent, unless the claim has just done so.

        Where Redis does not say that it did, no call is made and the record is given back.
        """
        if self._noted_with_claim(before, send):
            return True
        try:
            return await self._commit("intent")
        except StoreUnavailable:
            if self._facts:
                raise  # they may have been written with it, and must not be twice
        self._cancellation = before
        await self._wait(Wait(self._clock.now(), "note the intent in a new pass"))
        return False

    def _noted_with_claim(self, before: Cancellation, send: Send) -> bool:
        first = send == Send(Action.CANCEL, before.job_id) and not before.progress.sent
        return self._claim.noted and first and self._clock.elapsed() < FRESH

    async def _take_in(self, send: Send, answer: Answer) -> None:
        now = self._clock.now()
        self._cancellation = evolve.answered(self._cancellation, send, answer, self._policy, now)
        self._facts.append(event_drafts.sent(send, answer))
        if answer.before is not None:
            self._cancellation = evolve.observed(self._cancellation, answer.before, self._policy, now)
        decision = after_answer(self._cancellation, send, answer, self._policy, now)
        if isinstance(decision, Finish):
            await self._finish(decision, answer.before)
        elif decision.until <= now and answer.kind is AnswerKind.ACCEPTED and send.action is not Action.FORCE:
            await self._look_at_once(decision)
        else:
            await self._wait(decision)

    async def _look_at_once(self, wait: Wait) -> None:
        """Look within this pass at what a call has done, and hand in both together; what it asks for is another's.

        Only after a yes, and not to a force: whatever else a backend has said may decide the outcome, and would be
        lost with a worker that dies in the look. So would a yes, if the look takes long: then it is handed in before.
        """
        if not self._caller.lease_lasts():
            await self._wait(wait)
            return
        noting: list[asyncio.Task[bool]] = []
        late = asyncio.get_running_loop().call_later(
            SOON, lambda: noting.append(asyncio.create_task(self._commit("answer")))
        )
        try:
            seen = await self._see_together()
        except (Exception, asyncio.CancelledError):
            late.cancel()
            if all([await note for note in noting]):
                await self._wait(wait)  # the answer must not go with the look
            raise
        finally:
            late.cancel()
        if not all([await note for note in noting]):
            return
        decision = self._decide(seen)
        if self._acts(decision):
            decision = Wait(self._clock.now(), "act on what was seen in a new pass")
        await self._carry_out(decision, seen)

    async def _see_together(self) -> Observation | Answer | None:
        asked = self._clock.now()
        shown = ALONE
        if self._bunch and self._caller.lease_lasts(LISTS + 1):
            shown = await self._bunch.see(self._cancellation.job)
        self._caller.made += shown.calls
        if shown.observation is None:
            return await self._see(None, blind=False)
        return await self._take_sight(shown.observation, asked)

    async def _unready(self, answer: Answer) -> None:
        """No credential now, so nothing was sent: that is a failed look's wait."""
        self._caller.failed = True
        self._cancellation = evolve.look_failed(self._cancellation, answer, self._clock.now())
        decision = self._decide(answer)
        if isinstance(decision, Finish):
            await self._finish(decision, None)
        elif isinstance(decision, Wait):
            await self._wait(decision)

    async def _hold(self, hold: Hold) -> None:
        """Tell why the force step is held, once per reason."""
        if self._acts(hold):
            held = self._cancellation.progress.held
            self._cancellation = evolve.progress(self._cancellation, held=(*held, hold.gate.reason))
            self._facts.append(event_drafts.held(hold.gate, self._clock.now()))
        why = f"look again; the force step is due and held by: {', '.join(hold.gate.shut)}"
        await self._wait(Wait(hold.until, why))

    async def _wait(self, wait: Wait) -> None:
        self._cancellation = evolve.waiting(self._cancellation, wait.why)
        if await self._commit("wait", due=wait.until):
            self._due = wait.until

    async def _alone(self) -> datetime | None:
        """Give the record back for a pass that may call; it is due at once."""
        if await self._commit("alone"):
            self._due = self._clock.now()
        return self._due

    async def _finish(self, finish: Finish, seen: Observation | None) -> None:
        if finish.outcome is Outcome.CANCELLED:
            self._backend.tempo.learn(self._cancellation, self._clock.now())
        self._facts.append(event_drafts.finished(self._cancellation, finish, seen, self._policy))
        await self._commit("finish")

    async def _commit(self, mode: str, due: datetime | None = None) -> bool:
        """Hand in what was found; False where the orders have changed or the claim is lost, and nothing was written."""
        new = tuple(self._facts)
        verdict = self._caller.verdict(listed=self._listed and not self._claim.rides)
        result = await self._hand_in(
            Commit(
                token=self._claim.token,
                record=self._claim.record,
                mode=mode,
                progress=self._cancellation.progress,
                facts=new,
                due=due,
                matters=matters(self._cancellation, self._policy),
                calls=self._caller.charge(),
                verdict=verdict,
            )
        )
        if result == 1:
            self._tell(new)
        elif result == 0:
            self._due = self._clock.now()
        else:
            log.warning("cancellation.fenced", **context(self._cancellation))
        del self._facts[: len(new)]
        return result == 1

    async def _hand_in(self, commit: Commit) -> int:
        """Commit, and while Redis is away try again within the lease: what was handed in before is fenced.

        An intent is not tried again: nobody knows whether it was noted.
        """
        while True:
            try:
                return await self._store.commit(commit)
            except StoreUnavailable:
                if commit.mode == "intent" or not self._caller.lease_lasts():
                    raise
            await asyncio.sleep(RETRY)

    def _tell(self, new: tuple[EventDraft, ...]) -> None:
        whose = context(self._cancellation) if new else {}
        for fact in new:
            log.info(f"cancellation.{fact.name}", **whose, **loggable(fact))
