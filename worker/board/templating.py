"""Templates: every text that they show is escaped, and what can't be seen in it is written as its escape."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ..observability.visible import visible
from . import assets

LONGEST = 2000
"""Characters of one text that are shown."""
DAY_TIME = "{:%Y-%m-%d %H:%M:%S} UTC"
"""A moment for people whose browser runs no script."""


def shown(value: object) -> object:
    """Return a value as a template may show it: a text on one line, without anything that hides or acts."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return visible(value if len(value) <= LONGEST else f"{value[:LONGEST]} (cut)")


def path_part(text: str) -> str:
    """Write a text as one part of a path or a query."""
    return quote(text.encode("utf-8", "replace"), safe="")


def milliseconds(at: datetime) -> int:
    """Return the milliseconds since 1970, for our script."""
    return int(at.timestamp() * 1000)


@lru_cache(maxsize=1)
def templates(deployment: str) -> Environment:
    """Return the templates of a board, each compiled once per process; `deployment` is how it is called."""
    found = Environment(
        loader=FileSystemLoader(assets.FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=shown,
    )
    found.filters |= {"part": path_part, "ms": milliseconds, "day_time": DAY_TIME.format, "iso": datetime.isoformat}
    found.globals |= {"cell": deployment, "asset": assets.asset}
    return found
