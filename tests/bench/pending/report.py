"""The tables and bars of the benchmark `pending`."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from functools import partial
from operator import itemgetter
from typing import Any

from tests.bench.kit.report import Bar, table

Figures = dict[str, Any]
Row = tuple[str, Callable[[Figures], Any]]

KIB = 1024.0
ENOUGH = 30
"""The number of calls of a script below which a p99 says nothing."""


def of(part: str, *names: str) -> list[Row]:
    """Return the rows for some figures of one measurement."""
    return [(f"{part}: {name}", partial(_figure, part, name)) for name in names]


def _figure(part: str, name: str, one: Figures) -> Any:
    return one.get(part, {}).get(name, math.nan)


def ratio(one: Figures) -> float:
    """Return the cost of further cancellations here, relative to the first size: the median of the rounds."""
    name = "worker and Redis ms"
    return statistics.median(float(pair["here"][name] / pair["base"][name]) for pair in one["cost"])


def _cost(one: Figures, where: str, name: str) -> float:
    return statistics.median(float(pair[where][name]) for pair in one["cost"])


ROWS: list[Row] = [
    *of("take in", "s to take in", "taken in per s", "s until all are asked", "asked and seen per s", "calls each"),
    *of("take in", "calls per s", "calls per s at most", "worker CPU ms each", "redis CPU ms each"),
    *of("memory", "bytes each", "stream bytes per event", "events each", "Redis resident MiB", "worker RSS MiB"),
    ("worker RSS MiB after the looks", lambda one: one["worker RSS MiB after looks"]),
    *of("due", "looks", "looks missing", "looks too many", "looks per s"),
    *of("due", "late p50 ms", "late p99 ms", "late max ms", "earliest ms"),
    *of("bulk", "looks", "looks per s", "calls for one job", "calls for a list", "calls per look"),
    *of("bulk", "worker CPU ms per look", "redis CPU ms per look"),
    *of("rest", "worker CPU ms per s", "redis CPU ms per s"),
    ("restart: s to the first call", lambda one: one["restart"]["s to the first call"]),
    ("restart: s to all overdue ones", lambda one: _last_called(one["restart"])),
    ("restart: fresh worker RSS MiB", lambda one: one["restart"]["fresh worker RSS MiB"]),
    ("cost: worker ms", lambda one: _cost(one, "here", "worker ms")),
    ("cost: Redis ms", lambda one: _cost(one, "here", "redis ms")),
    ("cost: ended per s", lambda one: _cost(one, "here", "per s")),
    ("cost: worker and Redis, here / first size", ratio),
]


def show(sizes: Sequence[Figures]) -> None:
    """Print what was measured at each size."""
    columns = ("open", *(f"{one['open']:,}" for one in sizes))
    table("Pending: what open cancellations cost", columns, [_row(name, of_one, sizes) for name, of_one in ROWS])
    kinds = list(sizes[0]["memory"]["by kind"])
    rows = [_row(kind, partial(_kind, kind), sizes) for kind in kinds]
    rows.append(("kept as", *(" ".join(f"{k}:{v}" for k, v in one["memory"]["encodings"].items()) for one in sizes)))
    table("Redis bytes of each open one, by kind of key", columns, rows)
    for part in ("take in", "due"):
        scripts = sorted({name for one in sizes for name in one[part]["scripts"]} - {"all"})
        rows = [("all: calls, p50 / p99 / p99.9", *(_together(one[part]["scripts"].get("all")) for one in sizes))]
        rows += [(f"{name}: noted", *(_times(one[part]["scripts"].get(name)) for one in sizes)) for name in scripts]
        title = f"Scripts, {part}: ms; of each the calls over 0.2 ms, p50 / p99 / max of those, and how many over 10 ms"
        table(title, columns, rows)


def show_celery(sizes: Sequence[Figures]) -> None:
    """Print the same for Celery's countdowns."""
    columns = ("waiting", *(f"{one['open']:,}" for one in sizes))
    names = [name for name in sizes[0] if name != "open"]
    rows = [_row(name, itemgetter(name), sizes) for name in names]
    table("Celery with countdowns, prefork -c 2", columns, rows)


def bars(sizes: Sequence[Figures]) -> list[Bar]:
    """Judge the largest size, and the growth up to it."""
    first, last = sizes[0], sizes[-1]
    at = f"at {last['open']:,}"
    scripts = [(name, one) for part in ("take in", "due") for name, one in last[part]["scripts"].items()]
    slowest = max(
        (one["p99 ms"] for name, one in scripts if name != "(others)" and one["calls"] >= ENOUGH), default=math.nan
    )
    resident = [one["worker RSS MiB after looks"] for one in sizes]
    return [
        Bar(f"KiB of Redis each, {at}", last["memory"]["bytes each"] / KIB, at_most=1.0),
        Bar(f"worker RSS MiB, {at}", resident[-1], at_most=150),
        Bar(f"worker RSS {at} / at {first['open']:,}", resident[-1] / resident[0], at_most=1.2),
        Bar(f"late p99 ms, {at}", last["due"]["late p99 ms"], at_most=500),
        Bar(f"s from a worker's start to its first call, {at}", last["restart"]["s to the first call"], at_most=5),
        Bar(f"cost of a further one, {at} / at {first['open']:,}", ratio(last), at_most=1.3),
        Bar(f"p99 ms of the slowest script, {at}", slowest, at_most=10),
    ]


def _kind(kind: str, one: Figures) -> Any:
    return one["memory"]["by kind"][kind]


def _last_called(restart: Figures) -> float:
    return next(float(value) for name, value in restart.items() if name.startswith("s to call "))


def _row(name: str, figure: Callable[[Figures], Any], sizes: Sequence[Figures]) -> tuple[str, ...]:
    return (name, *(_text(figure(one)) for one in sizes))


def _text(value: float) -> str:
    if math.isnan(value):
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.2f}"


def _times(one: Figures | None) -> str:
    if one is None:
        return "-"
    times = f"{one['p50 ms']:.2f} / {one['p99 ms']:.2f} / {one['max ms']:.2f}"
    return f"{one['calls']:.0f}: {times}; {one['over 10 ms']:.0f}"


def _together(one: Figures | None) -> str:
    if one is None:
        return "-"
    return f"{one['calls']:.0f}: {one['p50 ms']:.2f} / {one['p99 ms']:.2f} / {one['p99.9 ms']:.2f}"
