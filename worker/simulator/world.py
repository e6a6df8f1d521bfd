"""Everything the simulator knows: jobs, switches, faults, tokens and the log of what was asked."""

from __future__ import annotations

import itertools
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .knobs import Knobs
from .tokens import Tokens

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .faults import Rule
    from .job import Job


@dataclass(frozen=True, slots=True)
class Entry:
    """One request as it was received. `at` is simulated time; `http` is None when no answer was sent."""

    number: int
    at: float
    system: str
    verb: str
    job_id: str
    method: str
    raw_path: str
    http: int | None
    effect: bool
    fault: str = ""


@dataclass(slots=True)
class World:
    """The simulator's whole memory."""

    knobs: Knobs = field(default_factory=Knobs)
    jobs: dict[tuple[str, str], Job] = field(default_factory=dict)
    faults: list[Rule] = field(default_factory=list)
    tokens: Tokens = field(default_factory=Tokens)
    journal: deque[Entry] = field(default_factory=deque)
    received: int = 0
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    """The numbers of submitted jobs."""
    _heirs: dict[tuple[str, str], set[str]] = field(default_factory=dict)

    def put(self, job: Job) -> Job:
        """Store a job, in place of an earlier version of it."""
        self.jobs[job.system, job.id] = job
        if job.parent:
            self._heirs.setdefault((job.system, job.parent), set()).add(job.id)
        return job

    def find(self, system: str, job_id: str, now: float) -> Job | None:
        """Find a job, unless its system denies that it exists."""
        job = self.jobs.get((system, job_id))
        return None if job is None or job.hidden(now) else job

    def visible(self, system: str, now: float) -> list[Job]:
        """List the jobs that a system shows, oldest first."""
        return [job for job in self.jobs.values() if job.system == system and not job.hidden(now)]

    def children(self, system: str, job_id: str) -> list[Job]:
        """List the direct children of a job, hidden ones too."""
        known = (self.jobs.get((system, heir)) for heir in sorted(self._heirs.get((system, job_id), ())))
        return [job for job in known if job is not None and job.parent == job_id]

    def family(self, system: str, job_id: str) -> list[Job]:
        """List a job and all its descendants, hidden ones too."""
        found = {job_id: job} if (job := self.jobs.get((system, job_id))) else {}
        parents = [job_id]
        for parent in parents:
            new = [child for child in self.children(system, parent) if child.id not in found]
            found.update({child.id: child for child in new})
            parents.extend(child.id for child in new)
        return list(found.values())

    def note(self, entry: Entry) -> None:
        """Append to the log, and drop its oldest lines beyond `all.log_lines`."""
        self.received = entry.number
        self.journal.append(entry)
        while len(self.journal) > self.knobs.all.log_lines:
            self.journal.popleft()

    def log(self, system: str = "", job_id: str | None = None, verb: str = "") -> list[Entry]:
        """Pick requests from the log, in order."""
        return [
            entry
            for entry in self.journal
            if system in ("", entry.system) and job_id in (None, entry.job_id) and verb in ("", entry.verb)
        ]
