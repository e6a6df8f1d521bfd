"""PURE: commands as CSV: a header, then a line for each job."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ...settings.problems import choices, suggestion
from .mistakes import Mistakes

JOB = "job_id"
PLAIN = (JOB, "backend", "verb", "reason", "requested_by", "command_id")
"""The columns that are fields of a command."""
GROUPS = ("labels", "params")
"""The fields that take a column for each of their keys: `labels.team`."""
SEPARATORS = (",", ";", "\t")
"""What programs write between columns."""


def separator_of(header: str) -> str:
    """Return what separates the columns of a header; empty if the line is not a header."""
    for separator in SEPARATORS:
        if JOB in (name.strip().strip('"') for name in header.split(separator)):
            return separator
    return ""


def csv_rows(
    lines: Iterator[str], skipped: int, separator: str, mistakes: Mistakes
) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield each record with the number of its first line; empty cells are left out."""
    # Line ends are restored, because those within quotes belong to a cell.
    reader = csv.reader((f"{line}\n" for line in lines), delimiter=separator, strict=True)
    header: list[str] | None = None
    while True:
        number = skipped + reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            told = "a quote that begins in it is never closed" if "end of data" in str(error) else str(error)
            mistakes.add(number, f"is not CSV: {told}")
            continue
        if header is None:
            header = [name.strip() for name in cells]
            if problems := header_problems(header):
                mistakes.add(number, "; ".join(problems))
                return
        elif len(cells) > len(header) or (len(cells) < len(header) and any(cell.strip() for cell in cells)):
            mistakes.add(number, f"has {len(cells)} cells, and the header has {len(header)}")
        elif any(cell.strip() for cell in cells):
            yield number, _fields(header, cells)


def header_problems(header: Sequence[str]) -> list[str]:
    """Say what is wrong with the names of the columns."""
    found = []
    for index, name in enumerate(header):
        group, dot, key = name.partition(".")
        if name in header[:index]:
            found.append(f"names the column {name[:64]!r} twice")
        elif name not in PLAIN and not (group in GROUPS and dot and key):
            known = f"{choices([*PLAIN, 'labels.KEY', 'params.KEY'])}{suggestion(name[:64], PLAIN)}"
            found.append(f"names a column {name[:64]!r}, which can only be {known}")
    return found


def _fields(header: Sequence[str], cells: Sequence[str]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for name, cell in zip(header, cells, strict=True):
        value = cell.strip()
        if not value:
            continue
        group, dot, key = name.partition(".")
        if dot:
            fields.setdefault(group, {})[key] = value
        else:
            fields[name] = value
    return fields
