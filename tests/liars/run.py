"""`python -m tests.liars.run --lives 50000 --seed N`: run lives full of lies, and report what the product got wrong.

Exit 1 on findings. Each finding names the command that runs its life again and prints every call.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import multiprocessing
import queue
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.liars.lives import Lived, lived

EXAMPLES = 3
AT_ONCE = 120


@dataclass
class Tally:
    """The results of all lives so far."""

    lives: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[tuple[str, str]] = field(default_factory=Counter)
    bad: Counter[str] = field(default_factory=Counter)
    classes: Counter[str] = field(default_factory=Counter)
    faults: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    examples: dict[str, list[Lived]] = field(default_factory=lambda: defaultdict(list))
    found: list[Lived] = field(default_factory=list)
    findings: int = 0

    def take(self, one: Lived) -> None:
        """Count one life."""
        self.lives[one.place] += 1
        self.bad[one.place] += bool(one.findings)
        if one.findings:
            self.found.append(dataclasses.replace(one, trace=()))
        for outcome in one.outcomes:
            self.outcomes[one.place, outcome] += 1
        for name in {name for name, _ in one.findings}:
            self.findings += 1
            self.classes[name] += 1
            for fault in one.faults or ("mixed",):
                self.faults[name][fault] += 1
            if len(self.examples[name]) < EXAMPLES:
                self.examples[name].append(one)

    def table(self) -> str:
        """Return the result as text."""
        lines = ["", f"{'backend':12} {'lives':>7} {'with findings':>14}  outcomes"]
        for place, count in sorted(self.lives.items()):
            ends = ", ".join(f"{end} {n}" for (at, end), n in self.outcomes.most_common() if at == place)
            lines.append(f"{place:12} {count:7} {self.bad[place]:14}  {ends}")
        lines.append(f"{'all':12} {self.lives.total():7} {self.bad.total():14}")
        if self.classes:
            lines += ["", f"{'class of finding':28} {'lives':>6}  faults"]
        for name, count in self.classes.most_common():
            faults = ", ".join(f"{fault} {n}" for fault, n in sorted(self.faults[name].items(), key=_by_code))
            lines.append(f"{name:28} {count:6}  {faults}")
        return "\n".join(lines)

    def shown_examples(self) -> str:
        """Return a few findings of each class."""
        lines = []
        for name, lives in self.examples.items():
            lines += ["", f"{name}:"]
            for one in lives:
                text = next(text for found, text in one.findings if found == name)
                lines += [f"  {one.place}, {one.story}, {', '.join(one.lies) or 'no lie'}: {text}", f"    {one.replay}"]
        return "\n".join(lines)

    def as_json(self) -> dict[str, Any]:
        """Return the result as plain values, with the traces of the examples."""
        return {
            "lives": dict(self.lives),
            "classes": dict(self.classes),
            "faults": {name: dict(counts) for name, counts in self.faults.items()},
            "outcomes": {f"{place} {outcome}": count for (place, outcome), count in self.outcomes.items()},
            "found": [asdict(one) for one in self.found],
            "examples": {name: [asdict(one) for one in lives] for name, lives in self.examples.items()},
        }


def say(text: str) -> None:
    """Write a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _by_code(item: tuple[str, int]) -> tuple[str, int]:
    name = item[0]
    return name[:1], int(name[1:]) if name[1:].isdecimal() else 0


def _share(numbers: Sequence[int], seed: int, at_once: int, results: Any) -> None:
    """Run a process's share of the lives."""
    asyncio.run(lived(numbers, seed, at_once, results.put))
    results.put(None)


def run(numbers: Sequence[int], seed: int, processes: int, at_once: int) -> Tally:
    """Live these lives in several processes; return the tally."""
    context = multiprocessing.get_context("spawn")
    results: Any = context.Queue()
    shares = [numbers[at::processes] for at in range(processes)]
    workers = [context.Process(target=_share, args=(share, seed, at_once, results)) for share in shares]
    for worker in workers:
        worker.start()
    tally, left, since, shown = Tally(), len(workers), time.monotonic(), time.monotonic()
    while left:
        try:
            one = results.get(timeout=5.0)
        except queue.Empty:
            if not any(worker.is_alive() for worker in workers):
                raise RuntimeError("a process has died before its lives were over") from None
            continue
        if one is None:
            left -= 1
        else:
            tally.take(one)
        if time.monotonic() - shown > 10.0:
            shown = time.monotonic()
            count = tally.lives.total()
            rate = count / (shown - since)
            say(f"{count} of {len(numbers)} lives, {rate:.0f}/s, {tally.findings} findings")
    for worker in workers:
        worker.join()
    return tally


def replay(number: int, seed: int) -> bool:
    """Run one life again and print it; return whether something was found."""
    found: list[Lived] = []
    asyncio.run(lived([number], seed, 1, found.append, trace=True))
    (one,) = found
    say("\n".join(one.trace))
    for name, text in one.findings:
        say(f"FOUND   {name}: {text}")
    say(f"{len(one.findings)} findings; faults: {', '.join(one.faults) or 'mixed'}")
    return bool(one.findings)


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m tests.liars.run", description=__doc__)
    parser.add_argument("--lives", type=int, default=50_000)
    parser.add_argument("--seed", type=int, default=None, help="a fresh one by default; it is printed")
    parser.add_argument("--first", type=int, default=0, help="the number of the first life")
    parser.add_argument("--replay", type=int, metavar="NUMBER", help="live this one life again and print all of it")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--at-once", type=int, default=AT_ONCE, help="lives at once in each process")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the result there as well")
    options = parser.parse_args()
    seed = time.time_ns() % 1_000_000 if options.seed is None else options.seed
    if options.replay is not None:
        return int(replay(options.replay, seed))
    say(f"{options.lives} lives with seed {seed}")
    since = time.monotonic()
    tally = run(range(options.first, options.first + options.lives), seed, options.processes, options.at_once)
    say(tally.table())
    say(tally.shown_examples())
    took = time.monotonic() - since
    say(f"\n{tally.lives.total()} lives in {took:.0f} s, seed {seed}: {tally.findings} findings")
    if options.json:
        options.json.write_text(json.dumps(tally.as_json(), indent=1))
    return int(bool(tally.findings))


if __name__ == "__main__":
    sys.exit(main())
