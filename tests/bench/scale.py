"""`python -m tests.bench.scale`: 1, 2 and 4 worker processes on one and on three backends, and what limits them.

`--n` cancellations, spread over the backends, go out in `worker.submit` messages of 500; each is a cancel call and a
look that shows the job cancelled. The clock runs from the first byte on the queue to the last `finished`. The remote,
each worker and Redis have one busy thread each, so a process that used nearly a whole core is the limit. If the shares
of all processes (this benchmark's too) add up to nearly all cores, the machine is the limit. Otherwise the limit is
waiting: for calls in flight (`max_in_flight` of a backend, over all workers), for Redis's answers, or for the last few
cancellations. Rounds are interleaved, and each run has a fresh deployment.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable
from functools import partial

from tests.bench.kit import report
from tests.bench.kit.cell import Cell, Meter, cell, ess, memory
from tests.bench.kit.events import count, redis_time, told, wait
from tests.bench.kit.remote import Remote
from tests.bench.kit.report import Run
from tests.bench.kit.send import FIRST, commands, prebuilt, push, submit

EVENTS_EACH = 3
"""accepted, cancel_sent, finished."""
FULL = 0.9
"""The share of a core, or of all cores, that counts as fully used."""


def run(options: argparse.Namespace, workers: int, backends: int) -> Run:
    """Measure one size."""
    n, in_flight = options.n, options.in_flight
    names = [f"ess{at}" for at in range(backends)]
    share = n // backends
    more = f'poll = {{ first = "0s" }}\nmax_in_flight = {in_flight}\n'
    with (
        Remote() as remote,
        cell("".join(ess(name, remote.base_url(name), more) for name in names), workers=workers) as one,
    ):
        orders = [order for ids in _ids(share) for name in names for order in commands(ids, name)]
        messages = prebuilt(lambda app: submit(app, orders))
        roles = {f"worker {at}": pid for at, pid in enumerate(one.worker_pids)}
        meter = Meter(**roles, redis=one.redis_pid, remote=remote.pid)
        with one.client() as client:
            began, before = redis_time(client), count(client)
            own = time.process_time()
            meter.start()
            push(client, messages)
            wait(client, before + len(orders) * EVENTS_EACH, 60 + n / 20)
            cpu = meter.spent() | {"bench": time.process_time() - own}
            found = told(client)
        if found.finished != len(orders) or set(found.outcomes) != {"cancelled"}:
            raise SystemExit(f"{found.finished} of {len(orders)} finished, as {dict(found.outcomes)}")
        cpu["workers"] = sum(cpu[role] for role in roles)
        return Run(name_of(workers, backends), len(orders), found.last_finished - began, cpu, _more(one))


def _ids(share: int) -> list[range]:
    """Split the ids into pieces that go to each backend in turn, so that all have work from the start."""
    return [range(FIRST + at, FIRST + min(share, at + 100)) for at in range(0, share, 100)]


def _more(one: Cell) -> dict[str, float]:
    return {"worker MiB": max(memory(pid) for pid in one.worker_pids) / 2**20}


def name_of(workers: int, backends: int) -> str:
    """Name one size."""
    return f"{workers}w-{backends}b"


def stopper(run: Run) -> str:
    """Name the limit of a run's speed."""
    single = {role: run.share(role) for role in run.cpu if role != "workers"}
    full = [
        f"{role} ({share:.2f} of a core)"
        for role, share in sorted(single.items(), key=lambda one: -one[1])
        if share >= FULL
    ]
    total, cores = sum(single.values()), os.cpu_count() or 1
    if total >= FULL * cores:
        full.append(f"the machine ({total:.2f} of {cores} cores)")
    return ", ".join(full) or f"nothing is full: it waits ({total:.2f} of {cores} cores used)"


def show(rounds: report.Rounds) -> None:
    """Print the table."""
    rows = []
    first = next(iter(rounds[0]))
    for name in rounds[0]:
        middle = sorted((one[name] for one in rounds), key=lambda run: run.rate)[len(rounds) // 2]
        each = "/".join(f"{middle.share(role):.2f}" for role in middle.cpu if role.startswith("worker "))
        cpu = [f"{middle.each(role):.2f}" for role in ("workers", "redis", "remote")]
        shares = [f"{middle.share(role):.2f}" for role in ("redis", "remote", "bench")]
        rate = report.spread(report.of(rounds, name, lambda run: run.rate), ".0f")
        times = report.spread(report.ratio(rounds, name, first))
        rows.append((name, rate, times, *cpu, each, *shares, stopper(middle)))
    columns = (
        "workers, backends",
        "cancellations/s",
        "x first",
        "workers ms",
        "Redis ms",
        "remote ms",
        "share of each worker",
        "Redis",
        "remote",
        "bench",
        "what stops it",
    )
    report.table("Scale: rate (median, least-most), CPU ms per cancellation, shares of a core", columns, rows)


def main() -> int:
    """Read the command line, run, report."""
    parser = report.parser("scale", __doc__, rounds=3, n=12_000)
    parser.add_argument("--workers", default="1,2,4", help="numbers, with commas")
    parser.add_argument("--backends", default="1,3", help="numbers, with commas")
    parser.add_argument("--in-flight", type=int, default=64, help="max_in_flight of each backend")
    options = parser.parse_args()
    before = report.machine()
    sizes = [(int(w), int(b)) for b in options.backends.split(",") for w in options.workers.split(",")]
    subjects: dict[str, Callable[[], Run]] = {name_of(w, b): partial(run, options, w, b) for w, b in sizes}
    rounds = report.interleaved(report.chosen(subjects, options.only), options.rounds)
    show(rounds)
    stops = [{name: stopper(run) for name, run in one.items()} for one in rounds]
    report.write(options.json, "scale", options, before, rounds=rounds, what_stops=stops)
    return 0


if __name__ == "__main__":
    sys.exit(main())
