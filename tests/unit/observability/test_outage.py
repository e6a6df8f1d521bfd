"""An outage of Redis is logged at once and then from time to time; so is its end."""

from __future__ import annotations

from structlog.testing import capture_logs

from worker.observability.outage import EVERY, Outage


def test_many_failures_are_told_once_in_a_while_and_the_end_once() -> None:
    now = [0.0]
    outage = Outage("engine.store_unavailable", "REDIS_URL", lambda: now[0])
    with capture_logs() as lines:
        outage.is_over()
        for now[0] in (0.0, 0.1, EVERY - 0.1, EVERY, EVERY + 0.1):
            outage.goes_on("refused")
        outage.is_over()
        outage.is_over()
        outage.goes_on("refused again")

    away, back = "engine.store_unavailable", "engine.available_again"
    assert [line["event"] for line in lines] == [away, away, back, away]
    assert lines[0]["error"] == "refused"
    assert "REDIS_URL" in lines[0]["hint"]


def test_a_refusal_is_told_once_in_a_while_however_many_calls_are_answered() -> None:
    now = [0.0]
    outage = Outage("engine.store_unavailable", "REDIS_URL", lambda: now[0])
    with capture_logs() as lines:
        for now[0] in (0.0, 0.1, EVERY - 0.1, EVERY):
            outage.goes_on("refused", "give us the right")
            outage.is_over()

    assert [line["event"] for line in lines] == ["engine.store_unavailable"] * 2
    assert lines[0]["hint"] == "give us the right"
