"""`python -m tests.liars.gateway`: a gateway answers 404 in front of every kind while many cancellations are open.

Meanwhile no cancellation may end, and operators must be told; afterwards all must end. Exit 1 otherwise.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.support.cell import Cell, cell

KINDS = {
    "ess": ("ess", 'kind = "oracle-ess"\nforce = "never"'),
    "oml": ("oml", 'kind = "oracle-ml"'),
    "mrs": ("mrs", 'kind = "mrs"\nproject_id = "p1"'),
    "mrs-v2": ("mrs", 'kind = "mrs"\ndialect = "v2"\nproject_id = "p1"\ncluster_id = "c1"'),
    "sahara": ("sahara", 'kind = "sahara"\nproject_id = "p1"'),
    "sahara-v2": ("sahara", 'kind = "sahara"\ndialect = "v2"\nproject_id = "p1"'),
}
AFTER = 60.0
"""Seconds after the outage by which all must have ended: at most the longest wait between polls."""


@dataclass(frozen=True, slots=True)
class Seen:
    """The result of one outage."""

    early: int
    outcomes: Counter[tuple[str, str]]
    overdue: int
    paused: frozenset[str]
    last: float
    """Seconds from the outage's end to the last end."""


def backends(warn_after: float, believe_after: float, keys: str) -> str:
    """Return a backends file with all kinds; `keys` are further lines of each."""
    common = f'auth = {{ type = "none" }}\nwarn_after = {warn_after}\nbelieve_after = {believe_after}\n{keys}'
    tables = (
        f'[backends.{name}]\nbase_url = "{{{system}}}"\n{kind}\n{common}' for name, (system, kind) in KINDS.items()
    )
    return "\n".join(tables)


def outage(one: Cell, jobs: int, seconds: float) -> Seen:
    """Ask for so many cancellations of each kind, put a gateway in front for so long, and return the result.

    The jobs stop only behind the gateway, so none ends before it is in place.
    """
    for name, (system, _) in KINDS.items():
        place: dict[str, Any] = {"project": "p1", "cluster": "c1"} if system in {"mrs", "sahara"} else {}
        for number in range(jobs):
            one.simulator.add_job(system, job_id(name, number), "stuck", **place)
    one.start_worker()
    for number in range(jobs):
        for name in KINDS:
            one.send("cancel", backend=name, job_id=job_id(name, number))
    total = jobs * len(KINDS)
    one.wait_until(lambda: len(one.of("cancel_sent")) >= total)
    one.simulator.add_fault("gateway")
    stop_all(one)
    begun = time.monotonic()
    one.wait_until(lambda: time.monotonic() - begun >= seconds, seconds + 30)
    early = len(one.of("finished"))
    cleared = time.time()
    one.simulator.clear_faults()
    one.wait_finished(total, AFTER + 30)
    ends = one.of("finished")
    return Seen(
        early=early,
        outcomes=Counter((end["outcome"], end["data"]["evidence"]) for end in ends),
        overdue=len(one.of("overdue")),
        paused=frozenset(event["backend"] for event in one.events if event["type"] == "canceller.backend.paused.v1"),
        last=max((datetime.fromisoformat(end["time"]).timestamp() for end in ends), default=0.0) - cleared,
    )


def stop_all(one: Cell) -> None:
    """Let all jobs obey the cancels that they have accepted."""
    world, now = one.simulator.world, one.simulator.clock.now()
    for job in list(world.jobs.values()):
        gone = None if job.deleted_at is None else now  # Oracle ML's only stop
        world.put(replace(job, life=replace(job.life, stuck=False, cancels_after=0.0), deleted_at=gone))


def job_id(backend: str, number: int) -> str:
    """Return a job's id; backends that share a system have different ids."""
    return str(1000 + number) if backend == "ess" else f"{backend}-{number}"


def wrong(seen: Seen, jobs: int) -> Iterator[str]:
    """Yield each promise that this outage broke."""
    total = jobs * len(KINDS)
    if seen.early:
        yield f"{seen.early} ended while the gateway was in front"
    if seen.outcomes != Counter({("cancelled", "reported"): total}):
        yield f"the ends are {dict(seen.outcomes)}"
    if seen.overdue != total:
        yield f"{seen.overdue} of {total} were told to be overdue"
    if seen.paused != KINDS.keys():
        yield f"only {sorted(seen.paused)} were paused"
    if seen.last > AFTER:
        yield f"the last one ended {seen.last:.1f} s after the gateway was through"


def main() -> int:
    """Run one outage with the product's own waits, and print the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=200, help="open cancellations of each kind")
    parser.add_argument("--seconds", type=float, default=90.0, help="how long the gateway is in front")
    options = parser.parse_args()
    poll = 'poll = { first = "2s", max = "60s" }'
    with tempfile.TemporaryDirectory() as directory, cell(Path(directory), backends(30.0, 120.0, poll)) as one:
        seen = outage(one, options.jobs, options.seconds)
    found = list(wrong(seen, options.jobs))
    sys.stdout.write(f"{seen}\n" + "".join(f"WRONG: {text}\n" for text in found))
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
