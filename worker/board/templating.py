"""Templates: every text that they show is escaped, and invisible characters are written as escape sequences."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ..observability.visible import visible
from . import assets

LONGEST = 2000
"""The most characters of one text that are shown."""
DAY_TIME = "{:%Y-%m-%d %H:%M:%S} UTC"
"""How a moment is shown in browsers that run no scripts."""


def shown(value: object) -> object:
    """Return a value as a template may show it: text on one line, without characters that hide or control anything."""
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return visible(value if len(value) <= LONGEST else f"{value[:LONGEST]} (cut)")


def path_part(text: str) -> str:
    """Encode a text as one part of a path or a query."""
    return quote(text.encode("utf-8", "replace"), safe="")


def milliseconds(at: datetime) -> int:
    """Return the milliseconds since 1970, for our script."""
    return int(at.timestamp() * 1000)


@lru_cache(maxsize=1)
def templates(deployment: str) -> Environment:
    """Return the templates of a board, each compiled once per process; `deployment` is its name."""
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
