"""How many cancellations per second, and what one costs: `python -m tests.bench.throughput --rounds 5`.

Each is a cancel that the backend confirms at the first look: POST, GET, `finished` event. Measured are
  chunks    Canceller, fed in `worker.submit` messages of 500, each by a real `send_task`
  singly    the same with `look_many = false`: exactly the calls that the bare loop makes
  waits     the same with a `poll.first` of 1 s, as long as the peers wait: each look is in a later pass
  pair      chunks with two worker processes, one per core, as `canceller up` starts them on this machine
  messages  Canceller, fed in one `worker.cancel` message each: prebuilt, and pushed in bulk (see `kit.send`)
  intake    the same, for a backend that may not be called: how fast commands are accepted without other work
  bare      an asyncio loop with the same client (`worker.http.client`) that makes the same calls and stores nothing
  bare httpx   the bare loop with httpx's own client over aiohttp
  retry     the usual pattern: a Celery task with `self.retry(countdown=1)` and sync httpx, `prefork -c 2`
  arq, dbos with `--peers arq,dbos`: see `peers/`; they need packages of their own (`peers/requirements.txt`), in
            this environment or in that of `--peer-python`

To be fair: one worker process except in `pair`; one backend; `max_in_flight` equals the bare loop's calls at once (64,
the default). Canceller's `poll.first` is 0, the least that the backends file allows, because the bare loop does not
wait at all: the look is then made in the pass that makes the call. The peers wait the 1 s that their pattern needs. It
counts in their time, as it does in `waits`, so N should be large enough for them. Every run gets an empty Redis
(embedded, AOF everysec) and new workers, is warmed up, and is idle when the clock starts. The time runs from just
before the first message is sent to the last `finished` event, by Redis's own clock. It includes the time for sending
but not its CPU, which another process uses (DBOS enqueues in the process that works). CPU is user and system time from
/proc of the working processes, of Redis and of the remote, over the same time. "Beyond the bare loop" is the worker's
CPU minus the bare loop's in the same round: the cost of durability. Redis is reached through a Unix socket. Runs go
A B C A B C, ratios are taken within a round, and medians over rounds are shown with minimum and maximum. A run counts
only if each job was cancelled once and ended once.

To see where one cancellation's CPU time goes: start a run with `--only chunks --n 20000`, then during it run
  py-spy record -d 10 -r 500 --gil -f raw -o /tmp/worker.txt --pid $(pgrep -n -f 'celery -A worker worker')
and read the stacks, or `-f flamegraph -o worker.svg` (without `--gil` it includes the waiting in the selector).
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable, Mapping

from tests.bench.kit.remote import Remote
from tests.bench.kit.report import (
    Bar,
    Rounds,
    Run,
    bars,
    chosen,
    interleaved,
    machine,
    over,
    parser,
    ratio,
    spread,
    table,
    write,
)
from tests.bench.throughput.subjects import Bench

COLUMNS = (
    "", "N", "per second", "x bare", "x retry", "worker CPU ms", "beyond the bare loop", "Redis CPU ms",
    "remote CPU ms", "remote's core", "looks each",
)  # fmt: skip


OURS = ("chunks", "singly", "waits", "pair", "messages")

Figure = Callable[[Mapping[str, Run]], float]


def beyond(name: str) -> Figure:
    """Return by how many CPU milliseconds a subject exceeds the bare loop in the same round."""
    return lambda one: one[name].each("worker") - one["bare"].each("worker") if "bare" in one else math.nan


def row(rounds: Rounds, name: str) -> tuple[str, ...]:
    """Return one subject's row, without figures that don't compare: intake makes no calls, peers have other clients."""
    whole = name != "intake"
    return (
        name,
        str(rounds[0][name].n),
        spread(over(rounds, lambda one: one[name].rate), ".0f"),
        spread(ratio(rounds, name, "bare")) if whole else "-",
        spread(ratio(rounds, name, "retry"), ".1f") if whole else "-",
        spread(over(rounds, lambda one: one[name].each("worker"))),
        spread(over(rounds, beyond(name))) if name in OURS else "-",
        spread(over(rounds, lambda one: one[name].each("redis"))),
        spread(over(rounds, lambda one: one[name].each("remote"))),
        spread(over(rounds, lambda one: one[name].share("remote") * 100), ".0f", " %"),
        spread(over(rounds, lambda one: one[name].more.get("looks per cancellation", math.nan))),
    )


def judged(rounds: Rounds) -> list[Bar]:
    """Return the bars; a figure that was not measured is NaN."""

    def cost(figure: Figure, name: str) -> float:
        return over(rounds, figure)[0] if name in rounds[0] else math.nan

    def accepted(one: Mapping[str, Run]) -> float:
        return one["messages"].more["accepted per second"]

    def alone(one: Mapping[str, Run]) -> float:
        return one["intake"].rate

    found = [Bar("chunks / bare loop, one process each", ratio(rounds, "chunks", "bare")[0], at_least=0.80)]
    found.append(Bar("chunks / bare loop, a worker per core", ratio(rounds, "pair", "bare")[0], at_least=0.80))
    found.append(Bar("chunks / bare loop with httpx's client", ratio(rounds, "chunks", "bare httpx")[0], at_least=0.80))
    found.append(Bar("chunks / retry pattern", ratio(rounds, "chunks", "retry")[0], at_least=8))
    found.append(Bar("chunks / DBOS on SQLite", ratio(rounds, "chunks", "dbos")[0], at_least=15))
    found.append(Bar("messages: accepted per second, while working", cost(accepted, "messages"), at_least=2000))
    found.append(Bar("intake: accepted per second", cost(alone, "intake"), at_least=2000))
    found.append(Bar("messages / chunks", ratio(rounds, "messages", "chunks")[0], at_least=0.5))
    for name in OURS:
        found.append(Bar(f"{name}: worker CPU ms beyond the bare loop", cost(beyond(name), name), at_most=0.45))
        redis = cost(lambda one, name=name: one[name].each("redis"), name)  # type: ignore[misc]
        found.append(Bar(f"{name}: Redis CPU ms", redis, at_most=0.25))
    return found


def main() -> int:
    """Read the command line, measure, report."""
    options = arguments()
    before = machine()
    sys.stdout.write(", ".join(f"{name} {value}" for name, value in before.items()) + "\n")
    with Remote() as remote:
        bench = Bench(remote, options.n, options.peer_n, options.in_flight, options.peer_python)
        subjects = chosen(
            {
                "chunks": bench.chunked,
                "singly": lambda: bench.variant("singly", "look_many = false"),
                "waits": lambda: bench.variant("waits", 'poll = { first = "1s" }'),
                "pair": lambda: bench.variant("pair", workers=2),
                "messages": bench.single,
                "bare": bench.bare,
                "bare httpx": lambda: bench.bare("bare httpx", "httpx"),
                "intake": bench.intake,
                "retry": bench.retry,
            },
            options.only,
        )
        further = {"arq": bench.arq, "dbos": bench.dbos}
        subjects |= {name: further[name] for name in options.peers.split(",") if name}
        rounds = interleaved(subjects, options.rounds)
    table(
        f"Throughput: median (least-most) of {options.rounds} rounds; CPU per cancellation",
        COLUMNS,
        [row(rounds, name) for name in subjects],
    )
    found = judged(rounds)
    bars(found)
    write(options.json, "throughput", options, before, rounds=rounds, bars=found)
    return 0


def arguments() -> argparse.Namespace:
    """Read the command line."""
    made = parser("throughput", __doc__, rounds=5, n=6000)
    made.add_argument("--peer-n", type=int, default=1000, help="N for retry and arq; DBOS gets a third")
    made.add_argument("--in-flight", type=int, default=64, help="calls at once, in Canceller and in the bare loop")
    made.add_argument("--peers", default="", help="further peers: arq,dbos")
    made.add_argument("--peer-python", default=sys.executable, help="the Python that has the peers' packages")
    return made.parse_args()


if __name__ == "__main__":
    sys.exit(main())
