"""The read-only result backend for producers that use Celery: `Celery(backend="canceller+redis://host:6379/0")`.

A command's id is its Celery task id, so the task id finds what became of it. Nothing is ever written.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from queue import Empty, SimpleQueue
from typing import Any, Final

from celery import states
from celery.backends.base import BaseBackend
from celery.exceptions import ImproperlyConfigured
from celery.exceptions import TimeoutError as CeleryTimeout

from ..aio.loop_thread import LoopThread
from ..domain.errors import UnknownCancellation
from ..settings.env_file import process_environment
from ..settings.environment import Settings
from ..settings.errors import ConfigurationError
from ..store.codec import Snapshot
from .async_client import AsyncClient
from .ends import MessageEnd, Rejected, Result

log = logging.getLogger(__name__)

READ_ONLY: Final = "canceller's result backend only reads: it keeps no groups and no results of tasks of your own"
NO_CHORDS: Final = (
    "canceller takes no chords: send the commands, wait with ResultSet([...]).get(), then call the body yourself"
)
INTERVAL: Final = 0.5
"""Seconds between two calls of an `on_interval`, as in Celery; these calls read nothing."""

Meta = dict[str, Any]


class CancellerBackend(BaseBackend):
    """Reports what became of commands. One per process is enough for any number of threads; it survives forks."""

    supports_native_join = True
    supports_autoexpire = True

    def __init__(self, app: Any, url: str | None = None, **options: Any) -> None:
        super().__init__(app, url=url, **options)
        self._url = url
        self.thread_safe = True  # Celery would make one for each thread
        prefix = (app.conf.result_backend_transport_options or {}).get("prefix")
        self._client = AsyncClient(_settings(url, prefix))
        self._thread = LoopThread("canceller-results")
        self._warned = False

    def as_uri(self, include_password: bool = False) -> str:  # noqa: FBT001, FBT002 - Celery's signature
        """Return the URL; its credentials and query are left out unless `include_password`."""
        scheme, _, rest = (self._url or "").partition("://")
        if include_password or not rest:
            return f"canceller+{self._url}" if self._url else "canceller://"
        return f"canceller+{scheme}://{rest.rpartition('@')[2].partition('?')[0]}"

    def get_many(
        self,
        task_ids: Iterable[str],
        timeout: float | None = None,
        interval: float | None = INTERVAL,
        no_ack: bool = True,  # noqa: ARG002, FBT001, FBT002 - Celery's signature
        on_message: Callable[[Meta], object] | None = None,
        on_interval: Callable[[], object] | None = None,
        max_iterations: int | None = None,
        READY_STATES: Iterable[str] = states.READY_STATES,  # noqa: ARG002, N803
    ) -> Iterator[tuple[str, Meta]]:
        """Yield what became of commands as they end; all share one reader of the events."""
        ids = [str(one) for one in dict.fromkeys(task_ids)]
        now_or_never = timeout is not None and timeout <= 0
        if max_iterations or now_or_never:
            found: Iterable[Meta] = self._thread.call(_gathered(map(self._state, ids)))
        else:
            found = self._ended(ids, timeout, interval, on_interval)
        ready = 0
        for meta in found:
            if meta["status"] in states.READY_STATES:
                ready += 1
                if on_message is not None:
                    on_message(meta)
                yield meta["task_id"], meta
        if now_or_never and ready < len(ids):
            raise CeleryTimeout("The operation timed out.")

    def wait_for(
        self,
        task_id: str,
        timeout: float | None = None,
        interval: float | None = INTERVAL,
        no_ack: bool = True,  # noqa: FBT001, FBT002 - Celery's signature
        on_interval: Callable[[], object] | None = None,
    ) -> Meta:
        """Wait for a command's end.

        Raises:
            celery.exceptions.TimeoutError: it has not ended in time; it goes on.

        """
        ((_, meta),) = self.get_many([task_id], timeout, interval, no_ack, on_interval=on_interval)
        return meta

    def close(self) -> None:
        """Close all connections, for a program that ends its Celery object before itself."""
        self._thread.close(self._client.aclose)

    def ensure_chords_allowed(self) -> None:
        """Raise at once: a worker would only reject the chord later."""
        raise NotImplementedError(NO_CHORDS)

    def _get_task_meta_for(self, task_id: str) -> Meta:
        return self._thread.call(self._state(task_id))

    async def _state(self, task_id: str) -> Meta:
        try:
            return meta_of(task_id, await self._client.ends.look_at_message(task_id))
        except (Rejected, UnknownCancellation) as error:
            return _meta(task_id, states.FAILURE, error)

    def _ended(
        self,
        ids: list[str],
        timeout: float | None,
        interval: float | None,
        on_interval: Callable[[], object] | None,
    ) -> Iterator[Meta]:
        deadline = None if timeout is None else time.monotonic() + timeout
        ended: SimpleQueue[Meta | Exception] = SimpleQueue()
        waiting = self._thread.begin(_gathered(self._put_end(one, ended) for one in ids))
        waiting.add_done_callback(lambda done: ended.put(self._thread.closed_error()) if done.cancelled() else None)
        try:
            for _ in ids:
                meta = _next(ended, deadline, INTERVAL if interval is None else interval, on_interval)
                if isinstance(meta, Exception):
                    raise meta
                yield meta
        finally:
            waiting.cancel()

    async def _put_end(self, task_id: str, ended: SimpleQueue[Meta | Exception]) -> None:
        try:
            ended.put(meta_of(task_id, await self._client.ends.end_of_message(task_id)))
        except (Rejected, UnknownCancellation) as error:
            ended.put(_meta(task_id, states.FAILURE, error))
        except Exception as error:  # noqa: BLE001 - it is raised in the thread that waits
            ended.put(error)

    def _store_result(self, *_: Any, **__: Any) -> None:
        if not self._warned:
            self._warned = True
            log.warning("%s; give the app of your own tasks a result backend of its own, or ignore_result", READ_ONLY)

    def _nothing(self, _id: str) -> None:
        """Do nothing: a command's result is not the producer's alone, so it is not forgotten; there are no groups."""

    def _refused(self, *_: object) -> None:
        raise NotImplementedError(READ_ONLY)

    _forget = _restore_group = _nothing
    _save_group = _delete_group = _refused

    def __reduce__(self, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None) -> Any:
        return super().__reduce__(args, {**(kwargs or {}), "url": self._url})  # type: ignore[call-arg]  # Celery's own


def meta_of(task_id: str, found: MessageEnd | Snapshot | int | None) -> Meta:
    """Express in Celery's terms what is known of a message: its end, its cancellation, or how many commands it has."""
    if found is None:
        return _meta(task_id, states.PENDING)
    if isinstance(found, int):
        return _meta(task_id, states.STARTED, {"commands": found})
    if isinstance(found, Snapshot):
        cancellation = found.record.cancellation
        about = {"cancellation_id": cancellation.id, "raw_state": cancellation.progress.raw}
        return _meta(task_id, states.STARTED, about)
    if isinstance(found, list):
        return _meta(task_id, states.SUCCESS, [described(one) for one in found])
    return _meta(task_id, states.SUCCESS, described(found), found.data.get("finished_at"))


