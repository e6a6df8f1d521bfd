"""What a command writes: tables on a terminal, plain lines in a pipe, JSON where asked for."""

from __future__ import annotations

import dataclasses
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import msgspec
from rich.cells import cell_len
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from config.streams import json_for
from worker.errors import StoreUnavailable
from worker.facts import text as iso

COLOURS = {
    "cancelled": "green",
    "force_cancelled": "green",
    "deleted": "green",
    "already_finished": "green",
    "completed_anyway": "green",
    "not_found": "yellow",
    "aborted": "yellow",
    "timed_out": "red",
    "refused": "red",
    "rejected": "red",
    "ok": "green",
    "warning": "yellow",
    "wrong": "red",
}
"""One word, one colour, everywhere."""
PIPE_WIDTH = 160
GAP, LEAST_TEXT = 2, 20
"""Columns between a table's columns, and the least that its last one, the longest, may be folded to."""


def jsonable(value: Any) -> Any:
    """Turn our values into what JSON has; times as the events write them."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {item.name: jsonable(getattr(value, item.name)) for item in dataclasses.fields(value)}
    if isinstance(value, msgspec.Struct):
        return {name: jsonable(getattr(value, name)) for name in value.__struct_fields__}
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, Mapping):
        return {str(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [jsonable(item) for item in value]
    return value


def coloured(text: str) -> Text:
    """Return a text in the colour of its first word, if that has one."""
    first = re.match(r"\w*", text)
    return Text(text, style=COLOURS.get(first[0] if first else "", ""))


class Meter:
    """Counts what is done of long work; silent where nobody looks."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress = progress
        self._task = task

    def advance(self, count: int = 1) -> None:
        """Count so many more as done."""
        self._progress.advance(self._task, count)


class Output:
    """Where a command writes to; `json` is one object per line."""

    def __init__(self, *, as_json: bool = False) -> None:
        self.json = as_json
        # In a pipe nobody's window is too narrow for a table.
        self.out = Console(
            highlight=False, markup=False, emoji=False, width=None if sys.stdout.isatty() else PIPE_WIDTH
        )
        self.err = Console(stderr=True, highlight=False, markup=False, emoji=False)

    @property
    def on_terminal(self) -> bool:
        """Whether somebody looks at the output."""
        return self.out.is_terminal and not self.json

    def object(self, value: Any) -> None:
        """Write one JSON object on a line."""
        sys.stdout.write(json_for(sys.stdout, json.dumps(jsonable(value), ensure_ascii=False)) + "\n")
        sys.stdout.flush()

    def line(self, text: str | Text) -> None:
        """Write one line, however long."""
        self.out.print(text, soft_wrap=True)

    def note(self, text: str) -> None:
        """Tell something beside the result."""
        self.err.print(text, soft_wrap=True)

    def troubled(self, error: StoreUnavailable) -> None:
        """Tell that Redis can't be asked, and that this ends no wait."""
        self.note(f"{error}; the wait goes on")

    def rows(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Write a table on a terminal, tab-separated lines in a pipe."""
        if not self.on_terminal:
            sys.stdout.writelines("\t".join(row) + "\n" for row in rows)  # rich would make spaces of the tabs
            return
        if not rows:
            return
        table = Table(box=None, pad_edge=False, header_style="bold")
        for index, name in enumerate(columns):
            table.add_column(name, no_wrap=index < len(columns) - 1)  # an id that is cut can't be copied
        for row in rows:
            table.add_row(*(coloured(cell) for cell in row))
        whole = [max(map(cell_len, column)) + GAP for column in zip(columns, *rows, strict=True)]
        least = sum(whole[:-1]) + min(whole[-1], LEAST_TEXT)
        window = self.out.width
        self.out.width = max(window, least)  # where that is more, the terminal wraps lines, and nothing is cut
        self.out.print(table)
        self.out.width = window

    def sheet(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Write labelled texts; a label that repeats is told once on a terminal."""
        if not self.on_terminal:
            for label, text in pairs:
                self.line(f"{label}: {text}")
            return
        grid = Table.grid(padding=(0, 2))
        grid.add_column(style="bold", no_wrap=True)
        grid.add_column()
        for (label, text), before in zip(pairs, [("", ""), *pairs], strict=False):
            grid.add_row("" if label == before[0] else label, coloured(text))
        self.out.print(grid)

    @contextmanager
    def meter(self, what: str, total: int) -> Iterator[Meter]:
        """Show how far long work is, on the terminal that is left for it."""
        console = self.out if self.on_terminal else self.err
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
            yield Meter(progress, progress.add_task(what, total=total))
