"""What a command writes: tables on a terminal, plain lines in a pipe, JSON if asked for.

The only way from a command to a terminal: whatever goes through here is made `visible`, and one row stays one row.
"""

from __future__ import annotations

import dataclasses
import io
import json
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any, NamedTuple, TextIO, cast

import msgspec
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from ..domain.event_drafts import text as iso
from ..observability.streams import discard, json_for
from ..observability.visible import visible

COLOURS = {
    "cancelled": "green",
    "force_cancelled": "green",
    "deleted": "green",
    "already_finished": "green",
    "completed_anyway": "green",
    "not_found": "yellow",
    "aborted": "yellow",
    "planned": "green",
    "changed": "yellow",
    "timed_out": "red",
    "refused": "red",
    "rejected": "red",
    "ok": "green",
    "warning": "yellow",
    "wrong": "red",
}
"""One word, one colour, everywhere."""
PIPE_WIDTH = 160
BAR = 30
"""Columns of a bar."""
GAP, LEAST_TEXT = 2, 20
"""Columns between a table's columns, and the least that its last one, the longest, may be folded to."""


def jsonable(value: Any) -> Any:
    """Turn our values into JSON's types; times are written as in events."""
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


class Cell(NamedTuple):
    """A cell of a drawing, and how it looks."""

    text: str
    style: str = ""


@dataclass(frozen=True, slots=True)
class Drawing:
    """A table that is laid out for the size of a window; cells are cut if it is too narrow."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    title: str = ""

    def __rich_console__(self, _console: Console, _options: ConsoleOptions) -> RenderResult:
        if self.title:
            yield Text(visible(self.title), "bold")
        table = Table(box=None, padding=(0, 1, 0, 0), pad_edge=False, header_style="bold")
        for name in self.columns:
            table.add_column(name, no_wrap=True, overflow="ellipsis")
        for row in self.rows:
            table.add_row(*(Text(visible(cell.text), cell.style) for cell in row))
        yield table


@dataclass(frozen=True, slots=True)
class Gauge:
    """The progress of long work: a bar, a text after it, and lines below; all are cut if the window is too narrow."""

    done: int
    total: int
    text: str
    lines: Sequence[Cell] = ()

    def __rich_console__(self, _console: Console, _options: ConsoleOptions) -> RenderResult:
        row = Table.grid(padding=(0, 2, 0, 0))
        row.add_column(width=BAR)
        row.add_column(no_wrap=True, overflow="ellipsis")
        row.add_row(ProgressBar(total=max(1, self.total), completed=self.done), Text(visible(self.text)))
        yield row
        for line in self.lines:
            yield Text(visible(line.text), line.style, no_wrap=True, overflow="ellipsis")


FONTS = re.compile(r"\s*@font-face \{.*?\}", re.DOTALL)
"""The fonts that rich's SVG would load from another site."""


def picture(drawing: Drawing, title: str, width: int) -> str:
    """Return a drawing as an SVG of a terminal of this width."""
    console = Console(file=io.StringIO(), record=True, force_terminal=True, width=width)
    console.print(drawing)
    return FONTS.sub("", console.export_svg(title=title))


@dataclass(frozen=True, slots=True)
class _Redrawn:
    draw: Callable[[int], Drawing | Gauge]

    def __rich_console__(self, _console: Console, options: ConsoleOptions) -> RenderResult:
        yield self.draw(options.max_height)


def _coloured(text: str) -> Text:
    """Return a text in the colour of its first word, if that has one."""
    first = re.match(r"\w*", text)
    return Text(visible(text), style=COLOURS.get(first[0] if first else "", ""))


Meter = Callable[..., None]
"""Counts one step of long work as done, or as many as it is called with; silent without a terminal."""


