import io
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from types import MappingProxyType
from typing import Any
from uuid import UUID

import pytest
import structlog
from msgspec import Struct
from pydantic import SecretStr

from worker.domain.model import Outcome
from worker.observability.logs import configure


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


@pytest.fixture
def out() -> io.StringIO:
    return io.StringIO()


def lines(out: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_an_event_is_a_line_of_json(out: io.StringIO) -> None:
    configure("json", "info", out)
    structlog.get_logger("worker.engine.engine").info("cancellation.force_sent", backend="ess")
    (line,) = lines(out)
    timestamp = line.pop("timestamp")
    assert line == {
        "event": "cancellation.force_sent",
        "level": "info",
        "logger": "worker.engine.engine",
        "backend": "ess",
    }
    assert timestamp.endswith("Z")


def test_the_standard_librarys_logs_look_the_same(out: io.StringIO) -> None:
    configure("json", "info", out)
    logging.getLogger("celery.worker").warning("lost %s", "it", extra={"queue": "q", "token": "hunter2"})
    (line,) = lines(out)
    assert line.keys() == {"timestamp", "event", "level", "logger", "queue", "token"}
    assert (line["event"], line["level"], line["logger"]) == ("lost it", "warning", "celery.worker")
    assert line["token"] == "***"


@pytest.mark.parametrize(
    ("stream", "json_expected"),
    [pytest.param(io.StringIO(), True, id="file"), pytest.param(Terminal(), False, id="terminal")],
)
def test_auto_is_for_people_only_on_a_terminal(stream: io.StringIO, *, json_expected: bool) -> None:
    configure("auto", "info", stream)
    structlog.get_logger("x").info("hello")
    assert stream.getvalue().startswith("{") is json_expected


def test_what_is_below_the_level_is_not_shown(out: io.StringIO) -> None:
    configure("json", "warning", out)
    structlog.get_logger("x").info("ours")
    logging.getLogger("theirs").info("theirs")
    assert not out.getvalue()


@pytest.mark.parametrize("name", ["httpx", "httpcore"])
def test_http_requests_are_not_logged_one_by_one(name: str, out: io.StringIO) -> None:
    configure("json", "debug", out)
    logging.getLogger(name).info("HTTP Request: GET https://h/300100")
    logging.getLogger(name).warning("shown")
    assert [line["event"] for line in lines(out)] == ["shown"]


@pytest.mark.parametrize(
    "values",
    [
        pytest.param({"token": "hunter2"}, id="token"),
        pytest.param({"client_secret": "hunter2"}, id="secret"),
        pytest.param({"headers": {"Authorization": "hunter2"}}, id="nested-header"),
        pytest.param({"answer": {"status": 200, "detail": "redis://:hunter2@host"}}, id="url-in-a-mapping"),
        pytest.param({"headers": [{"X-Auth-Token": ["hunter2"]}]}, id="nested-in-list"),
        pytest.param({"cookie": {"any": "hunter2"}}, id="cookie"),
        pytest.param({"url": "redis://:hunter2@host:6379/0"}, id="url"),
        pytest.param({"urls": ("amqp://user:hunter2@host", "x")}, id="url-in-tuple"),
        pytest.param({"detail": "cannot reach redis://u:hunter2@host, retrying"}, id="url-in-text"),
        pytest.param({"detail": "redis+sentinel://h/m?sentinel_password=hunter2"}, id="query"),
        pytest.param({"detail": "Authorization: Bearer hunter2hunter2hunter2"}, id="bearer"),
        pytest.param({"error": ValueError("redis://:hunter2@host")}, id="repr-of-an-exception"),
    ],
)
def test_no_secret_is_logged(values: dict[str, Any], out: io.StringIO) -> None:
    configure("json", "info", out)
    structlog.get_logger("x").info("event", **values)
    assert len(lines(out)) == 1
    assert "hunter2" not in out.getvalue()


def test_the_rest_of_a_url_stays(out: io.StringIO) -> None:
    configure("json", "info", out)
    structlog.get_logger("x").info("connected to redis://:pw@host:1/0")
    assert lines(out)[0]["event"] == "connected to redis://***@host:1/0"


@pytest.mark.parametrize("fmt", ["json", "console"])
def test_no_secret_is_in_a_traceback(fmt: Any, out: io.StringIO) -> None:
    configure(fmt, "info", out)
    try:
        int("redis://:hunter2@host is away")
    except ValueError:
        structlog.get_logger("x").exception("broken")
        logging.getLogger("celery").exception("broken")
    assert out.getvalue().count("Traceback") == 2
    assert "hunter2" not in out.getvalue()


def test_configuring_again_replaces_the_stream(out: io.StringIO) -> None:
    configure("json", "info", io.StringIO())
    configure("json", "info", out)
    logging.getLogger("x").info("once")
    assert len(lines(out)) == 1


@dataclass
class Shy:
    name: str
    token: str = field(repr=False)


class Point(Struct):
    x: int
    y: object = None


ZONE = timezone(timedelta(hours=2))


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        pytest.param(7, 7, id="a-number"),
        pytest.param(0.5, 0.5, id="a-fraction"),
        pytest.param(False, False, id="a-boolean"),
        pytest.param(None, None, id="nothing"),
        pytest.param({"status": 200, "met": True, "x": None}, {"status": 200, "met": True, "x": None}, id="a-mapping"),
        pytest.param(MappingProxyType({1: {"a": ()}}), {"1": {"a": []}}, id="a-mapping-with-a-number-as-its-key"),
        pytest.param([1, ("a", {"b": {2}})], [1, ["a", {"b": [2]}]], id="lists-in-lists"),
        pytest.param(Outcome.CANCELLED, "cancelled", id="a-word-of-ours"),
        pytest.param({Outcome.CANCELLED: Outcome.DELETED}, {"cancelled": "deleted"}, id="words-of-ours-in-a-mapping"),
        pytest.param(datetime(2026, 1, 2, 3, 4, 5, 678901, ZONE), "2026-01-02T01:04:05.678Z", id="a-time"),
        pytest.param(date(2026, 1, 2), "2026-01-02", id="a-day"),
        pytest.param(timedelta(minutes=30), 1800.0, id="a-duration"),
        pytest.param(UUID(int=1), "00000000-0000-0000-0000-000000000001", id="a-uuid"),
        pytest.param(Path("/x"), "/x", id="a-path"),
        pytest.param(Decimal("1.5"), "1.5", id="a-decimal"),
        pytest.param(ValueError("no"), "ValueError: no", id="an-error"),
        pytest.param(TimeoutError(), "TimeoutError", id="an-error-without-a-text"),
        pytest.param(float("inf"), "inf", id="an-infinite-number"),
        pytest.param(Shy("ann", "hunter2"), {"name": "ann"}, id="a-hidden-field"),
        pytest.param(Point(1, [Outcome.DELETED]), {"x": 1, "y": ["deleted"]}, id="a-struct"),
        pytest.param(SecretStr("hunter2"), "**********", id="a-secret"),
        pytest.param(b"redis://u:hunter2@h \xff", "redis://***@h \\xff", id="bytes"),
        pytest.param("half \ud800", "half \ud800", id="half-a-surrogate"),
        pytest.param(10**30, 10**30, id="a-huge-number"),
    ],
)
def test_a_value_is_what_json_has_for_it(out: io.StringIO, value: object, shown: object) -> None:
    configure("json", "info", out)
    structlog.get_logger("x").info("e", value=value)

    assert (shown, type(shown)) == (lines(out)[0]["value"], type(lines(out)[0]["value"]))


