"""Plans as files: what a batch would do to each job, under a digest that shows whether anything was changed.

The first line is about the whole, each other line about one job. The digest covers what the lines say, in their order.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, Final

from ...domain.errors import CancellerError
from .files import writing
from .spool import Spool

FORMAT: Final = 1
LONGEST_LINE: Final = 10_000_000
"""The most bytes of a line: a job may have a thousand children."""
CONTENT: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"))
CHANGED: Final = "{} was edited or cut since it was written, so nothing is sent: make a new plan"
Line = Mapping[str, Any]


class NoPlan(CancellerError):
    """What was read is no plan that can be applied; the text says why."""


def first_line(header: Line, lines: Iterable[Line]) -> dict[str, Any]:
    """Return the first line of a plan: its header with the format and the digest of what it says, header included."""
    digest = hashlib.sha256(f"{FORMAT}\n{CONTENT.encode(dict(header))}\n".encode())
    for line in lines:
        digest.update(f"{CONTENT.encode(dict(line))}\n".encode())
    return {"plan": FORMAT, "digest": f"sha256:{digest.hexdigest()}", **header}


def write_plan(place: Path, first: Line, lines: Iterable[Line]) -> None:
    """Write a plan; until it is whole, what was there before stays. Raises FileError."""
    with writing(place) as file:
        for line in chain((first,), lines):
            file.write(json.dumps(line).encode() + b"\n")


def read_plan(source: BinaryIO, name: str, lines: Spool) -> Line:
    """Read a plan that is called `name`: return its first line, and put the others into `lines`.

    Raises:
        NoPlan: it is no plan, a newer version's, or was changed; `lines` must not be used then.

    """
    found = _objects(source, name)
    first = next(found, None)
    if first is None or "plan" not in first:
        raise NoPlan(f"{name} is not a plan: `canceller batch plan` makes one, or send it with --unplanned {name}")
    if first["plan"] != FORMAT:
        raise NoPlan(f"{name} is a plan of another version of Canceller: make a new one with `canceller batch plan`")
    for line in found:
        lines.add(line)
    header = {key: value for key, value in first.items() if key not in {"plan", "digest"}}
    if first.get("digest") != first_line(header, lines)["digest"]:
        raise NoPlan(CHANGED.format(name))
    return first


def _objects(source: BinaryIO, name: str) -> Iterator[dict[str, Any]]:
    begun = False
    while line := source.readline(LONGEST_LINE):
        try:
            found = json.loads(line) if not line.isspace() else {}
        except (ValueError, RecursionError):
            found = None
        if isinstance(found, dict):
            begun = True
            if found:
                yield found
        elif begun:
            raise NoPlan(CHANGED.format(name))
        else:
            return
