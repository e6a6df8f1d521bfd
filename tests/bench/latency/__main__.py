"""How long a command waits: `python -m tests.bench.latency --rounds 3`.

  call            from just before `send_task` to the POST's arrival at the remote
  stopped - told  from the moment when the job stopped to a consumer's receipt of its `finished` event (XREAD BLOCK)
  shown - told    the part of this that the worker and Redis take: from the reply that shows the stop to the event
each as p50 / p99 in ms, for
  idle      one command at a time on an idle system. Between two commands, one no-op task goes to each of two stock
            Celery workers, idle on Redis servers of their own (`noop prefork`: Celery's default pool, two children;
            `noop solo`: its leanest), timed from `send_task` to the task's first line. `poll.first` is 50 ms, so that
            each command is over soon; nobody reads the events meanwhile
  50, 300   that many commands a second, sent one by one by a separate process, without waiting for answers
  behind    interactive commands, 20 a second, while 100,000 commands of the `batch` lane are open on the same backend:
            their jobs never stop, so more looks are due all the time than the worker can make
One worker, one backend with the defaults except for `poll`: 0.5 s and no growth, which is "one poll interval" here.
Jobs stop between 0.2 and 1.2 s after their cancel. Times are `time.monotonic()`, the same in all processes.
CPU is per cancellation, while it is measured; in `behind` it includes the batch's looks. "Late" is the longest delay of
the sender: if it is large, the sender was the limit.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable

from tests.bench.kit.remote import Remote
from tests.bench.kit.report import Bar, Rounds, Run, bars, chosen, machine, over, parser, say, spread, table, write
from tests.bench.latency.subjects import Bench

COLUMNS = (
    "", "N", "call p50", "call p99", "stopped - told p50", "p99", "shown - told p50", "p99",
    "worker CPU ms", "Redis CPU ms", "remote CPU ms", "remote's core", "late",
)  # fmt: skip


def figure(rounds: Rounds, name: str, word: str) -> tuple[float, float, float]:
    """Return a figure's median, minimum and maximum."""
    return over(rounds, lambda one: one[name].more.get(word, math.nan) if name in one else math.nan)


def against(rounds: Rounds, peer: str, word: str) -> tuple[float, float, float]:
    """Return the ratio of the idle latency to a peer's, round by round."""
    return over(rounds, lambda one: one["idle"].more[word] / one[peer].more[word] if peer in one else math.nan)


def row(rounds: Rounds, name: str) -> tuple[str, ...]:
    """Return one subject's line."""
    words = ("call p50", "call p99", "told p50", "told p99", "shown to told p50", "shown to told p99")
    return (
        name,
        str(rounds[0][name].n),
        *(spread(figure(rounds, name, word), ".1f") for word in words),
        *(spread(over(rounds, lambda one, role=role: one[name].each(role))) for role in ("worker", "redis", "remote")),  # type: ignore[misc]
        spread(over(rounds, lambda one: one[name].share("remote") * 100), ".0f", " %"),
        spread(figure(rounds, name, "sender late"), ".0f"),
    )


def judged(rounds: Rounds, poll: float) -> list[Bar]:
    """Return the bars; a figure that was not measured is NaN."""
    names = list(rounds[0])
    behind = next((name for name in names if name.startswith("behind")), "behind")
    found = [
        Bar("idle: call p50, ms", figure(rounds, "idle", "call p50")[0], at_most=8),
        Bar("idle: call p99, ms", figure(rounds, "idle", "call p99")[0], at_most=20),
    ]
    for peer in ("noop prefork", "noop solo"):
        words = ("call p50", "call p99")
        found += [Bar(f"idle / {peer}: {word}", against(rounds, peer, word)[0], at_most=1.1) for word in words]
    found += [
        Bar("50 per second: call p99, ms", figure(rounds, "50 per second", "call p99")[0], at_most=60),
        Bar(f"{behind}: call p99, ms", figure(rounds, behind, "call p99")[0], at_most=300),
    ]
    for name in ("50 per second", "300 per second"):
        found.append(Bar(f"{name}: stopped - told p99, ms", figure(rounds, name, "told p99")[0], at_most=poll * 1000))
    return found


def measured(subjects: dict[str, Callable[[], dict[str, Run]]], count: int) -> Rounds:
    """Run A B C A B C."""
    rounds: Rounds = []
    for number in range(1, count + 1):
        rounds.append({})
        for subject in subjects.values():
            for name, run in subject().items():
                rounds[-1][name] = run
                p50, p99 = run.more["call p50"], run.more["call p99"]
                say(f"round {number}/{count}  {name}: call p50 {p50:.1f} ms, p99 {p99:.1f} ms")
    return rounds


def main() -> int:
    """Read the command line, measure, report."""
    options = arguments()
    before = machine()
    with Remote() as remote:
        bench = Bench(remote, options.n, options.seconds, options.open, options.behind_rate, options.poll)
        subjects = {
            "idle": bench.idle,
            "50": lambda: bench.steady(50),
            "300": lambda: bench.steady(300),
            "behind": bench.behind,
        }
        rounds = measured(chosen(subjects, options.only), options.rounds)
    title = f"Latency in ms: median (least-most) of {options.rounds} rounds; CPU per cancellation"
    table(title, COLUMNS, [row(rounds, name) for name in rounds[0]])
    found = judged(rounds, options.poll)
    bars(found)
    write(options.json, "latency", options, before, rounds=rounds, bars=found)
    return 0


def arguments() -> argparse.Namespace:
    """Read the command line."""
    made = parser("latency", __doc__, rounds=3, n=200)
    made.add_argument("--seconds", type=float, default=20, help="how long to send at a steady rate")
    made.add_argument("--poll", type=float, default=0.5, help="seconds from one look to the next")
    made.add_argument("--open", type=int, default=100_000, help="batch commands that are open behind which others come")
    made.add_argument("--behind-rate", type=float, default=20, help="interactive commands per second before them")
    return made.parse_args()


if __name__ == "__main__":
    sys.exit(main())
