"""The Sahara adapter's look: what shows a job, in whose words, and what is done if the engine does not answer."""

from __future__ import annotations

from typing import Any

import pytest
from unit.backends.exchanges import ANYBODYS, CLOCK, LOGIN, give, play
from unit.backends.sahara_exchanges import BOTH, EXECUTIONS, JOB, V2, V11, fail, seen, wrapped

from worker.backends.adapter import NoReply, Reply
from worker.backends.sahara import STATES, Sahara
from worker.domain.model import Answer, AnswerKind, Job, JobState, Source


@BOTH
def test_any_id_is_taken(sahara: Sahara) -> None:
    assert sahara.problem(Job("a b/../c?x=1#y")) == ""


# looks


def test_v11_lets_sahara_ask_its_engine_first() -> None:
    requests, _ = play(V11.look(JOB), give(wrapped("RUNNING")))

    assert [(one.method, one.path) for one in requests] == [("GET", (*EXECUTIONS, "2de7", "refresh-status"))]


def test_v2_reads_the_job_and_names_its_version() -> None:
    requests, _ = play(V2.look(JOB), give(wrapped("RUNNING")))

    assert [(one.method, one.path, one.query) for one in requests] == [("GET", ("v2", "jobs", "2de7"), {})]
    assert requests[0].headers["OpenStack-API-Version"] == "data-processing 2.0"


@pytest.mark.parametrize(
    ("raw", "state"),
    [
        ("PENDING", JobState.ACTIVE),
        ("READYTORUN", JobState.ACTIVE),
        ("PREP", JobState.ACTIVE),
        ("RUNNING", JobState.ACTIVE),
        ("TOBEKILLED", JobState.CANCELLING),
        ("TOBESUSPENDED", JobState.ACTIVE),
        ("SUSPENDED", JobState.ACTIVE),
        ("PREPSUSPENDED", JobState.ACTIVE),
        ("SUCCEEDED", JobState.SUCCEEDED),
        ("FAILED", JobState.FAILED),
        ("KILLED", JobState.CANCELLED),
        ("DONEWITHERROR", JobState.FAILED),
        ("SUSPENDFAILED", JobState.FAILED),
        ("VAPORIZED", JobState.UNKNOWN),
        pytest.param("Killed", JobState.CANCELLED, id="F13-mixed-case"),
        pytest.param("succeeded", JobState.SUCCEEDED, id="F13-small-letters"),
        pytest.param("KILLED BY OOZIE", JobState.UNKNOWN, id="F13-no-part-of-a-word"),
    ],
)
def test_each_word_has_one_meaning(raw: Any, state: Any) -> None:
    one = seen(raw)

    assert (one.state, one.raw, one.source, one.job_id) == (state, raw, Source.OWN, "2de7")
    assert one.clock == CLOCK


@pytest.mark.parametrize("raw", STATES)
def test_r5_only_a_failed_suspend_may_be_taken_back(raw: str) -> None:
    assert (seen(raw).provisional, seen(raw.lower()).provisional) == ((raw == "SUSPENDFAILED",) * 2)


def test_r5_a_failed_suspend_is_no_end() -> None:
    assert (seen("SUSPENDFAILED").ended, seen("SUSPENDFAILED").final) == (False, False)


def test_r1_saharas_own_delete_takes_records_of_jobs_that_run() -> None:
    assert not Sahara.steps.gone_means_stopped


@BOTH
@pytest.mark.parametrize("info", [None, {}, [], ""])
def test_our_job_of_which_the_engine_has_told_nothing_yet_is_unknown(sahara: Sahara, info: object) -> None:
    _, one = play(sahara.look(JOB), give({"job_execution": {"id": "2de7", "info": info}}))

    assert (one.state, one.raw, one.source) == (JobState.UNKNOWN, "", Source.OWN)


@BOTH
@pytest.mark.parametrize(
    ("data", "why"),
    [
        pytest.param({"info": None}, "does not say", id="A1-no-state-and-no-id"),
        pytest.param({"id": "2de7"}, "does not say", id="A1-no-info"),
        pytest.param({"id": "2de7", "info": {"status": None}}, "does not say", id="status-null"),
        pytest.param({"id": "2de7", "info": {"status": 1.5}}, "does not say", id="status-is-no-text"),
        pytest.param({"id": "2de7", "info": "KILLED"}, "does not say", id="info-is-a-text"),
        pytest.param({"id": "OTHER", "info": None}, "does not say", id="A2-another-job-without-a-state"),
        pytest.param({"id": "OTHER", "info": {"status": "KILLED"}}, "another job", id="A2-another-job"),
        pytest.param({"id": "2de7-1", "info": {"status": "KILLED"}}, "another job", id="A2-a-longer-id"),
    ],
)
def test_a_record_without_a_state_of_our_job_is_no_sight_of_it(sahara: Sahara, data: dict[str, Any], why: str) -> None:
    _, said = play(sahara.look(JOB), give({"job_execution": data}))

    assert (said.kind, said.source) == (AnswerKind.UNANSWERED, Source.NOBODY)
    assert why in said.detail


