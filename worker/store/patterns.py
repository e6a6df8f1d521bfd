"""PURE: patterns of names, as Redis's `SCAN`, `HSCAN` and access rights take them."""

from __future__ import annotations

import re
from functools import partial

SPECIAL = re.compile(r"[*?\[\]\\]")
"""The characters that mean something else than themselves."""


literal = partial(SPECIAL.sub, r"\\\g<0>")
"""Writes a text as a pattern that only it matches."""
