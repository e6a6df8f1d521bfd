from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from worker.intake.admission import Admission, BackendRules
from worker.protocol.signing import NOT_ACCEPTED, NOT_ALLOWED, Producer, Signatures, sign
from worker.store.transitions import Acceptance, Rejection

BARE = {"verb": "cancel", "backend": "ess", "job_id": "1"}
NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
LOW_KEY, HIGH_KEY = "a-shared-secret-of-at-least-32-bytes", "another-secret-of-at-least-32-bytes!"
LOW = Producer("low", "HS256", (LOW_KEY,), frozenset({"ess"}))
HIGH = Producer("high", "HS256", (HIGH_KEY,), force=True)


@pytest.fixture(scope="module")
def intake(build: Any) -> Admission:
    """Two backends that accept everything, with signing on but not required."""
    adapter: Any = SimpleNamespace(params=frozenset(), problem=lambda _: "", address=lambda _: "")
    door = BackendRules(adapter, build.policy())
    return Admission({"ess": door, "mrs": door}, signatures=Signatures({"low": LOW, "high": HIGH}))


def signed(producer: str = "low", key: str = LOW_KEY, **fields: Any) -> dict[str, Any]:
    content = {**BARE, **fields}
    return {**content, "token": sign(content, producer=producer, key=key, algorithm="HS256", now=NOW)}


def test_a_signed_command_names_its_producer_besides_its_own_requested_by(intake: Admission) -> None:
    one = intake.take(signed(requested_by="the boss"), "task-1", NOW)
    assert isinstance(one, Acceptance)
    assert (one.said["requested_by"], one.said["signed_by"]) == ("the boss", "low")


def test_an_unsigned_command_names_no_producer(intake: Admission) -> None:
    one = intake.take({**BARE, "requested_by": "the boss"}, "task-1", NOW)
    assert isinstance(one, Acceptance)
    assert "signed_by" not in one.said


REFUSED_SIGNED: dict[str, tuple[dict[str, Any], str, str | None]] = {
    "a bad field": (signed(lane="maybe"), "lane: ", "low"),
    "a backend that is not the producer's": (signed(backend="mrs"), NOT_ALLOWED, "low"),
    "a right that is not the producer's": (signed(remote_stopped=True), NOT_ALLOWED, "low"),
    "another's key": (signed("high"), NOT_ACCEPTED, None),
    "no signature at all": ({**BARE, "force": "maybe"}, "force: ", None),
    "a field that claims to be one": ({**BARE, "signed_by": "low"}, "signed_by: is not a known field", None),
}


@pytest.mark.parametrize("name", REFUSED_SIGNED)
def test_a_rejection_names_the_producer_only_if_the_signature_holds(intake: Admission, name: str) -> None:
    content, reason, producer = REFUSED_SIGNED[name]
    one = intake.take(content, "task-1", NOW)
    assert isinstance(one, Rejection)
    assert one.reason.startswith(reason)
    assert one.data.get("signed_by") == producer


@pytest.mark.parametrize(
    ("content", "binding"),
    [
        pytest.param(BARE, False, id="unsigned"),
        pytest.param(signed(), False, id="without-the-right"),
        pytest.param(signed("high", HIGH_KEY), True, id="with-the-right"),
    ],
)
def test_with_signing_on_only_limits_with_the_right_to_force_bind_others(
    intake: Admission, content: dict[str, Any], *, binding: bool
) -> None:
    one = intake.take(content, "task-1", NOW)
    assert isinstance(one, Acceptance)
    assert one.binding is binding


def test_with_signing_off_everybodys_limits_bind(intake: Admission) -> None:
    one = Admission(intake.rules).take(BARE, "task-1")
    assert isinstance(one, Acceptance)
    assert one.binding
