"""Does what messages ask for: stores commands, carries out operator actions, rejects the rest."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

import structlog

from ..domain.errors import CONFLICT, ActionRejected, CommandConflict, StoreUnavailable, UnknownCancellation
from ..observability.observer import NOBODY, MessageHandled, Observer
from ..protocol.signing import OBJECTIONS, SignatureRejected, Signed, objection
from ..store.serving import Serving
from ..store.store import Store
from ..store.transitions import Acceptance, Accepted, Rejection
from .admission import EPOCH, Admission, reject_signed
from .batch_intake import BatchIntake, Means
from .decoder import ActionRequest, Commands, Item, OrderRequest, PartRequest
from .handover import Arrived, Handover

log = structlog.get_logger(__name__)

Result = TypeVar("Result")

STORE_PATIENCE = 10.0
"""Seconds that a message waits for the store before it fails; a Redis broker redelivers it after 15."""
SLICE = 100
"""Commands judged in one go: a worker that judges for too long looks dead to the others."""


Accept = Callable[[Sequence[Acceptance]], Awaitable[Sequence[Accepted]]]
"""Stores accepted commands and begins to work on them.

Raises StoreUnavailable when it is unknown what was stored; accepting them again is harmless.
"""
Wake = Callable[[str], None]
"""Looks for due work on a backend at once."""


@dataclass(slots=True)
class Leftovers:
    """Commands that were not stored: the rejected ones, and those that only a newer worker can take in."""

    rejected: list[tuple[Arrived, Rejection]] = field(default_factory=list)
    newer: list[Arrived] = field(default_factory=list)


class Handler:
    """Handles the messages of one worker process, whichever broker they come from.

    Each step is retried while Redis is away, and raises StoreUnavailable after `STORE_PATIENCE`. Handling a message
    again is harmless: a command id is taken in once.
    """

    def __init__(
        self,
        store: Store,
        admission: Admission,
        accept: Accept,
        wake: Wake,
        serving: Serving,
        observer: Observer = NOBODY,
    ) -> None:
        self._store = store
        self._admission = admission
        self._accept = accept
        self._wake = wake
        self._observer = observer
        means = Means(self._patiently, self._reject, self._times, self._check)
        self.batches = BatchIntake(store, admission, means)
        self.handover = Handover(store, admission, serving, self.take, self._reject)

    async def handle(self, items: Sequence[Item]) -> None:
        """Do what messages ask for; all of it is stored when this returns."""
        commands = [item for item in items if isinstance(item, Commands)]
        counts = {item.message_id: item.count for item in commands if item.message_id}
        if counts:
            await self._patiently(lambda: self._store.count_commands(counts))
        await self.take([Arrived.of(*content, item.envelope) for item in commands for content in item.contents])
        for item in items:
            if isinstance(item, ActionRequest):
                await self._act(item)
            elif isinstance(item, PartRequest | OrderRequest):
                await self.batches.handle(item)
            elif not isinstance(item, Commands):
                await self._reject(self._admission.rejection(item.content, item.message_id, item.reason))

    async def take(self, arrived: Sequence[Arrived]) -> frozenset[str]:
        """Take in commands; return the digests of those that are left to other workers."""
        until = asyncio.get_running_loop().time() + STORE_PATIENCE
        here, elsewhere = await self._patiently(lambda: self.handover.sort(arrived), until)
        left = await self._take_here(here, until)
        for one, rejection in left.rejected:
            await self._reject(rejection, one.traceparent, until - STORE_PATIENCE)
        return elsewhere | await self._patiently(lambda: self.handover.leave(left.newer))

    async def _take_here(self, here: Sequence[Arrived], until: float) -> Leftovers:
        """Judge and store commands slice by slice: while Redis stores one slice, the next is judged."""
        times, known = await self._times(needed=any(one.timed for one in here)), self.handover.serving.known
        left = Leftovers()
        storing: asyncio.Task[None] | None = None
        try:
            for start in range(0, len(here), SLICE):
                judged = [(one, self._judge(one, times, known)) for one in here[start : start + SLICE]]
                if storing is not None:
                    await storing
                work = self._store_slice(judged, until, left)
                if start + SLICE >= len(here):
                    await work
                else:
                    storing = asyncio.create_task(work)
                    await asyncio.sleep(0)  # it starts now, not after the next slice is judged
        finally:
            if storing is not None:
                await storing
        return left

    def _judge(self, one: Arrived, times: Sequence[datetime], known: frozenset[str]) -> Acceptance | Rejection:
        """Judge a command; if Redis's clock was stepped, nobody knows which time is right, so either may admit it."""
        for now in times:
            verdict = self._admission.take(one.content, one.command_id, now, one.envelope, known)
            if isinstance(verdict, Acceptance):
                break
        return verdict

    async def _store_slice(
        self, judged: Sequence[tuple[Arrived, Acceptance | Rejection]], until: float, left: Leftovers
    ) -> None:
        """Store what was accepted; add to `left` what was not stored."""
        accepted = [(arrived, one) for arrived, one in judged if isinstance(one, Acceptance)]
        left.rejected += [(arrived, one) for arrived, one in judged if isinstance(one, Rejection)]
        stored = await self._patiently(lambda: self._accept([one for _, one in accepted]), until)
        for (arrived, one), verdict in zip(accepted, (each.verdict for each in stored), strict=True):
            if verdict == "conflict":
                rejection = self._admission.rejection(
                    arrived.content, one.command_id, CONFLICT, one.signed, arrived.envelope
                )
                left.rejected.append((arrived, rejection))
            elif verdict == "newer":
                left.newer.append(arrived)
            elif one.signed is not None and verdict in OBJECTIONS:
                problem = objection(one.signed, verdict)
                rejection = reject_signed(arrived.content, one.command_id, problem, arrived.envelope)
                left.rejected.append((arrived, rejection))
            else:
                self._note(one.backend, one.verb, verdict, one.traceparent, until - STORE_PATIENCE)

    async def _act(self, item: ActionRequest) -> None:
        """Carry out an operator action, or reject it."""
        began, traceparent = asyncio.get_running_loop().time(), item.envelope.traceparent
        times = await self._times(needed=item.envelope.expires is not None)
        if outlived := self._admission.outlived(item.content, item.message_id, item.envelope, times):
            await self._reject(outlived, traceparent, began)
            return
        signed = None
        more = {**item.more, "signing": int(self._admission.signatures.on)}
        try:
            signed = await self._admit(item, times)
            signer = signed.producer if signed else ""
            cancellation_id = await self._patiently(lambda: self._store.resolve(item.reference))
            action = item.action, cancellation_id, item.by, item.reason
            backend = await self._patiently(
                lambda: self._store.act(*action, signed_by=signer, message_id=item.message_id, more=more)
            )
        except SignatureRejected as problem:
            await self._reject(reject_signed(item.content, item.message_id, problem), traceparent, began)
            return
        except (UnknownCancellation, ActionRejected) as error:
            rejection = self._admission.rejection(item.content, item.message_id, str(error), signed)
            await self._reject(rejection, traceparent, began)
            return
        verified = {"signed_by": signer} if signer else {}
        by = f"{item.by}: {item.reason}"
        log.info(f"cancellation.{item.action}", cancellation_id=cancellation_id, by=by, **verified)
        self._note(backend, item.action, "accepted", traceparent, began)
        self._wake(backend)

    async def _admit(self, item: ActionRequest, times: Sequence[datetime]) -> Signed | None:
        """Check an action's signature, its producer's right to the backend, and that the signature is used once.

        Return the signature; None if none is needed.
        """
        signed = self._check(item.content, times)
        if signed is None:
            return None
        if signed.backends is not None:
            cancellation_id = await self._patiently(lambda: self._store.resolve(item.reference))
            shown = await self._patiently(lambda: self._store.get(cancellation_id))
            if not signed.may_touch(shown.record.cancellation.backend):
                raise objection(signed, "out_of_reach")
        await self._patiently(lambda: self._store.use(signed, item.message_id))
        return signed

    def _check(self, content: object, times: Sequence[datetime]) -> Signed | None:
        """Return the signature if it holds at one of these times; raises SignatureRejected."""
        try:
            return self._admission.signatures.check(content, times[0])
        except SignatureRejected:
            if len(times) == 1:
                raise
            return self._check(content, times[1:])

    def _note(self, backend: str, verb: str, verdict: str, traceparent: str | None, began: float) -> None:
        seconds = asyncio.get_running_loop().time() - began
        self._observer(MessageHandled(backend, verb, verdict, traceparent, seconds))

    async def _reject(self, rejection: Rejection, traceparent: str | None = None, began: float | None = None) -> None:
        """Reject a message, unless its command was taken in before; `began` is when it began to be handled."""
        began = asyncio.get_running_loop().time() if began is None else began
        verb = str(rejection.data.get("verb", ""))
        if rejection.expired or rejection.digest:
            # It may have been taken in while its signature held or its backend was served, and now be redelivered.
            find = self._store.find_command
            try:
                if await self._patiently(lambda: find(rejection.command_id, rejection.digest)):
                    self._note(rejection.backend, verb, "same", traceparent, began)
                    return
            except CommandConflict:
                pass
        new = await self._patiently(lambda: self._store.reject(rejection))
        self._note(rejection.backend, verb, "rejected" if new else "same", traceparent, began)
        log.warning(
            "command.rejected",
            command_id=rejection.data["command_id"],
            backend=rejection.backend,
            reason=rejection.log_reason or rejection.reason,
            **{name: rejection.data[name] for name in ("signed_by",) if name in rejection.data},
        )

    async def _times(self, *, needed: bool) -> Sequence[datetime]:
        """Return what `Store.times` does; the epoch alone if nothing depends on the time."""
        if not (needed or self._admission.signatures.on):
            return (EPOCH,)
        return await self._patiently(self._store.times)

    async def _patiently(self, work: Callable[[], Awaitable[Result]], until: float | None = None) -> Result:
        """Retry while Redis is away, until the broker would redeliver the message anyway."""
        if until is None:
            until = asyncio.get_running_loop().time() + STORE_PATIENCE
        while True:
            try:
                return await work()
            except StoreUnavailable:
                if asyncio.get_running_loop().time() > until:
                    raise
                await asyncio.sleep(0.2)
