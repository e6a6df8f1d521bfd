"""`python -m tests.bench.clean_up`: plan and apply as batches, compared with the same commands by `worker.submit`.

Two workers, one backend. `submit` sends `--n` cancels that expect a state, in messages of 500, in the batch lane;
`plan` is a batch of as many dry runs, `apply` one of as many cancels that expect a state. Each has jobs of its own.
During `apply`, single commands are sent in the lane `interactive`, ten a second: `p99` is the time from `send_task` to
their first call.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections.abc import Callable, Iterable
from itertools import count as numbers
from typing import Any, Self

from tests.bench.kit import report
from tests.bench.kit.cell import Cell, cell, ess
from tests.bench.kit.events import count, told, wait
from tests.bench.kit.remote import Remote
from tests.bench.kit.report import Bar, Run
from tests.bench.kit.send import FIRST, commands, prebuilt, push, send_each, sender, submit
from worker.client import BatchStatus, Client
from worker.settings.environment import Settings

LOOK_AND_STOP = 3
"""Events of a cancellation that goes well."""
EXPECTED = {"raw_state": "RUNNING"}
INTERACTIVE = 900_000_000
"""The first job id of the commands that are sent beside a batch."""
EVERY = 0.1


class Beside:
    """Sends single commands until the block ends, and knows when each was sent; a context manager."""

    def __init__(self, one: Cell, first: int) -> None:
        self.sent: dict[str, float] = {}
        self._app, self._first = sender(one.broker), first
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self._over.set()
        self._thread.join()
        self._app.close()

    def _run(self) -> None:
        for job_id in numbers(self._first):
            if self._over.wait(EVERY):
                return
            self.sent[str(job_id)] = time.monotonic()
            send_each(self._app, commands([job_id]))


class Place:
    """One deployment, on which all subjects run in turns."""

    def __init__(self, one: Cell, remote: Remote, options: argparse.Namespace) -> None:
        self._one, self._remote, self._n = one, remote, options.n
        self._max_open = options.max_open
        self._ids = numbers(FIRST)
        self._beside = numbers(INTERACTIVE, 100_000)
        self._client = Client(Settings.load(one.env))

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _next(self) -> Iterable[int]:
        return [next(self._ids) for _ in range(self._n)]

    def submit(self) -> Run:
        """Send single commands in chunks."""
        orders = commands(self._next(), lane="batch", expect=EXPECTED)
        messages = prebuilt(lambda app: submit(app, orders))
        with self._one.client() as client:
            before, began = count(client), time.monotonic()
            push(client, messages)
            wait(client, before + LOOK_AND_STOP * self._n, 60 + self._n / 20)
        return Run("submit", self._n, time.monotonic() - began)

    def plan(self) -> Run:
        """Look at as many jobs."""
        seconds, end = self._batch(dry_run=True)
        _check(end, "planned", self._n)
        return Run("plan", self._n, seconds)

    def apply(self) -> Run:
        """Cancel as many jobs, while single commands are sent."""
        with Beside(self._one, next(self._beside)) as beside:
            seconds, end = self._batch(expect=EXPECTED)
        _check(end, "cancelled", self._n)
        with self._one.client() as client:
            told(client)  # by then, all single commands have led to their first call
        called = self._remote.report()["cancelled"]
        late = [called[job_id] - at for job_id, at in beside.sent.items() if job_id in called]
        return Run("apply", self._n, seconds, more={"p99 ms": 1000 * report.quantile(late, 0.99)})

    def _batch(self, **fields: Any) -> tuple[float, BatchStatus]:
        orders = [{"verb": "cancel", **one} for one in commands(self._next(), **fields)]
        end = self._client.batch(orders, max_open=self._max_open).wait(60 + self._n / 20)
        assert end.ended_at
        return (end.ended_at - end.created_at).total_seconds(), end


def _check(end: BatchStatus, outcome: str, n: int) -> None:
    if end.counts.finished != {outcome: n}:
        raise SystemExit(f"the batch ended with {end.counts}")


def main() -> int:
    """Read the command line, run, report."""
    parser = report.parser("clean_up", __doc__, rounds=3, n=5_000)
    parser.add_argument("--max-open", type=int, default=1000, help="members that are open at once")
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    before = report.machine()
    with Remote() as remote, cell(ess("ess", remote.base_url()), workers=options.workers) as one:
        place = Place(one, remote, options)
        subjects: dict[str, Callable[[], Run]] = {
            "submit": place.submit,
            "plan": place.plan,
            "apply": place.apply,
        }
        rounds = report.interleaved(report.chosen(subjects, options.only), options.rounds)
        place.close()
    rows = [
        (name, report.spread(report.of(rounds, name, lambda run: run.rate), ".0f"), _p99(rounds, name))
        for name in rounds[0]
    ]
    report.table(
        "Clean-ups: jobs per second, ms to the first call of what is sent beside", ("", "per second", "p99 ms"), rows
    )
    bars = [
        Bar("apply over submit", report.ratio(rounds, "apply", "submit")[0], at_least=0.8),
        Bar("interactive p99 ms beside apply", report.of(rounds, "apply", _late)[0], at_most=300.0),
    ]
    report.bars(bars)
    report.write(options.json, "clean_up", options, before, rounds=rounds)
    return 0


def _late(run: Run) -> float:
    return run.more.get("p99 ms", float("nan"))


def _p99(rounds: report.Rounds, name: str) -> str:
    return report.spread(report.of(rounds, name, _late), ".0f")


if __name__ == "__main__":
    sys.exit(main())
