"""PURE: a number of things, in words."""

from __future__ import annotations


def counted(count: int, noun: str) -> str:
    """Write a number and a noun that takes an s in the plural: `1 job`, `2 jobs`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"
