"""`python -m tests.bench.hang`: what one backend that hangs costs another one.

A deployment of real workers has two ESS backends. `sick` accepts connections and never answers; `well` answers at once
and notes when each job's cancel arrived. In *Alone*, commands for `well` go out one by one at a steady rate. In
*Beside*, `--n` commands for `sick` are taken in first, and then the same commands are sent to `well`. The time is
measured from just before `send_task("worker.cancel")` to the cancel's arrival at `well`, both on this machine's
monotonic clock.
Rounds are interleaved and each has a fresh deployment; a ratio is taken within each round, and over the calls of all
rounds together. `--seconds` should be over 35: the calls to `sick` time out after 10 s, then its breaker pauses it for
15 s, then it is tried again.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from typing import Any, cast

from tests.bench.kit import report
from tests.bench.kit.cell import Cell, Meter, cell, ess, memory, until
from tests.bench.kit.remote import Remote
from tests.bench.kit.report import Run
from tests.bench.kit.send import FIRST, commands, prebuilt, push, sender, submit
from tests.chaos.world import EVENTS

BAR = 2.0
OPEN = "{canceller}:open:"
WELL = 'poll = { first = "0s" }\n'
SICK = ""
"""All at the defaults of the product: 64 calls at once, 10 s each, a breaker of 10 failures."""
PACE_LOST = 0.25


class Hang:
    """The bench; keeps the time of every call for the figures over all rounds."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self.ways: dict[str, list[float]] = {"alone": [], "beside": []}

    def alone(self) -> Run:
        """Measure `well` with nothing else open."""
        return self._run("alone", 0)

    def beside(self) -> Run:
        """Measure `well` beside the backend that hangs."""
        return self._run("beside", self._options.n)

    def _run(self, subject: str, hanging: int) -> Run:
        with Remote() as sick, Remote() as well:
            sick.set("sick", delay="inf")  # type: ignore[arg-type]
            backends = ess("sick", sick.base_url("sick"), SICK) + ess("well", well.base_url("well"), WELL)
            with cell(backends, workers=self._options.workers) as one:
                taken_in = self._open(one, hanging)
                meter = Meter(worker=one.worker_pids, redis=one.redis_pid)
                began = time.monotonic()
                ways, late = self._send(one, well)
                seconds = time.monotonic() - began
                self.ways[subject] += ways
                more = {
                    "p50 ms": report.quantile(ways, 0.50),
                    "p99 ms": report.quantile(ways, 0.99),
                    "max ms": max(ways),
                    "s to take in": taken_in,
                    "calls to sick": float(sick.report("sick")["cancels"] + sick.report("sick")["looks"]),
                    "open on sick": float(_open(one, "sick")),
                    "sends behind schedule": float(late),
                    "worker MiB": max(memory(pid) for pid in one.worker_pids) / 2**20,
                    **_turns(one),
                }
                return Run(subject, len(ways), seconds, meter.spent(), more)

    def _open(self, one: Cell, hanging: int) -> float:
        """Have commands for the sick one taken in; return how long that took."""
        if not hanging:
            return 0.0
        orders = commands(range(FIRST, FIRST + hanging), "sick")
        messages = prebuilt(lambda app: submit(app, orders))
        began = time.monotonic()
        with one.client() as client:
            push(client, messages)
            until(lambda: _open(one, "sick") >= hanging, 300, f"{hanging} open on sick", every=0.1)
        return time.monotonic() - began

    def _send(self, one: Cell, well: Remote) -> tuple[list[float], int]:
        """Send at a steady rate; return the time from each command to its first call (ms), and the number sent late."""
        count, sent, late = int(self._options.rate * self._options.seconds), {}, 0
        with sender(one.broker) as app:
            app.send_task(
                "worker.cancel", kwargs={"backend": "well", "job_id": "1", "reason": "warm"}, queue="commands"
            )
            until(lambda: "1" in well.report("well")["cancelled"], 60, "the first call to well")
            began = time.monotonic()
            for index in range(count):
                due = began + index / self._options.rate
                time.sleep(max(0.0, due - time.monotonic()))
                order = commands([FIRST + index], "well")[0]
                sent[order["job_id"]] = time.monotonic()
                late += sent[order["job_id"]] - due > PACE_LOST / self._options.rate
                app.send_task("worker.cancel", kwargs=order, queue="commands")
            until(lambda: len(well.report("well")["cancelled"]) > count, 120, "the last call to well", every=0.2)
        called = well.report("well")["cancelled"]
        return [(called[job_id] - at) * 1000 for job_id, at in sent.items()], late


