"""What one worker process runs: a loop in a thread, and in it the store, the intake and the engine."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import TypeVar

import structlog

from ..aio.loop_thread import LoopThread
from ..aio.tasks import cancel_all
from ..engine.backend import Backend
from ..engine.engine import Engine
from ..errors import CONFLICT, ActionRejected, CommandConflict, StoreUnavailable, UnknownCancellation
from ..intake.admission import EPOCH, expired, outlived, reject_signed, signed_by
from ..intake.decoder import ActionRequest, Commands, Item, Malformed
from ..intake.handover import Arrived, Handover
from ..intake.rabbitmq_consumer import Receiver
from ..intake.redis_consumer import Taker
from ..protocol.signing import SignatureRejected, Signed, out_of_reach, replayed, throttled
from ..settings.backends_file.backends import BackendConfig
from ..settings.backends_file.load import Deployment
from ..settings.environment import Settings
from ..store.redis_client import connect_to
from ..store.store import Store
from ..store.transitions import Acceptance, Rejection
from .wiring import backend_of, deployment_of, intake_of, store_of

log = structlog.get_logger(__name__)

Result = TypeVar("Result")

SIGNATURE_VERDICTS = {"replayed": replayed, "throttled": throttled}
STORE_PATIENCE = 10.0
"""Seconds that a message waits for the store before it is tried anew; a Redis broker redelivers after 15."""
SLICE = 100
"""Commands that are judged in one go: whoever judges for too long looks dead to the others."""
STOP_LIMIT = 9.0
"""Seconds that a stop may take in all."""


@dataclass(slots=True)
class Leftovers:
    """What is left to do once commands are stored: those to reject, and those that only a newer worker may take."""

    rejected: list[Rejection] = field(default_factory=list)
    newer: list[Arrived] = field(default_factory=list)


class Runtime:
    """All that one worker process has: a loop in a thread, and in it the store, the intake and the engine."""

    def __init__(self, settings: Settings, deployment: Deployment) -> None:
        configs = deployment.backends
        self._settings = settings
        self._intake = intake_of(configs, deployment.producers)
        self._loop = LoopThread("canceller")
        self._store, self._engine, self._backends = self._loop.call(self._build(configs))
        self._door: Taker | Receiver | None = None
        self._handover = Handover(self._store, configs.keys(), self._engine.serving, self._take, self._reject_arrived)
        self._taking_over: asyncio.Task[None] | None = None

    @property
    def receiver(self) -> Receiver:
        """The door to RabbitMQ."""
        assert isinstance(self._door, Receiver)  # noqa: S101 - only RabbitMQ's consumer asks
        return self._door

    def start(self) -> None:
        """Start working on what is due, and taking in commands where the broker is a Redis or a RabbitMQ."""
        self._loop.call(self._start())

    def stop(self, grace: float = 5.0) -> None:
        """Take nothing new from the schedule; let open calls end for `grace` seconds."""
        with suppress(TimeoutError):
            self._loop.call(self._stop(grace), STOP_LIMIT)

    def close(self) -> None:
        """Close all connections and end the loop."""
        self._loop.call(self._close())
        self._loop.close()

    def do(self, items: Sequence[Item]) -> None:
        """Do what messages ask for; all of it is stored when this returns.

        Raises:
            StoreUnavailable: Redis did not take it in time; giving it again is harmless.

        """
        self._loop.call(self._do(items))

    async def _start(self) -> None:
        await self._engine.start()
        self._taking_over = asyncio.create_task(self._handover.run())
        broker = self._settings.redis_broker
        if broker is not None:
            redis = connect_to(broker)
            self._door = Taker(redis, self._settings.queue, self._engine.worker, self._do, self._store.fullness)
        elif self._settings.amqp_broker:
            self._door = Receiver(self._do, self._store.fullness)
        if self._door is not None:
            await self._door.start()

    async def _stop(self, grace: float) -> None:
        if self._door is not None:
            await self._door.stop()
        if self._taking_over is not None:
            await cancel_all({self._taking_over})
        await self._engine.stop(grace)

    async def _build(self, configs: Mapping[str, BackendConfig]) -> tuple[Store, Engine, list[Backend]]:
        store = store_of(self._settings, configs)
        speed = self._settings.clock_speed
        backends = {name: backend_of(name, config, speed) for name, config in configs.items()}
        engine = Engine(store, backends, self._settings.slots)
        return store, engine, list(backends.values())

    async def _close(self) -> None:
        await asyncio.gather(*(backend.aclose() for backend in self._backends))
        await self._store.aclose()

    async def _do(self, items: Sequence[Item]) -> None:
        several = {item.message_id: item.count for item in items if isinstance(item, Commands) and item.message_id}
        if several:
            await self._patiently(lambda: self._store.count_commands(several))
        commands = [item for item in items if isinstance(item, Commands)]
        await self._take([Arrived(*content, item.envelope) for item in commands for content in item.contents])
        for item in items:
            if isinstance(item, ActionRequest):
                await self._order(item)
            elif isinstance(item, Malformed):
                await self._reject(self._intake.rejection(item.content, item.message_id, item.reason))

    async def _take(self, arrived: Sequence[Arrived]) -> frozenset[str]:
        """Take in commands slice by slice: while Redis stores one, the next is judged and the first are worked on.

        Return the digests of those that are left to other workers.
        """
        until = asyncio.get_running_loop().time() + STORE_PATIENCE
        here, elsewhere = await self._patiently(lambda: self._handover.sort(arrived), until)
        times, known = await self._times(needed=any(one.timed for one in here)), self._handover.known
        left = Leftovers()
        storing: asyncio.Task[None] | None = None
        try:
            for start in range(0, len(here), SLICE):
                judged = [(one, self._judge(one, times, known)) for one in here[start : start + SLICE]]
                if storing is not None:
                    await storing
                keeping = self._keep(judged, until, left)
                if start + SLICE >= len(here):
                    await keeping
                else:
                    storing = asyncio.create_task(keeping)
                    await asyncio.sleep(0)
        finally:
            if storing is not None:
                await storing
        for rejection in left.rejected:
            await self._reject(rejection)
        return elsewhere | await self._patiently(lambda: self._handover.leave(left.newer))

    async def _keep(
        self, judged: Sequence[tuple[Arrived, Acceptance | Rejection]], until: float, left: Leftovers
    ) -> None:
        """Store what was accepted, and note what of it is `left` to be done."""
        taken = [(arrived, one) for arrived, one in judged if isinstance(one, Acceptance)]
        left.rejected += [one for _, one in judged if isinstance(one, Rejection)]
        verdicts = await self._patiently(lambda: self._engine.accept([one for _, one in taken]), until)
        for (arrived, one), accepted in zip(taken, verdicts, strict=True):
            if accepted.verdict == "conflict":
                left.rejected.append(self._intake.rejection(arrived.content, one.command_id, CONFLICT, one.signed))
            elif accepted.verdict == "newer":
                left.newer.append(arrived)
            elif one.signed is not None and accepted.verdict in SIGNATURE_VERDICTS:
                refused = SIGNATURE_VERDICTS[accepted.verdict](one.signed)
                left.rejected.append(reject_signed(arrived.content, one.command_id, refused))

    def _judge(self, one: Arrived, times: Sequence[datetime], known: frozenset[str]) -> Acceptance | Rejection:
        """Judge a command: if Redis's clock was stepped nobody knows whose time is right, so either may let it in."""
        verdict = self._intake.take(one.content, one.command_id, times[0], one.envelope, known)
        if len(times) == 1 or isinstance(verdict, Acceptance):
            return verdict
        return self._judge(one, times[1:], known)

    async def _times(self, *, needed: bool) -> Sequence[datetime]:
        """Return what `Store.times` does, where anything depends on it."""
        return await self._patiently(self._store.times) if self._intake.signatures.on or needed else (EPOCH,)

    async def _known(self, rejection: Rejection) -> bool:
        try:
            found = self._patiently(lambda: self._store.find_command(rejection.command_id, rejection.digest))
            return bool(await found)
        except CommandConflict:
            return False

    async def _reject(self, rejection: Rejection) -> None:
        if (rejection.expired or rejection.digest) and await self._known(rejection):
            return  # It was taken in while its signature held or its backend was served, and only came again.
        await self._patiently(lambda: self._store.reject(rejection))
        log.warning(
            "command.rejected",
            command_id=rejection.data["command_id"],
            backend=rejection.backend,
            reason=rejection.log_reason or rejection.reason,
            **verified(rejection.data.get("signed_by", "")),
        )

    async def _reject_arrived(self, one: Arrived, why: str) -> None:
        await self._reject(self._intake.rejection(one.content, one.command_id, why))

    async def _order(self, item: ActionRequest) -> None:
        times = await self._times(needed=item.envelope.expires is not None)
        if all(expired(item.envelope, now) for now in times):
            stranger = self._intake.is_stranger()
            await self._reject(outlived(item.content, item.message_id, item.envelope, stranger=stranger))
            return
        signed = None
        try:
            signed = await self._admit(item, times)
            signer = signed_by(signed)
            cancellation_id = await self._patiently(lambda: self._store.resolve(item.reference))
            backend = await self._patiently(lambda: self._give(item, cancellation_id, signer))
        except SignatureRejected as refused:
            await self._reject(reject_signed(item.content, item.message_id, refused))
            return
        except (UnknownCancellation, ActionRejected) as error:
            await self._reject(self._intake.rejection(item.content, item.message_id, str(error), signed))
            return
        log.info(
            f"cancellation.{item.order}",
            cancellation_id=cancellation_id,
            by=item.word,
            **verified(signer),
        )
        self._engine.wake(backend)

    async def _give(self, item: ActionRequest, cancellation_id: str, signer: str) -> str:
        more = {**item.more, "signing": int(self._intake.signatures.on)}
        whose = (cancellation_id, item.by, item.reason)
        return await self._store.act(item.order, *whose, signed_by=signer, message_id=item.message_id, more=more)

    async def _admit(self, item: ActionRequest, times: Sequence[datetime]) -> Signed | None:
        """Check an order's signature, its producer's right to the backend, and that it is used once.

        Return the signature; None where none is needed.
        """
        signed = self._check(item.content, times)
        if signed is None:
            return None
        if signed.backends is not None:
            found = await self._patiently(lambda: self._store.resolve(item.reference))
            seen = await self._patiently(lambda: self._store.get(found))
            if not signed.may_touch(seen.record.cancellation.backend):
                raise out_of_reach(signed)
        verdict = await self._patiently(lambda: self._store.use(signed, item.message_id))
        if verdict in SIGNATURE_VERDICTS:
            raise SIGNATURE_VERDICTS[verdict](signed)
        return signed

    def _check(self, content: object, times: Sequence[datetime]) -> Signed | None:
        try:
            return self._intake.signatures.check(content, times[0])
        except SignatureRejected:
            if len(times) == 1:
                raise
            return self._check(content, times[1:])

    async def _patiently(self, work: Callable[[], Awaitable[Result]], until: float | None = None) -> Result:
        """Try again while Redis is away, until the broker would redeliver the message anyway."""
        if until is None:
            until = asyncio.get_running_loop().time() + STORE_PATIENCE
        while True:
            try:
                return await work()
            except StoreUnavailable:
                if asyncio.get_running_loop().time() > until:
                    raise
                await asyncio.sleep(0.2)


def verified(producer: str) -> Mapping[str, str]:
    """Return what a log line tells of a producer whose signature was verified; nothing for none."""
    return {"signed_by": producer} if producer else {}


@cache
def _runtime(_pid: int) -> Runtime:
    settings = Settings.load().discovered()
    return Runtime(settings, deployment_of(settings))


def runtime() -> Runtime:
    """Return this process's runtime; it is built when first asked for, also in a forked child."""
    return _runtime(os.getpid())
