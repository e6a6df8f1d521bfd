"""PURE: patterns of names, as Redis's `SCAN`, `HSCAN` and access rights take them."""

from __future__ import annotations

import re
from functools import partial

SPECIAL = re.compile(r"[*?\[\]\\]")
"""The characters with a special meaning."""


literal = partial(SPECIAL.sub, r"\\\g<0>")
"""Escapes a text, so that the pattern matches only that text."""
