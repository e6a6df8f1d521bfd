"""PURE: the ids of entries in a stream, such as 1700000000000-0."""

from __future__ import annotations


def stream_order(entry: str) -> tuple[int, int]:
    """Return what sorts entries by age: when one was written, in milliseconds by Redis's own clock, and its number.

    An empty id sorts before all others.
    """
    written, _, number = entry.partition("-")
    return int(written or 0), int(number or 0)
