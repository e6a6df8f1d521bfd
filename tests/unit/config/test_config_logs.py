import io
import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import structlog

from config.logs import configure


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
    structlog.get_logger("worker.engine").info("cancellation.force_sent", backend="ess")
    (line,) = lines(out)
    timestamp = line.pop("timestamp")
    assert line == {
        "event": "cancellation.force_sent",
        "level": "info",
        "logger": "worker.engine",
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


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        pytest.param(Shy("ann", "hunter2"), "Shy(name='ann')", id="a-hidden-field"),
        pytest.param(b"redis://u:hunter2@h", "b'redis://***@h'", id="bytes"),
        pytest.param("half \ud800", "half \ud800", id="half-a-surrogate"),
        pytest.param(10**30, 10**30, id="a-huge-number"),
    ],
)
def test_what_json_does_not_know_is_shown_as_its_class_does(out: io.StringIO, value: object, shown: object) -> None:
    configure("json", "info", out)
    structlog.get_logger("x").info("e", value=value)

    assert shown == lines(out)[0]["value"]
