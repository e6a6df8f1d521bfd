"""Logs for people: whatever a text contains, an event is one line; only a traceback takes more."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest
import structlog
from support.hostile import FORGED, LEGITIMATE, corpus, deceptions

from worker.observability.logs import configure

TEXTS = corpus()


@pytest.fixture
def out() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield io.StringIO()
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.mark.parametrize("fmt", ["console", "json"])
def test_each_of_our_events_is_a_harmless_line(fmt: str, out: io.StringIO) -> None:
    configure(fmt, "info", out)  # type: ignore[arg-type]
    log = structlog.get_logger("worker.intake.admission")
    for text in TEXTS:
        log.info("command.rejected", job_id=text, error=ValueError(text), labels={text: [text]}, **{text: text})

    assert not deceptions(out.getvalue())
    assert len(out.getvalue().split("\n")[:-1]) == len(TEXTS)


@pytest.mark.parametrize("fmt", ["console", "json"])
def test_each_event_of_others_is_a_harmless_line(fmt: str, out: io.StringIO) -> None:
    configure(fmt, "info", out)  # type: ignore[arg-type]
    for text in TEXTS:
        logging.getLogger("celery.worker").warning("Received %s", text, extra={"task": text})

    assert not deceptions(out.getvalue())
    assert len(out.getvalue().split("\n")[:-1]) == len(TEXTS)


def fail() -> None:
    raise ValueError(f"no\n{FORGED}\x1b[2J")


def test_no_line_of_a_traceback_passes_for_an_event(out: io.StringIO) -> None:
    configure("console", "info", out)
    try:
        fail()
    except ValueError:
        structlog.get_logger("x").exception("it.failed")
        logging.getLogger("x").exception("it failed")
    lines = out.getvalue().splitlines()

    assert not deceptions(out.getvalue())
    assert [line for line in lines if not line.startswith("  ")] == [lines[0], lines[len(lines) // 2]]
    assert sum("Traceback (most recent call last)" in line for line in lines) == 2


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("\x1b[31mred", r"job='\x1b[31mred'"),
        ("x\ty backend=ess", r"job='x\ty backend=ess'"),
        ("plain", "job=plain"),
        ("in words", "job='in words'"),
        (7, "job=7"),
        (None, "job=None"),
    ],
    ids=repr,
)
def test_a_value_is_quoted_and_escaped_once(value: object, shown: str, out: io.StringIO) -> None:
    configure("console", "info", out)
    structlog.get_logger("x").info("event", job=value)

    assert out.getvalue().rstrip().endswith(shown)


@pytest.mark.parametrize("text", LEGITIMATE.values(), ids=LEGITIMATE)
def test_a_message_that_only_looks_strange_stays_as_it_is(text: str, out: io.StringIO) -> None:
    configure("console", "info", out)
    structlog.get_logger("x").info(text)

    assert text in out.getvalue()
