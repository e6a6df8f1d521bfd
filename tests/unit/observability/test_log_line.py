import io
import logging
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import structlog
from structlog.testing import capture_logs

from worker.domain.model import Outcome
from worker.observability.log_line import ShortWay
from worker.observability.logs import Lines, configure

OURS = {"cancellation_id": "c-1", "backend": "ess", "job_id": "7", "outcome": "cancelled", "answer": {"status": 200}}
PLAIN = [
    pytest.param(OURS, id="a-cancellation's"),
    pytest.param({"count": 7, "met": True, "none": None}, id="number-truth-nothing"),
    pytest.param({"answer": {"a": {"b": None}}, "other": {}}, id="mappings-in-mappings"),
    pytest.param({"text": '预 ü \x7f\x00\n\x1b[31m\u202e"\\'}, id="texts-to-be-escaped"),
    pytest.param({"level": "mine", "logger": "mine", "timestamp": "mine"}, id="keys-that-the-line-sets"),
]
OTHER = [
    pytest.param({"token": "x"}, id="a-secret's-name"),
    pytest.param({"answer": {"token": "x"}}, id="a-secret's-name-in-a-mapping"),
    pytest.param({"url": "redis://u:p@h"}, id="a-url"),
    pytest.param({"detail": "x?my_token=hunter2"}, id="a-query"),
    pytest.param({"detail": "Bearer hunter2hunter2hunter2"}, id="a-bearer"),
    pytest.param({"answer": {"redis://u:p@h": 1}}, id="a-url-as-a-key"),
    pytest.param({"answer": {1: 2}}, id="a-number-as-a-key"),
    pytest.param({"answer": {Outcome.CANCELLED: 2}}, id="a-word-of-ours-as-a-key"),
    pytest.param({"outcome": Outcome.CANCELLED}, id="a-word-of-ours"),
    pytest.param({"after": timedelta(minutes=1)}, id="a-duration"),
    pytest.param({"times": [1, 2]}, id="a-list"),
    pytest.param({"share": 0.5, "endless": float("inf")}, id="fractions"),
    pytest.param({"half": "\ud800"}, id="half-a-surrogate"),
    pytest.param({"exc_info": None}, id="an-error's-place"),
]


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def without_time(line: str) -> str:
    text, count = re.subn(r'"timestamp": ?"[^"]+Z"', "", line)
    assert count == 1
    return text


def written_at_once(values: dict[str, Any]) -> bool:
    short = ShortWay(None, [lambda *_: "by the chain"])
    return short(Lines("x", io.StringIO()), "info", {**values, "event": "e"}) != "by the chain"


@pytest.mark.parametrize("values", PLAIN)
def test_an_event_of_plain_values_is_written_at_once(values: dict[str, Any]) -> None:
    assert written_at_once(values)


@pytest.mark.parametrize("values", OTHER)
def test_an_event_that_may_change_takes_the_chain(values: dict[str, Any]) -> None:
    assert not written_at_once(values)


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
@pytest.mark.parametrize("values", [*PLAIN, *OTHER])
def test_a_line_is_the_same_text_as_the_chains(values: dict[str, Any], encoding: str) -> None:
    raw = io.BytesIO()
    out = io.TextIOWrapper(raw, encoding, "backslashreplace", write_through=True, newline="\n")
    configure("json", "info", out)
    structlog.get_logger("x").warning("e", **values)

    (short,) = structlog.get_config()["processors"]
    line: Any = {**values, "event": "e"}
    for processor in short.chain:
        line = processor(Lines("x", out), "warning", line)
    chained = (line + "\n").encode(encoding, "backslashreplace").decode(encoding)
    assert without_time(chained) == without_time(raw.getvalue().decode(encoding))


def test_a_key_that_equals_a_plain_one_is_written_like_it() -> None:
    out = io.StringIO()
    configure("json", "info", out)
    for key in ("deleted", Outcome.DELETED):
        structlog.get_logger("x").info("e", answer={key: 1})

    assert 2 == out.getvalue().count('"answer":{"deleted":1}')


def test_what_a_logger_is_bound_to_comes_before_what_an_event_brings() -> None:
    out = io.StringIO()
    configure("json", "info", out)
    structlog.get_logger("x").bind(a=1, b=1).info("e", b=2, c=3)

    assert out.getvalue().startswith('{"a":1,"b":2,"c":3,"event":"e","level":"info","logger":"x",')


def test_a_test_captures_what_would_be_logged() -> None:
    out = io.StringIO()
    configure("json", "info", out)
    with capture_logs() as captured:
        structlog.get_logger("x").info("e", a=1)

    assert [{"a": 1, "event": "e", "log_level": "info"}] == captured
    assert not out.getvalue()
