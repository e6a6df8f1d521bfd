"""`python -m tests.bench.board`: what a board with readers costs the workers, and itself.

One worker, two backends: `waiting`, with `--open` cancellations that stay open, and `ess`, for which `--n` commands are
sent in messages of 500. In *Alone*, nothing else runs. In *Beside*, a board runs, `--streams` browsers read its
overview, and its pages are requested again and again.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import math
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Self, cast

import httpx

from tests.bench.kit import report
from tests.bench.kit.cell import Cell, Meter, cell, ess, until
from tests.bench.kit.events import EVENTS_EACH, position, redis_time, told, wait
from tests.bench.kit.program import ROOT
from tests.bench.kit.remote import Remote
from tests.bench.kit.report import Bar, Run
from tests.bench.kit.send import FIRST, commands, prebuilt, push, submit
from tests.chaos.world import EVENTS
from worker.local.child_process import stop_all, tied

WAITING = 'rate = 0.001\npoll = { first = "0s" }\n'
OPEN = "{canceller}:open:waiting"
OTHERS = 10_000_000
"""The first job id of the cancellations that stay open."""
PAGE_EVERY = 0.5


@dataclass
class Browsers:
    """Streams of a board, and a reader that requests its pages; a context manager."""

    url: str
    count: int
    pages: list[float] = field(default_factory=list)
    """Seconds that each page took."""
    messages: int = 0
    _over: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Self:
        """Open all streams, and wait until each has shown something."""
        shown = [threading.Event() for _ in range(self.count)]
        self._threads = [threading.Thread(target=self._read, args=(one,), daemon=True) for one in shown]
        self._threads.append(threading.Thread(target=self._ask, daemon=True))
        for thread in self._threads:
            thread.start()
        until(lambda: all(one.is_set() for one in shown), 60, "each stream's first message")
        return self

    def __exit__(self, *_: object) -> None:
        """Stop requesting pages; the streams end with the board."""
        self._over.set()

    def figures(self) -> dict[str, float]:
        """Return what was seen of the pages and the streams."""
        pages = [1000 * seconds for seconds in self.pages]
        return {"page p50 ms": report.quantile(pages, 0.5), "page max ms": max(pages), "messages": float(self.messages)}

    def _read(self, shown: threading.Event) -> None:
        with contextlib.suppress(httpx.HTTPError), httpx.stream("GET", f"{self.url}/stream/overview", timeout=60) as it:
            it.raise_for_status()
            for line in it.iter_lines():
                if not line:  # the end of a message
                    self.messages += 1
                    shown.set()

    def _ask(self) -> None:
        with httpx.Client(base_url=self.url, timeout=60) as client:
            while not self._over.wait(PAGE_EVERY):
                for path in ("/", "/open"):
                    began = time.monotonic()
                    client.get(path).raise_for_status()
                    self.pages.append(time.monotonic() - began)


@contextlib.contextmanager
def board(one: Cell) -> Iterator[tuple[str, int]]:
    """Run a board; return its address and its process's id."""
    command = [sys.executable, "-m", "worker", "board", "--listen", "127.0.0.1:0", "--json"]
    process = subprocess.Popen(tied(command), cwd=ROOT, env=one.env, stdout=subprocess.PIPE)
    assert process.stdout
    try:
        yield json.loads(process.stdout.readline())["url"].rstrip("/"), process.pid
    finally:
        stop_all([process], 10)
        process.stdout.close()


def measure(options: argparse.Namespace, *, beside: bool) -> Run:
    """Measure the workers, with or without a board beside them."""
    with (
        Remote() as remote,
        cell(ess("waiting", remote.base_url(), WAITING) + ess("ess", remote.base_url())) as one,
        one.client() as client,
        contextlib.ExitStack() as stack,
    ):
        push(client, prebuilt(lambda app: submit(app, commands(range(OTHERS, OTHERS + options.open), "waiting"))))
        until(lambda: cast("int", client.hlen(OPEN)) >= options.open - 1, 300, f"{options.open} open", every=0.1)
        pids: dict[str, Any] = {"worker": one.worker_pids, "redis": one.redis_pid}
        browsers = None
        if beside:
            url, pid = stack.enter_context(board(one))
            browsers = stack.enter_context(Browsers(url, options.streams))
            pids["board"] = pid
        messages = prebuilt(lambda app: submit(app, commands(range(FIRST, FIRST + options.n))))
        events = cast("int", client.xlen(EVENTS)) + EVENTS_EACH * options.n
        meter, before, began = Meter(**pids), position(client), redis_time(client)
        push(client, messages)
        wait(client, events, 600)
        cpu, found = meter.spent(), told(client, before)
        more = browsers.figures() if browsers else {}
        return Run("beside" if beside else "alone", options.n, found.last_finished - began, cpu, more)


FIGURES: dict[str, tuple[str, Callable[[Run], float]]] = {
    "commands per second": (".0f", lambda run: run.rate),
    "worker: share of a core": (".2f", lambda run: run.share("worker")),
    "redis: share of a core": (".2f", lambda run: run.share("redis")),
    "board: share of a core": (".2f", lambda run: run.share("board")),
    "page p50 ms": (".0f", lambda run: run.more.get("page p50 ms", math.nan)),
    "page max ms": (".0f", lambda run: run.more.get("page max ms", math.nan)),
    "messages of streams": (".0f", lambda run: run.more.get("messages", math.nan)),
}


def show(rounds: report.Rounds) -> list[Bar]:
    """Print the table; return the bars."""
    rows = [
        (name, *(report.spread(report.of(rounds, subject, figure), form) for subject in rounds[0]))
        for name, (form, figure) in FIGURES.items()
    ]
    report.table("Workers beside a board, median of the rounds (least-most)", ("", *rounds[0]), rows)
    if "beside" not in rounds[0]:
        return []
    slowest, share = (
        report.of(rounds, "beside", FIGURES[name][1])[0] for name in ("page max ms", "board: share of a core")
    )
    return [
        Bar("beside / alone", report.ratio(rounds, "beside", "alone")[0], at_least=0.97),
        Bar("slowest page, ms", slowest, at_most=1000),
        Bar("board: share of a core", share, at_most=0.15),
    ]


def main() -> int:
    """Read the command line, run, report."""
    parser = report.parser("board", __doc__, rounds=3, n=20_000)
    parser.add_argument("--open", type=int, default=10_000, help="cancellations that stay open")
    parser.add_argument("--streams", type=int, default=20, help="browsers that read the overview")
    options = parser.parse_args()
    before = report.machine()
    subjects = {"alone": lambda: measure(options, beside=False), "beside": lambda: measure(options, beside=True)}
    rounds = report.interleaved(report.chosen(subjects, options.only), options.rounds)
    found = show(rounds)
    report.bars(found)
    report.write(options.json, "board", options, before, rounds=rounds, bars=found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
