"""The composition root: from settings to store, backends, intake and engine, and to one runtime in each process."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cache
from typing import TypeVar
from urllib.parse import parse_qsl, urlsplit

import structlog

from config.auth import (
    BasicAuth,
    BearerAuth,
    ClientCredentialsAuth,
    KeystoneAuth,
    NoAuth,
    OmlAuth,
    TokenAuth,
)
from config.backends import BackendConfig, Mrs, OracleEss, OracleMl, Sahara, load_backends
from config.celeryconfig import reconcile_queue
from config.errors import ConfigurationError
from config.settings import Settings
from worker.backends.auth import Basic, Bearer, Credential, StaticToken
from worker.backends.auth_tokens import ClientCredentials, Keystone, Oml
from worker.backends.base import Adapter, Request
from worker.backends.http import Http
from worker.backends.mrs import Mrs as MrsAdapter
from worker.backends.oracle_ess import OracleEss as OracleEssAdapter
from worker.backends.oracle_ml import OracleMl as OracleMlAdapter
from worker.backends.sahara import Sahara as SaharaAdapter
from worker.celery import app
from worker.connection import LoopThread, connect, connect_to
from worker.engine import Engine
from worker.errors import CancellerError, StoreUnavailable, UnknownCancellation
from worker.inbox import Bell, Commands, Item, Order, Refusal
from worker.intake import Door, Intake, reject
from worker.model import Force, Policy, Poll
from worker.reconcile import Backend
from worker.store import Retention, Store
from worker.taker import Taker
from worker.transitions import Acceptance, Rejection

log = structlog.get_logger(__name__)

Result = TypeVar("Result")

CONFLICT = "command_id: it is another command's, with another content"
STORE_PATIENCE = 10.0
"""Seconds that a task waits for Redis before it hands its message back; the broker redelivers after 15."""


def policy_of(config: BackendConfig, adapter: Adapter) -> Policy:
    """Return what a backend's configuration allows."""
    return Policy(
        steps=adapter.steps,
        force=Force(config.force),
        force_after=config.force_after,
        give_up_after=config.give_up_after,
        warn_after=config.warn_after,
        poll=Poll(config.poll.first, config.poll.max, config.poll.factor),
        timeout=config.timeout,
        gone_means_stopped=config.gone_means_stopped,
        probes=config.remote_probe is not None,
    )


def adapter_of(config: BackendConfig) -> Adapter:
    """Return the translation for a configured backend."""
    if isinstance(config, OracleEss):
        return OracleEssAdapter()
    if isinstance(config, OracleMl):
        return OracleMlAdapter(config.scripts, config.service or "")
    if isinstance(config, Mrs):
        return MrsAdapter(config.project_id, config.dialect, config.cluster_id or "")
    return SaharaAdapter(config.project_id, config.dialect)


def credential_of(config: BackendConfig) -> Credential | None:
    """Return the authentication of a configured backend; secrets are read when they are first needed."""
    auth = config.auth
    match auth:
        case NoAuth():
            return None
        case BearerAuth():
            return Bearer(auth.token.read)
        case TokenAuth():
            return StaticToken(auth.token.read)
        case BasicAuth():
            return Basic(auth.username.read, auth.password.read)
        case ClientCredentialsAuth():
            return ClientCredentials(
                auth.token_url, client_id=auth.client_id.read, client_secret=auth.client_secret.read, scope=auth.scope
            )
        case OmlAuth():
            token_url = auth.token_url or f"{config.base_url}/omlusers/api/oauth2/v1/token"
            return Oml(token_url, auth.username.read, auth.password.read)
        case KeystoneAuth():
            project_id = config.project_id if isinstance(config, Mrs | Sahara) else ""
            return Keystone(
                auth.url,
                auth.username.read,
                auth.password.read,
                user_domain=auth.user_domain,
                project_id=project_id,
            )


def http_of(config: BackendConfig, base_url: str, credential: Credential | None) -> Http:
    """Return what makes the calls of a configured backend."""
    return Http(
        base_url,
        credential=credential,
        timeout=config.timeout,
        max_reply=config.max_reply,
        ca_file=str(config.ca_file) if config.ca_file else None,
        client_cert=str(config.client_cert) if config.client_cert else None,
        client_key=str(config.client_key) if config.client_key else None,
    )


def probe_of(config: BackendConfig) -> Callable[[str], Awaitable[bool | None]] | None:
    """Return the question to a backend's second source, None where there is none."""
    remote = config.remote_probe
    if remote is None:
        return None
    parts = urlsplit(remote.url)
    http = http_of(config, f"{parts.scheme}://{parts.netloc}", None)

    async def probe(job_id: str) -> bool | None:
        path = tuple(part.replace("{job_id}", job_id) for part in parts.path.split("/")[1:])
        query = {name: value.replace("{job_id}", job_id) for name, value in parse_qsl(parts.query)}
        try:
            reply = await http.send(Request("GET", path, query))
        except CancellerError as error:
            log.warning("backend.probe_failed", url=f"{parts.scheme}://{parts.netloc}", error=str(error))
            return None
        return reply.status in remote.gone_when

    return probe


def backend_of(name: str, config: BackendConfig) -> Backend:
    """Return a backend that is ready to be worked on; call it in the loop that will work on it."""
    adapter = adapter_of(config)
    return Backend(
        name=name,
        adapter=adapter,
        policy=policy_of(config, adapter),
        calls=http_of(config, config.base_url, credential_of(config)),
        probe=probe_of(config),
        max_in_flight=config.max_in_flight,
        rate=config.rate or 0.0,
        breaker_failures=config.breaker.failures,
        breaker_pause=config.breaker.pause,
    )


