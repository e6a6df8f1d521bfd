"""Tables on a terminal: text that somebody may want to copy is never cut, however narrow the window."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from worker.cli.output import Cell, Drawing, Gauge, Output, picture

ID = "01a2104300337f1c9a5dad3c3c0e1f77"
ROW = (ID, "ess", "300100", "already_finished", "it had ended, and that is quite a long story to tell in one column")


@pytest.mark.parametrize("width", [20, 60, 80, 100, 200])
def test_no_id_is_cut_in_a_narrow_window(width: int) -> None:
    written = io.StringIO()
    output = Output(out=Console(file=written, force_terminal=True, width=width, color_system=None))
    output.rows(("cancellation", "backend", "job", "outcome", "detail"), [ROW, ROW])

    assert written.getvalue().count(ID) == 2
    assert written.getvalue().count("already_finished") == 2
    assert "…" not in written.getvalue()


def test_a_picture_shows_every_cell_and_fetches_nothing() -> None:
    shown = picture(Drawing(("outcome",), [[Cell("timed_out", "red")]], "1 of 1"), "demo", 80)

    assert all(word in shown for word in ("timed_out", "outcome", "demo"))
    assert "url(" not in shown.replace("url(#", "")


@pytest.mark.parametrize("width", [40, 60, 200])
def test_a_gauge_stays_within_its_window_and_shows_hostile_texts(width: int) -> None:
    written = io.StringIO()
    console = Console(file=written, force_terminal=True, width=width, color_system=None)
    console.print(Gauge(30, 100, "stopping: 30 of 100", [Cell("ess 1  refused; \x1b[2J and a long story " * 5, "red")]))
    lines = written.getvalue().splitlines()

    assert len(lines) == 2
    assert all(len(line) <= width for line in lines)
    assert "\x1b" not in written.getvalue()
