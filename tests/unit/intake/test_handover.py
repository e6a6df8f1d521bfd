"""How a command that is handed over to another worker is written."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from worker.intake.handover import LIMIT, Arrived, read, written
from worker.protocol.envelope import BARE, Envelope

NOON = datetime(2026, 11, 22, 12, 0, 0, 123456, tzinfo=UTC)
BARE_COMMAND = {"verb": "cancel", "backend": "ess", "job_id": "1"}
DEEP: list[Any] = []
for _ in range(20_000):
    DEEP = [DEEP]

LEFT: dict[str, Arrived] = {
    "a bare one": Arrived.of(BARE_COMMAND, "c-1", BARE),
    "one with all times": Arrived.of(BARE_COMMAND, "c-1", Envelope(NOON, NOON, "00-0af7-01")),
    "one with an expiry alone": Arrived.of(BARE_COMMAND, "c-1", Envelope(expires=NOON)),
    "any text": Arrived.of({**BARE_COMMAND, "reason": "ü\ud800\x00\u2028", "token": "a.b.c"}, "s:1", BARE),
    "any value": Arrived.of({"backend": "ess", "labels": [1, 2.5, None, True, {"a": 1e300}], "x": 2**70}, "s:2", BARE),
}


@pytest.mark.parametrize("one", LEFT.values(), ids=LEFT.keys())
def test_a_command_comes_back_as_it_was_left(one: Arrived) -> None:
    text = written(one)
    assert text is not None
    assert read(text) == one
    assert written(read(text)) == text


def test_other_content_or_another_id_is_another_command() -> None:
    several = [*LEFT.values(), Arrived.of(BARE_COMMAND, "c-2", BARE)]
    assert len({written(one) for one in several}) == len(several)


@pytest.mark.parametrize(
    "content",
    [
        pytest.param({"backend": "ess", "labels": DEEP}, id="deep"),
        pytest.param({"backend": "ess", "job_id": 10**5000}, id="a-number-without-end"),
        pytest.param({"backend": "ess", "reason": "x" * LIMIT}, id="long"),
        pytest.param({"backend": "ess", "reason": b"x"}, id="bytes"),
    ],
)
def test_an_invalid_command_is_not_left(content: object) -> None:
    assert written(Arrived.of(content, "c-1", BARE)) is None


@pytest.mark.parametrize(
    ("content", "backend"),
    [
        pytest.param({"backend": "ess"}, "ess", id="named"),
        pytest.param({"backend": 7}, "", id="no-text"),
        pytest.param({}, "", id="none"),
        pytest.param(["ess"], "", id="no-command"),
        pytest.param(None, "", id="nothing"),
    ],
)
def test_a_command_is_known_by_the_backend_that_it_names(content: object, backend: str) -> None:
    assert Arrived.of(content, "c-1", BARE).backend == backend


@pytest.mark.parametrize(
    ("content", "envelope", "timed"),
    [
        pytest.param({}, BARE, False, id="no-time"),
        pytest.param({"not_before": "2026-11-22T10:00:00Z"}, BARE, True, id="not-before"),
        pytest.param({"not_before": None}, BARE, False, id="null"),
        pytest.param([], Envelope(eta=NOON), True, id="eta"),
        pytest.param(None, Envelope(expires=NOON), True, id="expires"),
    ],
)
def test_a_command_is_timed_by_its_message_or_itself(content: object, envelope: Envelope, timed: bool) -> None:  # noqa: FBT001 - a table's column
    assert Arrived.of(content, "c-1", envelope).timed is timed