# a look of v1.1 asks a second system, and can do without


@pytest.mark.parametrize(
    "refreshed",
    [
        pytest.param(fail("OOZIE_EXCEPTION", 400), id="R2-the-engine-has-forgotten-the-job"),
        pytest.param(fail("INTERNAL_SERVER_ERROR", 500), id="the-engine-fails"),
        pytest.param(Reply(503), id="unavailable"),
        pytest.param(Reply(504, {}, LOGIN), id="R4-a-gateway-has-waited-long-enough"),
        pytest.param(give(wrapped("KILLED") | {"error_name": "X"}), id="an-error-beside-the-record"),
        pytest.param(give({"job_execution": {"id": "OTHER", "info": {"status": "KILLED"}}}), id="A2-another-job"),
        pytest.param(fail("NOT_FOUND", 404, "The resource could not be found."), id="A3-sahara-has-no-such-route"),
        pytest.param(Reply(404), id="A3-a-gateway-has-no-such-route"),
        pytest.param(Reply(410), id="a-bare-410"),
        pytest.param(Reply(403, {}, LOGIN), id="F3-a-wall-lets-no-refresh-through"),
    ],
)
def test_where_the_refresh_shows_nothing_of_saharas_own_the_record_alone_is_read(refreshed: Reply) -> None:
    requests, one = play(V11.look(JOB), refreshed, give(wrapped("SUCCEEDED")))

    assert [one.path for one in requests] == [(*EXECUTIONS, "2de7", "refresh-status"), (*EXECUTIONS, "2de7")]
    assert (one.state, one.source) == (JobState.SUCCEEDED, Source.OWN)


@pytest.mark.parametrize("reply", [Reply(404), Reply(403, {}, LOGIN)], ids=["gone", "refused"])
def test_what_nobody_is_sure_to_have_said_of_both_is_as_doubtful_as_of_one(reply: Reply) -> None:
    requests, said = play(V11.look(JOB), reply, reply)

    assert (len(requests), said.source) == (2, Source.UNSURE)


def test_r4_where_no_reply_comes_the_record_alone_is_read() -> None:
    exchange = V11.look(JOB)
    next(exchange)
    request = exchange.throw(NoReply("no reply in time"))
    with pytest.raises(StopIteration) as end:
        exchange.send(give(wrapped("KILLED")))

    assert request.path == (*EXECUTIONS, "2de7")
    assert end.value.value.state is JobState.CANCELLED


@pytest.mark.parametrize("sahara", [V11, V2], ids=["v1.1-twice", "v2"])
def test_a_look_that_gets_no_reply_at_all_has_no_other_way(sahara: Sahara) -> None:
    exchange = sahara.look(JOB)
    next(exchange)
    if sahara is V11:
        exchange.throw(NoReply("no reply in time"))

    with pytest.raises(NoReply):
        exchange.throw(NoReply("no reply in time"))


@pytest.mark.parametrize(
    "refreshed",
    [
        pytest.param(give(wrapped("RUNNING")), id="a-sight"),
        pytest.param(fail("NOT_FOUND", 404, "no 2de7"), id="gone"),
        pytest.param(Reply(404, {"retry-after": "9"}), id="gone-for-now-in-nobodys-words"),
        pytest.param(Reply(503, {"retry-after": "9"}), id="unavailable-for-now"),
        pytest.param(fail("FORBIDDEN", 403), id="refused"),
        pytest.param(give({}, 401), id="unauthorised"),
        pytest.param(give({}, 429), id="throttled"),
    ],
)
def test_where_the_record_would_tell_no_more_it_is_not_read_too(refreshed: Reply) -> None:
    assert len(play(V11.look(JOB), refreshed)[0]) == 1


@pytest.mark.parametrize(
    "data",
    [
        pytest.param({"job_execution": {"info": {"status": "KILLED"}}}, id="job-execution"),
        pytest.param({"job": {"info": {"status": "KILLED"}}}, id="job"),
        pytest.param({"id": "2de7", "info": {"status": "KILLED"}}, id="bare"),
    ],
)
def test_a_job_is_found_in_every_wrapping(data: dict[str, Any]) -> None:
    assert play(V2.look(JOB), give(data))[1].state is JobState.CANCELLED


