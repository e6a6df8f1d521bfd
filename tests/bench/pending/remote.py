"""The remote of the benchmark `pending`: ESS jobs that stay in CANCELLING for ever, and some that end.

`python -m tests.bench.pending.remote` prints its port. It stores nothing per job, so a million jobs take no memory:
jobs with ids below `ENDING` stay in CANCELLING, all others are CANCELLED. It counts looks at single jobs and lists
(`GET …/requests?q=…`). While told to record, it notes when each job was asked for, on the wall clock, which is also
Redis's on the same machine.
"""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections import Counter
from typing import Any
from urllib.parse import parse_qsl

from tests.bench.kit.remote import Served, reply, request, serve

ENDING = 5_000_000_000
"""The first id of the jobs that end."""
STUCK_SINCE = "2020-01-01T00:00:00.000Z"
NUMBER = re.compile(r"\d+")


def asked_for(query: str) -> list[str]:
    """Return the ids that a list's `q` names; none if it asks for a job's children, as no job has any."""
    return [] if query.startswith("absParentRequestId") else NUMBER.findall(query)


class Jobs:
    """All jobs, and the calls that came in."""

    def __init__(self) -> None:
        self._held = False
        self._reset()

    def answer(self, method: str, target: str) -> tuple[bytes, float]:
        """Return the reply to a request, and the delay in seconds after which it goes out."""
        path, _, query = target.partition("?")
        parts = path.split("/")
        if parts[1] == "_bench":
            return reply(json.dumps(self._control(parts[2], dict(parse_qsl(query))))), 0.0
        self._seconds[int(time.time())] += 1
        if method == "POST" and parts[-1] == "cancel":
            self._counts["cancels"] += 1
            return reply(f'{{"requestId":{parts[-2]},"links":[]}}'), 0.0
        if method == "GET" and parts[-2] == "requests" and parts[-1].isdecimal():
            self._counts["looks"] += 1
            return reply(self._look(parts[-1])), 0.0
        if method == "GET" and (parts[-1] == "requests" or parts[-2] == "search"):
            return reply(self._list(parts, dict(parse_qsl(query)))), 0.0
        return reply('{"title":"not served here"}', "404 Not Found"), 0.0

    def _look(self, job_id: str) -> str:
        if self._recording:
            self._asked.append((time.time(), job_id))
        if int(job_id) >= ENDING:
            return request(job_id, "CANCELLED", "CANCELLING", "OPERATOR_CANCEL")
        text = request(job_id, "CANCELLING", "RUNNING", "NON_TERMINAL")
        return re.sub(r'(?<="stateChangeTime":")[^"]+', STUCK_SINCE, text) if self._held else text

    def _list(self, parts: list[str], query: dict[str, str]) -> str:
        """Answer a list completely, on its first page."""
        ids = asked_for(query.get("q", "")) if parts[-1] == "requests" or parts[-1] == "0" else []
        self._counts["lists"] += 1
        self._counts["listed"] += len(ids)
        items = ",".join(self._look(job_id) for job_id in ids)
        return f'{{"items":[{items}],"count":{len(ids)},"hasMore":false}}'

    def _control(self, verb: str, settings: dict[str, str]) -> dict[str, Any]:
        if verb == "held":
            self._held = settings["held"] == "1"
        found = {**self._counts, "seconds": self._seconds, "asked": self._asked}
        self._reset()
        self._recording = verb == "record"
        return found

    def _reset(self) -> None:
        self._recording = False
        self._counts: dict[str, int] = {"cancels": 0, "looks": 0, "lists": 0, "listed": 0}
        self._seconds: Counter[int] = Counter()
        self._asked: list[tuple[float, str]] = []


class Remote(Served):
    """The server of this file, seen from the bench's own process."""

    MODULE = "tests.bench.pending.remote"

    def held(self, *, held: bool) -> None:
        """Set whether jobs have been CANCELLING for years, so that their force step is due, or only since now."""
        self.ask("held", {"held": int(held)})

    def record(self) -> None:
        """Reset the counts, and note each job that is asked for from now on."""
        self.ask("record", {})

    def count(self) -> None:
        """Reset the counts."""
        self.ask("count", {})

    def take(self) -> dict[str, Any]:
        """Return what was counted: `cancels`, `looks`, `lists`, `listed`, calls by second, and `asked`; reset all."""
        return self.ask("count", {})


if __name__ == "__main__":
    asyncio.run(serve(Jobs()))
