"""The ESS adapter: 20 states, children, and answers that are judged by their content."""

from __future__ import annotations

from typing import Any

import pytest
from unit.backends.ess_exchanges import EMPTY, ESS, JOB, REQUESTS, look, seen
from unit.backends.exchanges import ANYBODYS, LOGIN, give, play

from worker.backends.adapter import Reply
from worker.backends.oracle_ess_words import FIELDS, STATES
from worker.domain.model import Answer, AnswerKind, Job, JobState, Source

# what a command may name


@pytest.mark.parametrize("job_id", ["1", "4711", str(2**53 + 1), str(2**63 - 1)])
def test_a_positive_int64_is_a_request_id(job_id: str) -> None:
    assert ESS.problem(Job(job_id)) == ""


@pytest.mark.parametrize(
    "job_id", ["0", "-1", "+1", "01", "1.0", "1e3", " 1", "1\n", "abc", "\u0661", str(2**63), "9" * 400, "1 or 1 eq 1"]
)
def test_anything_else_is_no_request_id(job_id: str) -> None:
    assert "job_id" in ESS.problem(Job(job_id))


# the request itself


def test_a_look_asks_for_the_fields_that_it_uses() -> None:
    requests, _ = look({"state": "RUNNING"})

    assert [(one.method, one.path, one.query) for one in requests] == [("GET", (*REQUESTS, "4711"), {"fields": FIELDS})]


@pytest.mark.parametrize(
    ("raw", "state"),
    [
        ("UNKNOWN", JobState.UNKNOWN),
        ("WAIT", JobState.ACTIVE),
        ("READY", JobState.ACTIVE),
        ("RUNNING", JobState.ACTIVE),
        ("COMPLETED", JobState.ACTIVE),
        ("BLOCKED", JobState.ACTIVE),
        ("HOLD", JobState.ACTIVE),
        ("CANCELLING", JobState.CANCELLING),
        ("EXPIRED", JobState.FAILED),
        ("CANCELLED", JobState.CANCELLED),
        ("ERROR", JobState.FAILED),
        ("WARNING", JobState.SUCCEEDED),
        ("SUCCEEDED", JobState.SUCCEEDED),
        ("PENDING_VALIDATION", JobState.ACTIVE),
        ("VALIDATION_FAILED", JobState.FAILED),
        ("SCHEDULE_ENDED", JobState.ACTIVE),
        ("FINISHED", JobState.SUCCEEDED),
        ("ERROR_AUTO_RETRY", JobState.ACTIVE),
        ("ERROR_MANUAL_RECOVERY", JobState.ACTIVE),
        ("VAPORIZED", JobState.UNKNOWN),
        ("CANCELLED BY USER", JobState.UNKNOWN),
        ("NOT CANCELLED", JobState.UNKNOWN),
        ("CANCEL", JobState.UNKNOWN),
        ("ENDED", JobState.UNKNOWN),
        ("9", JobState.UNKNOWN),
    ],
)
def test_each_word_has_one_meaning(raw: str, state: Any) -> None:
    one = seen(state=raw)

    assert (one.state, one.raw) == (state, raw)


@pytest.mark.parametrize(
    ("raw", "state"),
    [
        ("cancelled", JobState.CANCELLED),
        ("Cancelled", JobState.CANCELLED),
        ("CANCELED", JobState.CANCELLED),
        ("Canceled", JobState.CANCELLED),
        ("Canceling", JobState.CANCELLING),
        ("Succeeded", JobState.SUCCEEDED),
        ("schedule_ended", JobState.ACTIVE),
    ],
)
def test_a_word_may_be_written_in_other_ways_and_is_kept_as_it_was_sent(raw: str, state: JobState) -> None:
    one = seen(state=f" {raw} ")

    assert (one.state, one.raw) == (state, raw)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param({}, id="nothing"),
        pytest.param({"state": None}, id="null"),
        pytest.param({"state": " "}, id="blank"),
        pytest.param({"state": {"a": 1}}, id="no-text"),
        pytest.param({"state": 9}, id="a-number"),
        pytest.param({"message": "scheduled maintenance"}, id="another's-words"),
        pytest.param({"title": "Error", "status": 500, "errorCode": "ESS-00500"}, id="ess's-own-error"),
    ],
)
def test_without_a_state_nothing_was_seen(data: dict[str, Any]) -> None:
    _, said = look(data)

    assert isinstance(said, Answer)
    assert (said.kind, "does not show the state of a request" in said.detail) == (AnswerKind.UNANSWERED, True)