def test_facts_are_what_support_asks_for_and_times_without_a_zone_prove_nothing() -> None:
    one = seen("KILLED", oozie_job_id="O-1", return_code=None, cluster_id="C1", end_time="2017-05-25T07:28:12")

    assert one.facts == {"oozie_job_id": "O-1", "cluster_id": "C1"}
    assert one.ended_at is None


@BOTH
@pytest.mark.parametrize(
    ("reply", "raw", "source"),
    [
        pytest.param(fail("NOT_FOUND", 404, "JobExecution '2de7' is not found"), "NOT_FOUND", Source.OWN, id="our-id"),
        pytest.param(fail("NOT_FOUND", 404), "NOT_FOUND", Source.UNSURE, id="A3-a-bad-path-is-not-found-too"),
        pytest.param(fail("NOT_FOUND", 404, "no 2de79"), "NOT_FOUND", Source.UNSURE, id="a-longer-id"),
        pytest.param(
            fail("NOT_FOUND", 404, "The requested URL /v2/jobs/2de7 was not found"),
            "NOT_FOUND",
            Source.UNSURE,
            id="the-path-that-was-asked-for",
        ),
        pytest.param(fail("ROUTE_UNKNOWN", 404), "ROUTE_UNKNOWN", Source.UNSURE, id="A3-an-unknown-route"),
        pytest.param(fail("X", 404, "no 2de7"), "X", Source.UNSURE, id="our-id-in-nobodys-words"),
        pytest.param(give({}, 404), "404", Source.UNSURE, id="A3-bare"),
        pytest.param(Reply(404, {}, LOGIN), "404", Source.UNSURE, id="F2-a-proxys-page"),
        pytest.param(Reply(404, {}, b"default backend - 404"), "404", Source.UNSURE, id="F2-default-backend"),
        pytest.param(give({}, 410), "410", Source.UNSURE, id="410"),
    ],
)
def test_a_missing_job_is_gone_in_saharas_own_words_only_if_they_name_it(
    sahara: Sahara, reply: Reply, raw: Any, source: Source
) -> None:
    _, one = play(sahara.look(JOB), reply)

    assert (one.state, one.raw, one.source) == (JobState.GONE, raw, source)


@BOTH
@pytest.mark.parametrize(
    ("reply", "kind", "source"),
    [
        *ANYBODYS,
        pytest.param(give({}), AnswerKind.UNANSWERED, Source.NOBODY, id="no-job"),
        pytest.param(give({"job_execution": None}), AnswerKind.UNANSWERED, Source.NOBODY, id="job-is-none"),
        pytest.param(Reply(200), AnswerKind.UNANSWERED, Source.NOBODY, id="empty"),
        pytest.param(fail("NOT_FOUND", 200), AnswerKind.UNANSWERED, Source.NOBODY, id="A12-an-error-with-200"),
        pytest.param(fail("OOZIE_EXCEPTION", 400), AnswerKind.UNANSWERED, Source.OWN, id="R3-about-this-job-alone"),
        pytest.param(fail("FORBIDDEN", 401), AnswerKind.REFUSED, Source.CREDENTIAL, id="401-in-saharas-words"),
        pytest.param(fail("FORBIDDEN", 403), AnswerKind.REFUSED, Source.OWN, id="forbidden"),
        pytest.param(fail("FORBIDDEN", 403, ""), AnswerKind.REFUSED, Source.UNSURE, id="forbidden-without-a-text"),
        pytest.param(Reply(403, {}, LOGIN), AnswerKind.REFUSED, Source.UNSURE, id="F3-a-firewalls-page"),
        pytest.param(fail("NOT_ACCEPTABLE", 406), AnswerKind.REFUSED, Source.OWN, id="version"),
        pytest.param(give({}, 429), AnswerKind.BUSY, Source.UNSURE, id="throttled"),
        pytest.param(fail("FORBIDDEN", 429), AnswerKind.BUSY, Source.OWN, id="throttled-with-a-catch-all-name"),
        pytest.param(fail("INTERNAL_SERVER_ERROR", 500), AnswerKind.UNANSWERED, Source.OWN, id="error"),
    ],
)
def test_a_look_that_shows_no_job_says_why_and_in_whose_words(
    sahara: Sahara, reply: Reply, kind: AnswerKind, source: Source
) -> None:
    _, answer = play(sahara.look(JOB), reply)

    assert (type(answer), answer.kind, answer.source) == (Answer, kind, source)