class Output:
    """Where a command writes to; `json` is one object per line."""

    def __init__(self, *, as_json: bool = False, out: Console | None = None) -> None:
        self.json = as_json
        console = partial(Console, highlight=False, markup=False, emoji=False)
        # A pipe has no window that could be too narrow for a table.
        self._out = out or console(width=None if sys.stdout.isatty() else PIPE_WIDTH)
        self._err = console(stderr=True)
        self.on_terminal = self._out.is_terminal and not as_json
        """Whether the output is text on a terminal."""

    def object(self, value: Any) -> None:
        """Write one JSON object on a line."""
        stream = cast("TextIO", self._out.file)
        stream.write(json_for(stream.encoding, json.dumps(jsonable(value), ensure_ascii=False)) + "\n")
        stream.flush()

    def line(self, text: str, end: str = "") -> None:
        """Write one line, however long; `end` is coloured by its first word."""
        self._out.print(Text(visible(text)) + _coloured(end), soft_wrap=True)

    def note(self, text: str) -> None:
        """Write something that is not part of the result to standard error."""
        self._err.print(Text(visible(text)), soft_wrap=True)

    def silence(self, *, lines: bool = False) -> None:
        """Discard all further notes, or with `lines` (or JSON) all further results: their reader is gone."""
        discard(sys.stdout if self.json or lines else sys.stderr)

    def rows(self, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Write a table on a terminal, tab-separated lines in a pipe."""
        seen = [[visible(cell) for cell in row] for row in rows]
        if not self.on_terminal:
            self._out.file.writelines("\t".join(row) + "\n" for row in seen)  # rich would turn the tabs into spaces
            return
        if not seen:
            return
        table = Table(box=None, pad_edge=False, header_style="bold")
        for index, name in enumerate(columns):
            table.add_column(name, no_wrap=index < len(columns) - 1)  # an id that is cut can't be copied
        for row in seen:
            table.add_row(*map(_coloured, row))
        whole = [max(map(cell_len, column)) + GAP for column in zip(columns, *seen, strict=True)]
        least = sum(whole[:-1]) + min(whole[-1], LEAST_TEXT)
        window = self._out.width
        self._out.width = max(window, least)  # if the table is wider, the terminal wraps lines and nothing is cut
        self._out.print(table)
        self._out.width = window

    def sheet(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Write labelled texts; on a terminal a repeated label is written once."""
        if not self.on_terminal:
            for label, text in pairs:
                self.line(f"{label}: {text}")
            return
        grid = Table.grid(padding=(0, 2))
        grid.add_column(style="bold", no_wrap=True)
        grid.add_column()
        for (label, text), before in zip(pairs, [("", ""), *pairs], strict=False):
            grid.add_row("" if label == before[0] else Text(visible(label)), _coloured(text))
        self._out.print(grid)

    def markdown(self, text: str) -> None:
        """Write a Markdown text that ships with Canceller, formatted."""
        from rich.markdown import Markdown  # noqa: PLC0415 - slow to load, and few commands need it

        self._out.print(Markdown(text, hyperlinks=False))

    def verbatim(self, text: str) -> None:
        """Write a text that ships with Canceller, unformatted."""
        self._out.file.write(text)

    def draw(self, draw: Callable[[int], Drawing]) -> None:
        """Draw once, to fit the width of the terminal."""
        self._out.print(draw(self._out.width))

    @contextmanager
    def live(self, draw: Callable[[int], Drawing | Gauge]) -> Iterator[None]:
        """Redraw continuously on a terminal, to fit its height, and remove the drawing at the end."""
        if not self.on_terminal:
            yield
            return
        with Live(_Redrawn(draw), console=self._out, refresh_per_second=8, transient=True):
            yield

    @contextmanager
    def meter(self, what: str, total: int) -> Iterator[Meter]:
        """Show the progress of long work on standard output or, if that is not a terminal, on standard error."""
        console = self._out if self.on_terminal else self._err
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
        )
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
            yield partial(progress.advance, progress.add_task(visible(what), total=total))
