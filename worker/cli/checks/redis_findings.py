"""PURE: what `check` finds about a Redis at work: rights, memory, workers, the queue, backends without a table."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .findings import Finding

SHOWN = 5
"""Refused calls that are named; the line that gives the rights covers all of them."""
FULL, NEARLY = 0.9, 0.75
"""Shares of Redis's memory: over the first, nothing new is taken in; over the second, a warning is due."""
MANY_LETTERS = 0.08
"""The share of the memory that dead letters may take up without a warning: from a tenth on, the oldest are dropped."""
MOST_OPEN = 1000
"""How many open cancellations of a backend are counted at most."""
CLUSTER = (
    "it is a node of a cluster, which is not supported (records and queue lie in different slots): name a server that "
    "is not in cluster mode, or sentinels"
)


@dataclass(frozen=True, slots=True)
class Letters:
    """The dead letters: how many, in how many bytes (None if Redis does not say), and how many are unsigned.

    Unsigned ones are counted only if commands are signed.
    """

    count: int
    size: int | None
    unsigned: int = 0


def is_cluster(info: Mapping[str, Any]) -> bool:
    """Whether a server is in cluster mode, by its INFO."""
    return bool(int(info.get("cluster_enabled", 0))) or info.get("redis_mode") == "cluster"


def rights_finding(what: str, refused: Mapping[str, str], line: str) -> Finding:
    """Judge which of the calls that workers make were refused."""
    if not refused:
        return Finding("ok", what, "a script, a blocking move, a subscription and a stream entry work as workers need")
    names = sorted(refused)
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    calls = f"{', '.join(names[:SHOWN])}{more}"
    return Finding(
        "wrong",
        what,
        f"it refuses {calls} ({refused[names[0]]}); to grant a user what workers need, and nothing else",
        line,
    )


def memory_finding(info: Mapping[str, Any], letters: Letters) -> Finding:
    """Judge how full Redis is, and how much of it dead letters take up."""
    used, most = int(info.get("used_memory", 0)), int(info.get("maxmemory", 0))
    size = "" if letters.size is None else f" in {_mib(letters.size)}"
    unsigned = f", {letters.unsigned} of them unsigned" if letters.unsigned else ""
    told = f"{letters.count} dead letter{'' if letters.count == 1 else 's'}{size}{unsigned}"
    if not most:
        return Finding("ok", "Redis memory", f"{_mib(used)} used, without a limit of its own; {told}")
    text = f"{used / most:.0%} of {_mib(most)} used; {told}"
    if used > FULL * most:
        return Finding(
            "wrong",
            "Redis memory",
            f"{text}: over {FULL:.0%} nothing new is taken in. Give it more memory, or drop dead letters",
        )
    if (letters.size or 0) > MANY_LETTERS * most:
        return Finding(
            "warning", "Redis memory", f"{text}: `canceller dead-letters list` shows them, `drop` frees them"
        )
    if used > NEARLY * most:
        return Finding("warning", "Redis memory", f"{text}: over {FULL:.0%} nothing new is taken in")
    return Finding("ok", "Redis memory", text)


def backend_findings(
    unserved: Iterable[str], nameless: Mapping[str, int], served: Collection[str]
) -> Iterator[Finding]:
    """Report backends that the file names but no living worker serves, and backends that it does not name.

    `nameless` counts the open cancellations of the latter; one of them may be in the file of a living worker, and so
    among the `served`.
    """
    for backend in unserved:
        text = "workers are running, but none knows it, so commands for it are rejected: restart them with this file"
        yield Finding("warning", f"backend {backend}", text)
    for backend, count in nameless.items():
        more = " or more" if count >= MOST_OPEN else ""
        several = f"{count}{more} cancellation{' is' if count == 1 else 's are'} open"
        if backend in served:
            who = "living workers with another file work on them; once those are gone nothing is called"
        else:
            who = "no living worker knows it, so nothing is called and each ends as timed_out at its deadline"
        text = f"{several}, and the backends file does not name it: {who}. Put it back, or abort them"
        yield Finding("warning", f"backend {backend}", text)


def _mib(size: int) -> str:
    return f"{size / 2**20:.1f} MiB"