def _open(one: Cell, backend: str) -> int:
    with one.client() as client:
        return cast("int", client.hlen(OPEN + backend))


def _turns(one: Cell) -> dict[str, float]:
    """Count how often each backend was paused and resumed."""
    found: Counter[str] = Counter({"sick paused": 0, "sick resumed": 0, "well paused": 0})
    with one.client() as client:
        entries: Any = client.xrange(EVENTS)
    for _, fields in entries:
        raw = fields[b"event"]
        if b'"type":"canceller.backend.' in raw:
            event = json.loads(raw)
            found[f"{event['backend']} {event['type'].split('.')[2]}"] += 1
    return {name: float(count) for name, count in found.items()}


FIGURES = (
    "p50 ms",
    "p99 ms",
    "max ms",
    "s to take in",
    "open on sick",
    "calls to sick",
    "sick paused",
    "sick resumed",
    "well paused",
    "sends behind schedule",
    "worker MiB",
)
ROLES = ("worker", "redis")


def show(rounds: report.Rounds, ways: dict[str, list[float]]) -> list[report.Bar]:
    """Print the tables; return the bars."""
    subjects = list(rounds[0])
    rows = [(name, *(_figure(rounds, one, name) for one in subjects)) for name in FIGURES]
    rows += [(f"{role}: share of a core", *(_share(rounds, one, role) for one in subjects)) for role in ROLES]
    report.table("From send_task to the first call, median of the rounds (least-most)", ("", *subjects), rows)
    if len(subjects) == 1:
        return []
    found = []
    for name, share in (("p50", 0.50), ("p99", 0.99)):
        within = _ratio(rounds, f"{name} ms")
        whole = report.quantile(ways["beside"], share) / report.quantile(ways["alone"], share)
        text = f"{name} beside / alone: {report.spread(within)} by rounds, {whole:.2f} over all calls"
        sys.stdout.write(text + "\n")
        if name == "p99":
            found = [
                report.Bar("p99 beside / alone, median of rounds", within[0], at_most=BAR),
                report.Bar("p99 beside / alone, all calls", whole, at_most=BAR),
            ]
    return found


def _figure(rounds: report.Rounds, subject: str, name: str) -> str:
    return report.spread(report.of(rounds, subject, lambda run: run.more[name]), ".1f")


def _share(rounds: report.Rounds, subject: str, role: str) -> str:
    return report.spread(report.of(rounds, subject, lambda run: run.share(role)))


def _ratio(rounds: report.Rounds, name: str) -> tuple[float, float, float]:
    return report.over(rounds, lambda one: one["beside"].more[name] / one["alone"].more[name])


def main() -> int:
    """Read the command line, run, report."""
    parser = report.parser("hang", __doc__, rounds=3, n=10_000)
    parser.add_argument("--rate", type=float, default=20, help="commands per second to the well one")
    parser.add_argument("--seconds", type=float, default=40, help="how long they are sent")
    parser.add_argument("--workers", type=int, default=1)
    options = parser.parse_args()
    before = report.machine()
    bench = Hang(options)
    rounds = report.interleaved(
        report.chosen({"alone": bench.alone, "beside": bench.beside}, options.only), options.rounds
    )
    bars = show(rounds, bench.ways)
    report.bars(bars)
    report.write(options.json, "hang", options, before, rounds=rounds, ways_ms=bench.ways, bars=bars)
    return 0


if __name__ == "__main__":
    sys.exit(main())
