"""No call before `not_before`: what intake makes of the field, and what a pass that comes too early decides."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from worker.domain.decision import Finish, Send, Wait
from worker.domain.errors import InvalidCommand
from worker.domain.escalation import decide, matters, too_early, warn_at
from worker.domain.model import Action, Answer, AnswerKind, Outcome, Source
from worker.intake.admission import Admission, BackendRules
from worker.protocol.envelope import Envelope
from worker.protocol.messages import parse_command
from worker.store.transitions import Acceptance, Rejection

BARE = {"verb": "cancel", "backend": "ess", "job_id": "1"}
NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture(scope="module")
def intake(build: Any) -> Admission:
    adapter: Any = SimpleNamespace(params=frozenset(), problem=lambda _: "", address=lambda _: "")
    return Admission({"ess": BackendRules(adapter, build.policy())}, make_id=lambda: "new")


# The field


@pytest.mark.parametrize(
    "value",
    [
        pytest.param("2026-11-22T12:00:00Z", id="zulu"),
        pytest.param("2026-11-22t12:00:00z", id="small-letters"),
        pytest.param("2026-11-22 13:00:00.000+01:00", id="another-zone"),
        pytest.param(NOON, id="a-time"),
        pytest.param(NOON.astimezone(), id="a-time-of-another-zone"),
    ],
)
def test_a_time_with_a_zone_is_taken(value: object) -> None:
    assert parse_command({**BARE, "not_before": value}).not_before == NOON


@pytest.mark.parametrize(
    "value",
    [
        *("2026-11-22T12:00:00", "2026-11-22", "12:00Z", "soon", "", "2026-11-22T12:00Z", "2026-11-22T12:00:60Z"),
        *(1795681517, 0, True, [], {}, NOON.replace(tzinfo=None), "0001-01-01T00:00:00+14:00", "2026-W47-7T12:00:00Z"),
    ],
    ids=repr,
)
def test_what_is_no_time_with_a_zone_is_refused(value: object) -> None:
    with pytest.raises(InvalidCommand, match="not_before: is not an RFC 3339 time"):
        parse_command({**BARE, "not_before": value})


def test_the_same_time_in_two_zones_is_the_same_content() -> None:
    one, other = (
        parse_command({**BARE, "not_before": text}) for text in ("2026-11-22T12:00:00Z", "2026-11-22T13:00:00+01:00")
    )
    assert one.digest == other.digest != parse_command(BARE).digest


# Intake


@pytest.mark.parametrize(
    ("fields", "envelope", "hours"),
    [
        pytest.param({"not_before": "2026-11-22T13:00:00Z"}, Envelope(), 1, id="the-field"),
        pytest.param({}, Envelope(eta=NOON + timedelta(hours=2)), 2, id="celerys-eta"),
        pytest.param(
            {"not_before": "2026-11-22T13:00:00Z"}, Envelope(eta=NOON + timedelta(hours=2)), 2, id="the-later-of-both"
        ),
        pytest.param({"not_before": "2026-11-22T11:00:00Z"}, Envelope(), -1, id="in-the-past"),
        pytest.param({"not_before": "2026-12-22T12:00:00Z"}, Envelope(), 720, id="thirty-days"),
    ],
)
def test_the_earliest_time_to_act_is_stored_and_told(
    intake: Admission, fields: dict[str, Any], envelope: Envelope, hours: int
) -> None:
    one = intake.take({**BARE, **fields}, "c", NOON, envelope)
    assert isinstance(one, Acceptance)
    assert one.not_before == NOON + timedelta(hours=hours)
    assert one.effective["not_before"] == one.not_before.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def test_a_command_for_now_tells_no_time(intake: Admission) -> None:
    one = intake.take(BARE, "c", NOON)
    assert isinstance(one, Acceptance)
    assert (one.not_before, list(one.effective)) == (None, ["effective"])


@pytest.mark.parametrize(
    ("fields", "envelope"),
    [
        pytest.param({"not_before": "2026-12-22T12:00:01Z"}, Envelope(), id="the-field"),
        pytest.param({}, Envelope(eta=NOON + timedelta(days=31)), id="celerys-eta"),
    ],
)
def test_more_than_thirty_days_ahead_is_refused(intake: Admission, fields: dict[str, Any], envelope: Envelope) -> None:
    one = intake.take({**BARE, **fields}, "c", NOON, envelope)
    assert isinstance(one, Rejection)
    assert one.reason == "not_before: is more than 30 days ahead"


def test_celerys_eta_is_no_part_of_the_content(intake: Admission) -> None:
    first, again = (intake.take(BARE, "c", NOON, Envelope(eta=NOON + timedelta(hours=hours))) for hours in (1, 2))
    assert isinstance(first, Acceptance)
    assert isinstance(again, Acceptance)
    assert first.digest == again.digest


@pytest.mark.parametrize("late", [0, 1, 86400])
def test_a_message_that_came_too_late_is_refused(intake: Admission, late: int) -> None:
    one = intake.take(BARE, "c", NOON + timedelta(seconds=late), Envelope(expires=NOON))
    assert isinstance(one, Rejection)
    assert (one.reason, one.expired) == (
        "expires: it expired at 2026-11-22T12:00:00.000Z, before a worker took it in",
        True,
    )


def test_a_message_that_comes_in_time_is_taken(intake: Admission) -> None:
    one = intake.take(BARE, "c", NOON, Envelope(expires=NOON + timedelta(seconds=1)))
    assert isinstance(one, Acceptance)


@pytest.mark.parametrize(
    ("own", "taken"),
    [pytest.param(None, TRACE, id="none"), pytest.param("00-own", "00-own", id="its-own")],
)
def test_a_trace_context_of_the_message_stands_in_for_the_commands(
    intake: Admission, own: str | None, taken: str
) -> None:
    one = intake.take({**BARE, "traceparent": own}, "c", NOON, Envelope(traceparent=TRACE))
    assert isinstance(one, Acceptance)
    assert one.traceparent == taken


# Deciding


@pytest.mark.parametrize(
    "seen",
    [
        pytest.param(None, id="nothing"),
        pytest.param("active", id="alive"),
        pytest.param("cancelled", id="ended"),
        pytest.param(Answer(AnswerKind.UNANSWERED, Source.NOBODY), id="a-paused-backend"),
        pytest.param(Answer(AnswerKind.REFUSED, Source.OWN), id="a-refusal"),
    ],
)
def test_a_pass_that_comes_too_early_waits_for_the_time(build: Any, seen: Any) -> None:
    cancellation = build.cancellation(not_before=build.at(60), give_up=3600)
    seen = build.seen(seen) if isinstance(seen, str) else seen
    decision = decide(cancellation, seen, build.policy(), build.at(59.9))

    assert isinstance(decision, Wait)
    assert decision.until == build.at(60)


def test_a_pass_at_the_time_calls(build: Any) -> None:
    cancellation = build.cancellation(not_before=build.at(60))
    assert not too_early(cancellation, build.at(60))
    assert decide(cancellation, None, build.policy(), build.at(60)) == Send(Action.CANCEL, "1")


def test_an_abort_does_not_wait_for_the_time(build: Any) -> None:
    decision = decide(build.cancellation(not_before=build.at(60), aborted="ann: no"), None, build.policy(), build.now)
    assert isinstance(decision, Finish)
    assert decision.outcome is Outcome.ABORTED


def test_warn_after_counts_from_not_before(build: Any) -> None:
    cancellation, policy = build.cancellation(not_before=build.at(7200)), build.policy(warn_after=3600)

    assert warn_at(cancellation, policy) == build.at(10800)
    assert matters(cancellation, policy) == build.at(10800)


def test_a_time_before_it_was_accepted_changes_nothing(build: Any) -> None:
    assert build.cancellation(not_before=build.at(-60)).begins_at == build.now
