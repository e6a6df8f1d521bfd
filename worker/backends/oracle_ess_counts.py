"""Whether a list of Oracle ESS is whole, by the counts on its pages."""

from __future__ import annotations

import re
from collections.abc import Sequence

from .adapter import Reply, whole_number

NO_COUNT = re.compile(r"(?:-[0-9]+(?:\.[0-9]+)?)?")
"""What a text for a `count` may be if the server has not counted."""
UNCOUNTED = "the list of children may be incomplete: its count can't be read"


def counted(reply: Reply) -> int | None:
    """Return what a page counts, whether in all or on itself is not documented; None if that can't be read.

    A page without a count is one that counts 0, and so is one with null, an empty text or a negative number for it.
    """
    told = (reply.data or {}).get("count")
    if isinstance(told, str):
        return 0 if NO_COUNT.fullmatch(told.strip()) else whole_number(told)
    return 0 if told is None or (isinstance(told, int | float) and told < 0) else whole_number(told)


def total(counts: Sequence[int | None]) -> int:
    """Return the most requests that a page has counted; 0 if none was counted."""
    return max(count or 0 for count in counts)


def lacking(counts: Sequence[int | None], shown: int | None) -> str:
    """Say why a list that was read to its end is not whole, empty if it is.

    `counts` has an entry for each page, None if its count can't be read. `shown` is how many requests the list has
    shown, None if that is not known.
    """
    if None in counts:
        return UNCOUNTED
    if shown is not None and total(counts) > shown:
        return f"the list of children is incomplete: it counts {total(counts)} and shows {shown}"
    return ""