def intake_of(configs: Mapping[str, BackendConfig]) -> Intake:
    """Return the judge of commands for the configured backends."""
    doors = {}
    for name, config in configs.items():
        adapter = adapter_of(config)
        doors[name] = Door(adapter, policy_of(config, adapter), config.require)
    return Intake(doors)


def store_of(settings: Settings, configs: Mapping[str, BackendConfig]) -> Store:
    """Return the store of this deployment."""
    longest = max((config.give_up_after for config in configs.values()), default=0.0)
    keep = Retention(settings.keep_events, settings.keep_records, settings.keep_dead_letters)
    return Store(connect(settings), settings.prefix, keep, longest)


def backends_of(settings: Settings) -> Mapping[str, BackendConfig]:
    """Read the backends file.

    Raises:
        ConfigurationError: it is not named, or holds mistakes; all of them are listed.

    """
    if settings.backends is None:
        raise ConfigurationError(["CANCELLER_BACKENDS: is not set: name the file that lists the backends"])
    return load_backends(settings.backends)


class Runtime:
    """All that one worker process has: a loop in a thread, and in it the store, the intake and the engine."""

    def __init__(self, settings: Settings, configs: Mapping[str, BackendConfig]) -> None:
        self._settings = settings
        self._intake = intake_of(configs)
        self._loop = LoopThread("canceller")
        self._store, self._engine, self._https = self._loop.call(self._build(configs))
        self._taker: Taker | None = None

    def start(self) -> None:
        """Start working on what is due, and taking in commands where the broker is a Redis."""
        self._loop.call(self._start())

    def stop(self, grace: float = 5.0) -> None:
        """Take nothing new from the schedule; let open calls end for `grace` seconds."""
        self._loop.call(self._stop(grace))

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
        broker = self._settings.redis_broker
        if broker is not None:
            redis = connect_to(broker)
            self._taker = Taker(redis, self._settings.queue, self._engine.worker, self._do)
            await self._taker.start()

    async def _stop(self, grace: float) -> None:
        if self._taker is not None:
            await self._taker.stop()
        await self._engine.stop(grace)

    async def _build(self, configs: Mapping[str, BackendConfig]) -> tuple[Store, Engine, list[Http]]:
        store = store_of(self._settings, configs)
        backends = {name: backend_of(name, config) for name, config in configs.items()}
        engine = Engine(store, backends, self._settings.slots, self._ring)
        return store, engine, [backend.calls for backend in backends.values() if isinstance(backend.calls, Http)]

    async def _close(self) -> None:
        await asyncio.gather(*(http.aclose() for http in self._https))
        await self._store.aclose()

    async def _ring(self, backend: str) -> None:
        """Tell other workers that there is more on a backend than this one can take."""
        queue = reconcile_queue(self._settings, backend)
        await asyncio.to_thread(app.send_task, "worker.reconcile", (backend,), queue=queue, expires=5, retry=False)

    async def _do(self, items: Sequence[Item]) -> None:
        await self._take([content for item in items if isinstance(item, Commands) for content in item.contents])
        for item in items:
            if isinstance(item, Order):
                await self._order(item)
            elif isinstance(item, Refusal):
                await self._refuse(reject(item.content, item.message_id, item.reason))
            elif isinstance(item, Bell):
                self._engine.wake(item.backend)

    async def _take(self, contents: Sequence[tuple[object, str]]) -> None:
        judged = [(content, self._intake.take(content, command_id)) for content, command_id in contents]
        taken = [(content, one) for content, one in judged if isinstance(one, Acceptance)]
        refused = [one for _, one in judged if isinstance(one, Rejection)]
        verdicts = await self._patiently(lambda: self._store.accept_all([one for _, one in taken]))
        for (content, one), accepted in zip(taken, verdicts, strict=True):
            if accepted.verdict == "conflict":
                refused.append(reject(content, one.command_id, CONFLICT))
        for rejection in refused:
            await self._refuse(rejection)
        for backend in {one.backend for _, one in taken}:
            self._engine.wake(backend)

    async def _refuse(self, rejection: Rejection) -> None:
        await self._patiently(lambda: self._store.reject(rejection))
        log.warning(
            "command.rejected",
            command_id=rejection.data["command_id"],
            backend=rejection.backend,
            reason=rejection.reason,
        )

    async def _order(self, item: Order) -> None:
        give = self._store.abort if item.order == "abort" else self._store.attest
        try:
            cancellation_id = await self._patiently(lambda: self._store.resolve(item.reference))
            backend = await self._patiently(lambda: give(cancellation_id, item.word))
        except UnknownCancellation as error:
            await self._refuse(reject(item.content, item.message_id, str(error)))
            return
        log.info(f"cancellation.{item.order}", cancellation_id=cancellation_id, by=item.word, open=bool(backend))
        self._engine.wake(backend)

    async def _patiently(self, work: Callable[[], Awaitable[Result]]) -> Result:
        """Try again while Redis is away, until the broker would redeliver the message anyway."""
        deadline = asyncio.get_running_loop().time() + STORE_PATIENCE
        while True:
            try:
                return await work()
            except StoreUnavailable:
                if asyncio.get_running_loop().time() > deadline:
                    raise
                await asyncio.sleep(0.2)


@cache
def _runtime(_pid: int) -> Runtime:
    settings = Settings.load().discovered()
    return Runtime(settings, backends_of(settings))


def runtime() -> Runtime:
    """Return this process's runtime; it is built when first asked for, also in a forked child."""
    return _runtime(os.getpid())
