"""The second source: asks whether a job's remote process is gone, at a URL that is used as it is written."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection
from urllib.parse import quote

import structlog

from ..backends.adapter import Reply
from ..domain.errors import CancellerError, InvalidCommand
from ..domain.polling import LONGEST_DELAY
from ..observability.outage import Seldom
from .client import Http

log = structlog.get_logger(__name__)

DOTS = frozenset({".", ".."})
"""Segments that lead out of a path; percent-encoding does not prevent that (RFC 3986, 5.2.4)."""


class Probe:
    """Asks the second source of the backend `name`.

    `http` makes the calls to its host, without a credential. `target` is what follows the host, encoded, with
    `{job_id}` in its path or query; `gone_when` holds the statuses that say that a process is gone.
    """

    def __init__(
        self,
        name: str,
        http: Http,
        target: str,
        gone_when: Collection[int],
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self.http = http
        self._target = target
        self._gone_when = gone_when
        self._monotonic = monotonic
        self._not_before = -math.inf
        self._seldom = Seldom(monotonic)

    async def reply(self, job_id: str) -> Reply:
        """Return what the source answers about a job.

        Raises CallUnanswered if it gives no answer, InvalidCommand for an id that would ask about something else.
        """
        target = self._target.replace("{job_id}", quote(job_id, safe=""))
        if not job_id or not DOTS.isdisjoint(target.partition("?")[0].split("/")):
            raise InvalidCommand("the job's id would lead outside the path of the probe's URL")
        return await self.http.get(target)

    async def ask(self, job_id: str) -> bool | None:
        """Say whether a job's process is gone; None if the source can't say, or has asked us to wait."""
        if self._monotonic() < self._not_before:
            return None
        try:
            reply = await self.reply(job_id)
        except CancellerError as error:
            found, why = None, str(error)
        else:
            found, why = self.meaning(reply.status), f"it answered {reply.status}"
            if reply.retry_after is not None and not reply.ok:
                found, why = None, f"{why} and asked us to wait"
                self._not_before = self._monotonic() + min(reply.retry_after, LONGEST_DELAY)
        if found is None and self._seldom.due():
            log.warning("backend.probe_can_not_tell", backend=self._name, error=why)
        return found

    def meaning(self, status: int) -> bool | None:
        """Say what a status means: True for gone, False (still there) for any other 2xx, None for anything else."""
        if status in self._gone_when:
            return True
        return False if 200 <= status < 300 else None  # noqa: PLR2004 - what 2xx means