@pytest.mark.parametrize(
    "error",
    [
        pytest.param({"error": "upstream timed out"}, id="a-gateways"),
        pytest.param({"fault": {"faultstring": "no route"}}, id="another-gateways"),
        pytest.param({"title": "Error", "status": 500, "errorCode": "ESS-00500"}, id="ess's-own"),
    ],
)
@pytest.mark.parametrize("state", ["ERROR", "CANCELLED", "RUNNING"])
def test_an_error_that_names_no_request_shows_no_state(state: str, error: dict[str, Any]) -> None:
    _, said = play(ESS.look(JOB), give({"state": state, **error}))

    assert (type(said), said.kind, said.source) == (Answer, AnswerKind.UNANSWERED, Source.NOBODY)


def test_an_error_of_our_request_hides_no_state() -> None:
    one = seen(state="ERROR", errorCode="ESS-07001")

    assert (one.state, one.facts["errorCode"]) == (JobState.FAILED, "ESS-07001")


def test_an_error_in_a_success_is_told() -> None:
    _, said = look({"title": "Scheduling error", "errorCode": "ESS-00500"})

    assert (said.kind, "Scheduling error" in said.detail) == (AnswerKind.UNANSWERED, True)


def test_paused_is_alive() -> None:
    assert look({"state": "PAUSED"}, EMPTY)[1].state is JobState.ACTIVE


def test_the_table_holds_all_twenty_states() -> None:
    assert len(STATES) == 20


@pytest.mark.parametrize(
    ("told", "known"),
    [(True, True), (False, False), (None, None), ("true", True), ("fALSE", False), (" TRUE ", True)],
)
def test_what_a_force_needs_is_known_only_if_told(told: object, *, known: bool | None) -> None:
    one = seen(state="CANCELLING", isAsynchronous=told, isForceCancelAllowed=told)

    assert (one.asynchronous, one.force_allowed, one.unreadable) == (known, known, frozenset())


@pytest.mark.parametrize("told", [1, 0, "", "no", "Y", [], {}], ids=repr)
def test_what_says_neither_yes_nor_no_is_not_taken_for_silence(told: object) -> None:
    one = seen(state="CANCELLING", isAsynchronous=told, isForceCancelAllowed=True)

    assert (one.asynchronous, one.unreadable) == (None, {"asynchronous"})
    assert seen(state="CANCELLING", isForceCancelAllowed=told).unreadable == {"force_allowed"}


def test_facts_are_what_support_asks_for() -> None:
    one = seen(state="ERROR", cause="SYSTEM_ERROR", errorType=None, processPhase="Complete", errorCode="ESS-1")

    assert one.facts == {"cause": "SYSTEM_ERROR", "errorCode": "ESS-1", "processPhase": "Complete"}


@pytest.mark.parametrize(
    ("data", "parent"),
    [
        pytest.param({"absParentRequestId": 42}, "its parent 42", id="top-is-another"),
        pytest.param({"parentRequestId": "43"}, "its parent 43", id="parent-is-another"),
        pytest.param({"requestType": "JOBSET_STEP"}, "its parent instead", id="by-type"),
        pytest.param({"requestType": "SUB_REQUEST", "absParentRequestId": 42}, "its parent 42", id="sub-request"),
    ],
)
def test_a_child_cant_be_deleted(data: dict[str, Any], parent: str) -> None:
    assert parent in seen(state="CANCELLED", **data).undeletable


@pytest.mark.parametrize(
    "data",
    [
        pytest.param({}, id="silent"),
        pytest.param({"absParentRequestId": 4711, "parentRequestId": 0}, id="its-own-top"),
        pytest.param({"absParentRequestId": None, "parentRequestId": -1}, id="no-parent"),
        pytest.param({"requestType": "SINGLETON"}, id="singleton"),
    ],
)
def test_a_submitted_request_can_be_deleted(data: dict[str, Any]) -> None:
    assert seen(state="CANCELLED", **data).undeletable == ""


@pytest.mark.parametrize("kind", ["RECUR_CHILD", "JOBSET_RECUR_CHILD"])
def test_a_recurrences_child_says_that_the_recurrence_goes_on(kind: str) -> None:
    one = look({"state": "RUNNING", "requestType": kind, "absParentRequestId": 42}, EMPTY)[1]

    assert "does not stop the recurrence" in one.detail
    assert "its parent 42" in one.detail