def test_the_standard_librarys_extra_values_stay_what_they_are(out: io.StringIO) -> None:
    configure("json", "info", out)
    logging.getLogger("x").info("e", extra={"data": {"retries": 3, "eta": None}})

    assert {"retries": 3, "eta": None} == lines(out)[0]["data"]


def test_a_lines_time_is_iso_8601_in_utc(out: io.StringIO) -> None:
    configure("json", "info", out)
    structlog.get_logger("x").info("ours")
    logging.getLogger("x").info("theirs")

    for line in lines(out):
        assert line["timestamp"].endswith("Z")
        assert timedelta(0) == datetime.fromisoformat(line["timestamp"]).utcoffset()


def test_a_number_is_a_level(out: io.StringIO) -> None:
    configure("json", logging.ERROR, out)
    structlog.get_logger("x").warning("hidden")
    logging.getLogger("x").error("shown")

    assert ["shown"] == [line["event"] for line in lines(out)]


def test_a_stream_without_utf_8_gets_json_that_says_the_same() -> None:
    raw = io.BytesIO()
    configure("json", "info", io.TextIOWrapper(raw, "latin-1", "backslashreplace", write_through=True))
    structlog.get_logger("x").info("预 ü")

    assert "预 ü" == json.loads(raw.getvalue().decode("ascii"))["event"]
