"""PURE: patterns of names, as Redis's `SCAN`, `HSCAN` and access rights take them."""

from __future__ import annotations

import re

SPECIAL = re.compile(r"[*?\[\]\\]")
"""The characters that mean something else than themselves."""


def literal(text: str) -> str:
    """Write a text as a pattern that only it matches."""
    return SPECIAL.sub(r"\\\g<0>", text)