def test_other_requests_need_no_such_word() -> None:
    assert seen(state="RUNNING", requestType="SUB_REQUEST", absParentRequestId=42).detail == ""


# looks that show no job


@pytest.mark.parametrize(
    ("reply", "kind", "source"),
    [
        *ANYBODYS,
        pytest.param(Reply(200), AnswerKind.UNANSWERED, Source.NOBODY, id="empty"),
        pytest.param(give([1]), AnswerKind.UNANSWERED, Source.NOBODY, id="list"),
        pytest.param(give({}, 409), AnswerKind.BUSY, Source.UNSURE, id="conflict"),
        pytest.param(give({}, 429), AnswerKind.BUSY, Source.UNSURE, id="throttled"),
        pytest.param(give({}, 500), AnswerKind.UNANSWERED, Source.UNSURE, id="error"),
        pytest.param(Reply(502, {}, LOGIN), AnswerKind.UNANSWERED, Source.UNSURE, id="gateway"),
    ],
)
def test_a_look_that_shows_no_request_says_why_and_in_whose_words(
    reply: Reply, kind: AnswerKind, source: Source
) -> None:
    requests, result = play(ESS.look(JOB), reply)

    assert len(requests) == 1
    assert (type(result), result.kind, result.source) == (Answer, kind, source)


def test_a_404_is_gone() -> None:
    _, one = play(ESS.look(JOB), give({"title": "Not Found", "detail": "no request 4711"}, 404))

    assert (one.state, one.raw, one.job_id, one.detail) == (JobState.GONE, "404", "4711", "no request 4711")


@pytest.mark.parametrize(
    ("body", "vague"),
    [
        pytest.param({"errorCode": "ESS-00500"}, False, id="a-code"),
        pytest.param({"detail": "request 4711 is not found"}, False, id="our-id-in-the-detail"),
        pytest.param({"title": "no request 4711."}, False, id="our-id-in-the-title"),
        pytest.param({"title": "Not Found"}, True, id="any-title"),
        pytest.param({"type": "about:blank", "title": "Not Found", "status": 404}, True, id="a-problem"),
        pytest.param({"errorCode": "GW-404"}, True, id="another's-code"),
        pytest.param({"errorCode": "ESS-"}, True, id="half-a-code"),
        pytest.param({"detail": "request 14711 is not found"}, True, id="a-longer-id"),
        pytest.param({"detail": "No static resource ess/rest/scheduler/v1/requests/4711."}, True, id="our-path"),
        pytest.param({"detail": "no route for 10.0.0.1:4711"}, True, id="a-port"),
        pytest.param({"detail": "took 4711.5 ms"}, True, id="another-number"),
        pytest.param({"message": "request 4711"}, True, id="our-id-in-another-field"),
        pytest.param({}, True, id="empty"),
        pytest.param({"message": "no Route matched with those values"}, True, id="a-gateways"),
        pytest.param({"error_code": "APIGW.0101", "error_msg": "no such API"}, True, id="another-gateways"),
    ],
)
def test_a_404_that_anybody_may_have_given_is_vague(body: dict[str, str], *, vague: bool) -> None:
    _, one = play(ESS.look(JOB), give(body, 404))

    assert (one.state, one.source) == (JobState.GONE, Source.UNSURE if vague else Source.OWN)


def test_a_status_is_no_request() -> None:
    _, one = play(ESS.look(Job("404")), give({"title": "404 Not Found"}, 404))

    assert one.source is Source.UNSURE


@pytest.mark.parametrize("named", [4712, "4712", "", "x", 0, -4711, 4711.0, [4711]], ids=repr)
def test_a_reply_about_another_request_shows_nothing(named: object) -> None:
    _, one = play(ESS.look(JOB), give({"requestId": named, "state": "CANCELLED"}))

    assert (one.kind, one.source) == (AnswerKind.UNANSWERED, Source.NOBODY)
    assert "the reply is about another request" in one.detail


@pytest.mark.parametrize("named", [4711, "4711", None], ids=repr)
def test_a_reply_that_names_ours_or_none_is_about_ours(named: object) -> None:
    _, one = play(ESS.look(JOB), give({"requestId": named, "state": "CANCELLED"}))

    assert one.state is JobState.CANCELLED
