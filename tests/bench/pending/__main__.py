"""`python -m tests.bench.pending`: what a million open cancellations cost, and whether that grows.

One deployment (a worker, the embedded Redis, a remote whose jobs stay in CANCELLING) grows from size to size by real
`worker.submit` messages of 500. Each command's job is asked to cancel and looked at once; its next look is most of a
day away. At each size, in this order:

memory     Redis's `used_memory` without its value when empty, connections, buffers and the stream of events, which is
           reported separately, per event; by kind of key from `MEMORY USAGE`. The worker's resident memory.
due        With a million open cancellations and normal waits, looks come due all the time; with the waits of a short
           benchmark, all at once or never. So the benchmark sets earlier due times for randomly chosen records: it
           writes to the schedule (`ZADD … XX LT`), at least 4 s ahead, one look every 1/--rate s, and nothing else; the
           product decides who claims them and when. "Late" is the time from the due time to the GET's arrival at the
           remote, on one clock.
lua        Redis's own times of the scripts, during `due` and while commands are taken in: see `redis.Scripts`.
bulk       --bulk looks come due at the same moment: calls per look. `--backend-line 'look_many = false'` adds a line to
           the backend's table; run with and without it.
rest       Nothing is due: CPU of worker and Redis, for over 60 s, because a worker does some things once a minute.
restart    The worker is stopped and started again with 200 looks overdue: the time from its start to its first call.
cost       --more further cancellations to their end, in --rounds, interleaved with a second deployment that stays at
           the first size: CPU of worker and Redis for each, and the ratio within each round.

Then Celery: one task per job that asks for the cancel and schedules its look by `eta`, as stock Celery does it.
"""

from __future__ import annotations

import argparse
import math
import sys
from typing import Any

from tests.bench.kit import report
from tests.bench.kit.report import Bar
from tests.bench.pending.celery import measure as measure_celery
from tests.bench.pending.cell import Pending, pending
from tests.bench.pending.report import bars, show, show_celery

Figures = dict[str, Any]


def measure(one: Pending, base: Pending, size: int, options: argparse.Namespace) -> Figures:
    """Grow to a size and measure everything there."""
    report.say(f"{size} open: taking in")
    taken = one.copy(size) if options.copy and one.open else one.fill(size)
    found: Figures = {"open": size, "take in": taken, "memory": one.weigh()}
    report.say(f"{size} open: {found['memory']['bytes each']:.0f} bytes each; looks come due")
    found["due"] = one.come_due(options.rate, options.seconds)
    found["bulk"] = one.bulk(options.bulk)
    if options.rest:
        report.say(f"{size} open: at rest")
        found["rest"] = one.rest(options.rest)
    found["worker RSS MiB after looks"] = one.weigh()["worker RSS MiB"]
    report.say(f"{size} open: a new start")
    found["restart"] = one.restart(options.overdue)
    found["cost"] = cost(one, base, options)
    return found


def cost(one: Pending, base: Pending, options: argparse.Namespace) -> list[dict[str, Figures]]:
    """Measure the cost of further cancellations here and at the first size, in turns."""
    rounds = []
    for number in range(options.rounds):
        pair = {"base": base, "here": one}
        order = ("base", "here") if number % 2 == 0 else ("here", "base")
        rounds.append({name: pair[name].cost(options.more) for name in order})
        both = {name: f"{found['worker and Redis ms']:.2f} ms" for name, found in rounds[-1].items()}
        report.say(f"{one.open} open: further ones cost {both['here']}, at {base.open} open {both['base']}")
    return rounds


def run(options: argparse.Namespace) -> list[Figures]:
    """Measure our sizes."""
    sizes = numbers(options.sizes)
    config = dict(word.split("=", 1) for word in options.redis_config)
    how = {"held": options.held, "config": config}
    found: list[Figures] = []
    if not sizes:
        return found
    with pending(options.backend_line, **how) as base, pending(options.backend_line, **how) as one:
        base.fill(sizes[0])
        for size in sizes:
            found.append(measure(one, base, size, options))
            report.write(options.json, "pending", options, {}, sizes=found)
    return found


def numbers(text: str) -> list[int]:
    """Read numbers that are separated by commas."""
    return sorted(int(word) for word in text.split(",") if word)


def main() -> int:
    """Read the command line, run, report."""
    parser = report.parser("pending", __doc__, rounds=3, n=0)
    parser.add_argument("--sizes", default="1000,10000,100000,1000000", help="numbers, with commas")
    parser.add_argument("--celery", default="1000,10000,50000", help="numbers, with commas; empty for none")
    parser.add_argument("--rate", type=float, default=150, help="looks that come due per second")
    parser.add_argument("--seconds", type=float, default=20, help="for so long")
    parser.add_argument("--bulk", type=int, default=5000, help="looks that come due at once")
    parser.add_argument("--rest", type=float, default=65, help="seconds at rest; 0: leave out")
    parser.add_argument("--overdue", type=int, default=200, help="overdue looks when the worker starts anew")
    parser.add_argument("--more", type=int, default=2000, help="further cancellations per round")
    parser.add_argument("--copy", action="store_true", help="take in the first size, copy the rest within Redis")
    parser.add_argument("--held", action="store_true", help="the force step of all is due and held: longer records")
    parser.add_argument("--backend-line", action="append", default=[], help="a line of TOML for the backend's table")
    parser.add_argument("--redis-config", action="append", default=[], metavar="NAME=VALUE", help="set in Redis")
    options = parser.parse_args()
    before = report.machine()
    sizes = run(options)
    celery = [measure_celery(size, options.rate, options.seconds) for size in numbers(options.celery)]
    found: list[Bar] = []
    if sizes:
        show(sizes)
        found = bars(sizes)
        report.bars(found)
    if celery:
        show_celery(celery)
    report.write(options.json, "pending", options, before, sizes=sizes, celery=celery, bars=found)
    return 0 if not any(math.isnan(bar.value) for bar in found) else 1


if __name__ == "__main__":
    sys.exit(main())