def described(end: Result | Rejected) -> dict[str, Any]:
    """Return what `get` returns for one command; among several, a rejected one is described and not raised."""
    if isinstance(end, Rejected):
        return {"outcome": "rejected", "evidence": "none", "safe_to_rerun": False, "detail": str(end)}
    return {name: getattr(end, name) for name in ("outcome", "evidence", "safe_to_rerun", "detail")}


def _meta(task_id: str, status: str, result: object = None, date_done: object = None) -> Meta:
    return {
        "task_id": task_id,
        "status": status,
        "result": result,
        "traceback": None,
        "children": [],
        "date_done": date_done,
    }


def _next(
    ended: SimpleQueue[Meta | Exception],
    deadline: float | None,
    interval: float,
    on_interval: Callable[[], object] | None,
) -> Meta | Exception:
    while True:
        left = None if deadline is None else max(0.0, deadline - time.monotonic())
        turn = left if on_interval is None else min(interval, interval if left is None else left)
        try:
            return ended.get(timeout=turn)
        except Empty:
            if on_interval is not None:
                on_interval()
            if deadline is not None and time.monotonic() >= deadline:
                raise CeleryTimeout("The operation timed out.") from None


async def _gathered(work: Iterable[Any]) -> list[Any]:
    return await asyncio.gather(*work)


def _settings(url: str | None, prefix: str | None) -> Settings:
    """Read only what concerns the results from the environment: a host's `REDIS_URL` may be for something else."""
    environment = process_environment()
    try:
        if url is None:
            return Settings.load(environment).discovered()
        prefix = prefix or environment.get("CANCELLER_PREFIX", "")
        return Settings.load({"REDIS_URL": url, "CANCELLER_PREFIX": prefix})
    except ConfigurationError as error:
        given = "canceller://" if url is None else "canceller+REDIS_URL"
        raise ImproperlyConfigured(f"result backend {given}: {error}") from None
