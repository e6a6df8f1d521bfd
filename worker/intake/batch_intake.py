"""Takes in parts of batches, and carries out orders about them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import structlog

from ..domain.errors import ActionRejected, InvalidCommand, UnknownBatch
from ..protocol.batches import MOST_BACKENDS
from ..protocol.signing import SignatureRejected, Signed, objection
from ..store.store import Store
from ..store.transitions import Rejection
from .admission import Admission, reject_signed
from .decoder import OrderRequest, PartRequest

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Means:
    """What `BatchIntake` shares with `Handler`: see the methods there."""

    patiently: Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]]
    reject: Callable[[Rejection], Awaitable[None]]
    times: Callable[..., Awaitable[Sequence[datetime]]]
    check: Callable[[object, Sequence[datetime]], Signed | None]


class BatchIntake:
    """Handles the messages about batches; all that they ask for is stored when `handle` returns."""

    def __init__(self, store: Store, admission: Admission, means: Means) -> None:
        self._store = store
        self._batches = store.batches
        self._admission = admission
        self._means = means
        self.wake: Callable[[], None] = lambda: None
        """Makes the feeder check whether there is something to do."""

    async def handle(self, item: PartRequest | OrderRequest) -> None:
        """Take in a part or carry out an order, or reject it."""
        times = await self._means.times(needed=item.envelope.expires is not None)
        if outlived := self._admission.outlived(item.content, item.message_id, item.envelope, times):
            await self._means.reject(outlived)
            return
        signed = None
        try:
            signed = await self._admit(item, times)
            await self._do(item, signed)
        except SignatureRejected as problem:
            await self._means.reject(reject_signed(item.content, item.message_id, problem))
        except (InvalidCommand, UnknownBatch, ActionRejected) as error:
            await self._means.reject(self._admission.rejection(item.content, item.message_id, str(error), signed))
        else:
            self.wake()

    async def _do(self, item: PartRequest | OrderRequest, signed: Signed | None) -> None:
        signer = signed.producer if signed else ""
        verified = {"signed_by": signer} if signer else {}
        if isinstance(item, PartRequest):
            part = item.part
            new = await self._means.patiently(lambda: self._batches.take_part(part, signed))
            named = {"batch_id": part.batch_id, "part": part.part, "parts": part.parts}
            log.info("batch.part_taken", **named, commands=len(part.commands), new=new, **verified)
            return
        order = item.order
        await self._means.patiently(
            lambda: self._batches.carry_out(order, signed_by=signer, message_id=item.message_id)
        )
        log.info(
            f"batch.{order.action.removeprefix('batch_')}",
            batch_id=order.batch_id,
            by=f"{order.by}: {order.reason}",
            **verified,
        )

    async def _admit(self, item: PartRequest | OrderRequest, times: Sequence[datetime]) -> Signed | None:
        """Check a message's signature, the right to all backends of the batch, and that the signature is used once."""
        signed = self._means.check(item.content, times)
        if signed is None:
            return None
        if isinstance(item, OrderRequest) and signed.backends is not None:
            status = await self._means.patiently(lambda: self._batches.status(item.order.batch_id))
            unknown = len(status.backends) >= MOST_BACKENDS
            if unknown or not all(map(signed.may_touch, status.backends)):
                raise objection(signed, "out_of_reach")
        await self._means.patiently(lambda: self._store.use(signed, item.message_id))
        return signed
