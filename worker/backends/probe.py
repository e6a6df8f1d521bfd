"""The second source: asks whether a job's remote process is gone, at a URL that is used as it is written."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from urllib.parse import quote

import structlog

from worker.backends.http import Http
from worker.errors import CallUnanswered

log = structlog.get_logger(__name__)

TOLD_EVERY = 60.0
"""Seconds from one warning of a source that can't tell to the next."""


class Probe:
    """Asks one second source.

    `http` makes the calls to its host, without a credential. `target` is what follows the host, encoded, with
    `{job_id}` in its path or query; `gone_when` holds the statuses that say that a process is gone.
    """

    def __init__(
        self, http: Http, target: str, gone_when: Collection[int], *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._http = http
        self._target = target
        self._gone_when = gone_when
        self._monotonic = monotonic
        self._told_at = -TOLD_EVERY

    async def status(self, job_id: str) -> int:
        """Return the status that the source answers about a job; raises CallUnanswered if it gives none."""
        return (await self._http.get(self._target.replace("{job_id}", quote(job_id, safe="")))).status

    async def ask(self, job_id: str) -> bool | None:
        """Say whether a job's process is gone; None where the source can't tell."""
        try:
            status = await self.status(job_id)
        except CallUnanswered as error:
            self._tell(str(error))
            return None
        found = self.meaning(status)
        if found is None:
            self._tell(f"it answered {status}")
        return found

    def meaning(self, status: int) -> bool | None:
        """Say what a status means: gone, or there if it is another 2xx; all else tells nothing of a process."""
        if status in self._gone_when:
            return True
        return False if 200 <= status < 300 else None  # noqa: PLR2004 - what 2xx means

    async def aclose(self) -> None:
        """Close all connections."""
        await self._http.aclose()

    def _tell(self, why: str) -> None:
        now = self._monotonic()
        if now - self._told_at >= TOLD_EVERY:
            self._told_at = now
            log.warning("backend.probe_can_not_tell", error=why)
