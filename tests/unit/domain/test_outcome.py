from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace
from unit.domain.endings import asked, finish

from worker.domain.cancellation import WHOLE, Attestation, Child, End
from worker.domain.decision import Finish
from worker.domain.evidence.family import whole
from worker.domain.model import Evidence, JobState, Outcome, Source, Verb
from worker.domain.outcome import BY_UNANSWERED, ended

ENDED = ["cancelled", "force_cancelled", "deleted", "already_finished", "completed_anyway"]


@pytest.mark.parametrize(
    ("cancel", "force", "state", "outcome"),
    [
        pytest.param("accepted", "", "cancelled", "cancelled", id="stopped-after-our-cancel"),
        pytest.param("unanswered", "", "cancelled", "cancelled", id="stopped-after-an-unanswered-cancel"),
        pytest.param("accepted", "accepted", "cancelled", "force_cancelled", id="stopped-after-our-force"),
        pytest.param("accepted", "unanswered", "cancelled", "force_cancelled", id="stopped-after-an-unanswered-force"),
        pytest.param("accepted", "rejected", "cancelled", "cancelled", id="a-refused-force-stopped-nothing"),
        pytest.param("accepted", "busy", "cancelled", "cancelled", id="a-429-on-a-force-stopped-nothing"),
        pytest.param("accepted", "", "succeeded", "completed_anyway", id="the-job-won-the-race"),
        pytest.param("accepted", "", "failed", "completed_anyway", id="the-job-failed-by-itself"),
        pytest.param("accepted", "accepted", "succeeded", "completed_anyway", id="it-won-even-against-the-force"),
        pytest.param("unanswered", "", "succeeded", "completed_anyway", id="ended-after-an-unanswered-cancel"),
        pytest.param("busy", "", "succeeded", "completed_anyway", id="seen-alive-after-a-429-then-ended"),
    ],
)
def test_an_end_after_our_asking(build: Any, cancel: str, force: str, state: str, outcome: str) -> None:
    assert finish(build, build.seen(state), **asked(build, cancel, force)).outcome == outcome


@pytest.mark.parametrize("state", ["cancelled", "succeeded", "failed"])
@pytest.mark.parametrize("sent", ["", "rejected", "busy", "not_found"])
def test_an_end_first_seen_after_calls_that_changed_nothing_came_before_us(build: Any, state: str, sent: str) -> None:
    end = finish(build, build.seen(state), sent=build.cancelled(sent) if sent else {})
    assert (end.outcome, end.evidence, end.safe_to_rerun) == (Outcome.ALREADY_FINISHED, Evidence.REPORTED, True)


def test_a_job_that_ended_between_a_look_and_our_first_call_had_ended_before_it(build: Any) -> None:
    assert finish(build, build.seen("succeeded"), seen_alive=True).outcome is Outcome.ALREADY_FINISHED


# An end first seen after an unanswered call


@pytest.mark.parametrize(("state", "outcome"), [("cancelled", "cancelled"), ("succeeded", "completed_anyway")])
def test_an_end_first_seen_after_an_unanswered_call_counts_as_after_it_and_says_so(
    build: Any, state: str, outcome: str
) -> None:
    end = finish(build, build.seen(state), sent=build.cancelled("unanswered"))
    assert (end.outcome, BY_UNANSWERED in end.detail) == (outcome, True)


@pytest.mark.parametrize(
    ("sent", "state"),
    [
        pytest.param({"cancel": "accepted", "force": "unanswered"}, "cancelled", id="force"),
        pytest.param({"cancel": "unanswered"}, "gone", id="gone-after-a-cancel"),
        pytest.param({"cancel": "", "delete": "unanswered"}, "gone", id="gone-after-a-delete"),
    ],
)
def test_whatever_went_unanswered_the_detail_says_so(build: Any, sent: dict[str, str], state: str) -> None:
    verb = Verb.DELETE if "delete" in sent else Verb.CANCEL
    end = finish(build, build.seen(state), kind="oml", verb=verb, **asked(build, **sent))
    assert BY_UNANSWERED in end.detail


@pytest.mark.parametrize("sent", [{}, {"force": "accepted"}, {"cancel": "unanswered", "force": "accepted"}])
def test_an_accepted_call_leaves_no_doubt(build: Any, sent: dict[str, str]) -> None:
    assert BY_UNANSWERED not in finish(build, build.seen("cancelled"), **asked(build, **sent)).detail


@pytest.mark.parametrize("offset", [0, -1500, 365 * 86400])
@pytest.mark.parametrize(
    ("ended_before_now", "outcome"),
    [
        pytest.param(99, "completed_anyway", id="ended-after-the-call"),
        pytest.param(101.5, "completed_anyway", id="within-the-error-of-a-date-header"),
        pytest.param(103, "already_finished", id="ended-before-the-call"),
    ],
)
def test_the_backends_own_times_prove_an_end_before_an_unanswered_call(
    build: Any, offset: float, ended_before_now: float, outcome: str
) -> None:
    clock = build.at(offset)
    seen = build.seen("succeeded", clock=clock, ended_at=build.at(offset - ended_before_now))
    end = finish(build, seen, sent=build.cancelled("unanswered"), clock=build.steady(100, clock))
    assert end.outcome == outcome
    assert (BY_UNANSWERED in end.detail) is (outcome == "completed_anyway")


@pytest.mark.parametrize("state", ["cancelled", "succeeded", "failed"])
@pytest.mark.parametrize("sent", ["accepted", "unanswered"])
def test_an_end_that_the_backend_dates_before_our_call_is_already_finished(build: Any, state: str, sent: str) -> None:
    seen = build.seen(state, clock=build.now, ended_at=build.at(-604800))
    end = finish(build, seen, sent=build.cancelled(sent), clock=build.steady(0, build.now))

    assert (end.outcome, end.detail) == (Outcome.ALREADY_FINISHED, "")


@pytest.mark.parametrize(
    ("ended_at", "reading"),
    [
        pytest.param(None, {"steady": True}, id="no-time-of-the-end"),
        pytest.param(-9999, None, id="no-clock"),
        pytest.param(-9999, {"steady": False}, id="a-clock-that-was-read-once"),
    ],
)
def test_times_that_do_not_count_prove_nothing(build: Any, ended_at: float | None, reading: Any) -> None:
    seen = build.seen("cancelled", clock=build.now, ended_at=None if ended_at is None else build.at(ended_at))
    clock = None if reading is None else replace(build.steady(0, build.now), **reading)

    assert finish(build, seen, sent=build.cancelled("unanswered"), clock=clock).outcome is Outcome.CANCELLED


def test_a_time_of_the_end_that_our_own_sight_contradicts_proves_nothing(build: Any) -> None:
    seen = build.seen("cancelled", clock=build.now, ended_at=build.at(-9999))
    changes = {"sent": build.cancelled(), "clock": build.steady(0, build.now), "alive_at": build.at(-10)}

    assert finish(build, seen, **changes).outcome is Outcome.CANCELLED


# Records that are gone


@pytest.mark.parametrize(
    ("kind", "verb", "changes", "outcome"),
    [
        pytest.param("ess", "cancel", {}, "not_found", id="never-there"),
        pytest.param("ess", "delete", {}, "not_found", id="delete-never-there"),
        pytest.param("ess", "cancel", {"cancel": "not_found"}, "not_found", id="said-so-itself"),
        pytest.param("ess", "cancel", {"cancel": "unanswered"}, "not_found", id="a-blind-call-removes-no-ess-record"),
        pytest.param("ess", "cancel", {"seen": True}, "already_finished", id="vanished-before-we-asked"),
        pytest.param("ess", "cancel", {"cancel": "accepted"}, "cancelled", id="vanished-after-an-accepted-cancel"),
        pytest.param("oml", "cancel", {"seen": True, "cancel": "accepted"}, "cancelled", id="oml-accepted"),
        pytest.param("oml", "cancel", {"seen": True, "cancel": "unanswered"}, "cancelled", id="oml-unanswered"),
        pytest.param("oml", "cancel", {"seen": True, "cancel": "rejected"}, "already_finished", id="oml-not-ours"),
        pytest.param("oml", "delete", {"seen": True, "delete": "accepted"}, "deleted", id="oml-deleted"),
        pytest.param("oml", "delete", {"seen": True, "delete": "unanswered"}, "deleted", id="oml-unanswered-delete"),
        pytest.param("oml", "delete", {"seen": True, "cancel": "accepted"}, "deleted", id="oml-cancel-then-upgrade"),
        pytest.param("ess", "delete", {"end": True, "delete": "accepted"}, "deleted", id="deleted-after-the-end"),
        pytest.param("ess", "delete", {"end": True}, "already_finished", id="somebody-else-deleted"),
        pytest.param("ess", "delete", {"seen": True, "cancel": "accepted"}, "deleted", id="gone-after-our-stop"),
    ],
)
def test_a_record_that_is_gone(build: Any, kind: str, verb: str, changes: dict[str, Any], outcome: str) -> None:
    sent = {name: build.sent(changes[name]) for name in ("cancel", "delete") if name in changes}
    end = End(JobState.SUCCEEDED, "SUCCEEDED") if "end" in changes else None
    alive = "seen" in changes
    done = finish(build, build.seen("gone"), kind=kind, verb=Verb(verb), sent=sent, end=end, seen_alive=alive)
    assert done.outcome == outcome
    assert (done.evidence is Evidence.NONE) is (outcome == "not_found")


def test_not_found_after_an_unanswered_call_says_so(build: Any) -> None:
    assert "unanswered" in finish(build, build.seen("gone"), sent=build.cancelled("unanswered")).detail


def test_what_the_backend_says_of_the_end_is_in_the_detail(build: Any) -> None:
    end = finish(build, build.seen("cancelled", detail="its recurrence goes on"), **asked(build))
    assert "its recurrence goes on" in end.detail


# Parents


@pytest.mark.parametrize(
    ("parent", "children", "force", "outcome"),
    [
        pytest.param("cancelled", ["cancelled", "cancelled"], "", "cancelled", id="all-stopped"),
        pytest.param("cancelled", ["cancelled", "cancelled"], "accepted", "force_cancelled", id="a-child-needed-it"),
        pytest.param("cancelled", ["succeeded"], "", "cancelled", id="a-child-won-the-race"),
        pytest.param("succeeded", ["cancelled", "succeeded"], "", "cancelled", id="a-parent-that-merely-closed"),
        pytest.param("succeeded", ["succeeded"], "", "completed_anyway", id="all-won-the-race"),
        pytest.param("failed", ["cancelled"], "", "completed_anyway", id="a-parent-that-failed"),
        pytest.param("succeeded", ["cancelled a week ago"], "", "completed_anyway", id="cancelled-by-somebody-else"),
    ],
)
def test_a_parent_with_children(build: Any, parent: str, children: list[str], force: str, outcome: str) -> None:
    family = tuple(
        build.seen(state.split()[0], job_id=str(number), ended_at=build.at(-604800) if " " in state else None)
        for number, state in enumerate(children, 2)
    )
    sent = {**build.cancelled(), **({"force:2": build.sent(force)} if force else {})}
    changes = {"sent": sent, "seen_alive": True, "clock": build.steady(0, build.now)}
    assert finish(build, build.seen(parent, children=family), **changes).outcome == outcome


# Evidence


@pytest.mark.parametrize(
    ("state", "sent", "changes", "evidence"),
    [
        pytest.param({}, {}, {}, "reported", id="the-backend-reports-the-end"),
        pytest.param({}, {}, {"remote_stopped": "ann"}, "reported", id="a-report-needs-no-word"),
        pytest.param({}, {"force": "accepted"}, {}, "unverified", id="force-without-proof"),
        pytest.param({}, {"force": "unanswered"}, {}, "unverified", id="unanswered-force-without-proof"),
        pytest.param({}, {"force": "accepted"}, {"remote_stopped": "ann"}, "attested", id="force-on-a-word"),
        pytest.param({}, {"force": "accepted"}, {"void": True}, "unverified", id="force-on-a-word-that-was-refuted"),
        pytest.param({}, {"force": "rejected"}, {}, "reported", id="a-refused-force-leaves-nothing-open"),
        pytest.param({"provisional": True}, {}, {}, "unverified", id="suspend-failed"),
        pytest.param({"provisional": True}, {}, {"remote_stopped": "ann"}, "attested", id="suspend-failed-and-a-word"),
        pytest.param({"state": "succeeded"}, {"force": "accepted"}, {}, "reported", id="it-ended-itself-after-a-force"),
        pytest.param({"state": "gone"}, {}, {}, "reported", id="gone-means-stopped"),
        pytest.param({"state": "gone", "source": Source.UNSURE}, {}, {}, "unverified", id="gone-by-a-gateways-word"),
        pytest.param(
            {"state": "gone", "source": Source.UNSURE},
            {},
            {"remote_stopped": "ann"},
            "unverified",
            id="vague-and-a-word",
        ),
        pytest.param({"state": "gone"}, {"force": "accepted"}, {}, "unverified", id="gone-after-a-force"),
        pytest.param(
            {"state": "gone"},
            {"force": "accepted"},
            {"remote_stopped": "ann"},
            "attested",
            id="gone-after-force-on-word",
        ),
    ],
)
def test_what_stands_behind_the_claim_that_it_stopped(
    build: Any, state: dict[str, Any], sent: dict[str, str], changes: dict[str, Any], evidence: str
) -> None:
    seen = build.seen(**{"state": "cancelled", **state})
    if changes.get("void"):
        changes = {"remote_stopped": "ann", "void": {WHOLE: build.at(5)}}
    end = finish(build, seen, **asked(build, **sent), **changes)
    assert end.evidence == evidence
    assert end.safe_to_rerun is (evidence != "unverified")


@pytest.mark.parametrize(
    ("about", "evidence"),
    [
        pytest.param(("2",), "unverified", id="one-child-alone"),
        pytest.param(("2", "3"), "attested", id="each-child-by-itself"),
        pytest.param(("",), "attested", id="the-family"),
        pytest.param(("1",), "unverified", id="the-parent-alone"),
    ],
)
def test_a_word_about_one_child_proves_nothing_of_another(build: Any, about: tuple[str, ...], evidence: str) -> None:
    children = tuple(build.seen("cancelled", job_id=job_id) for job_id in "234")
    sent = {"cancel": build.sent(), "force:2": build.sent(), "force:3": build.sent(), "force:4": build.sent("rejected")}
    words = {job_id: Attestation("ann", build.now) for job_id in about}
    known = {job_id: Child(build.now, build.now, JobState.CANCELLED) for job_id in "23"}
    changes = {"sent": sent, "attestations": words, "children": known}

    assert finish(build, build.seen("cancelled", children=children), **changes).evidence == evidence


def test_a_record_that_vanished_proves_nothing_where_the_operator_says_so(build: Any) -> None:
    end = finish(build, build.seen("gone"), kind="oml", policy={"gone_means_stopped": False}, **asked(build))
    assert (end.outcome, end.evidence, end.safe_to_rerun) == (Outcome.CANCELLED, Evidence.UNVERIFIED, False)


@pytest.mark.parametrize(
    ("changes", "policy", "evidence"),
    [
        pytest.param({}, {"gone_means_stopped": False}, "unverified", id="where-gone-proves-nothing"),
        pytest.param({}, {"gone_means_stopped": True}, "reported", id="where-gone-means-stopped"),
        pytest.param({"about": "2"}, {"gone_means_stopped": False}, "attested", id="attested-for-it"),
        pytest.param({"about": "1"}, {"gone_means_stopped": False}, "unverified", id="attested-for-the-parent-alone"),
        pytest.param({"about": ""}, {"gone_means_stopped": False}, "attested", id="attested-for-the-family"),
        pytest.param(
            {"about": "3", "force:3": True}, {"gone_means_stopped": False}, "unverified", id="beside-a-forced-child"
        ),
    ],
)
def test_a_child_whose_record_vanished_counts_as_the_job_itself_does(
    build: Any, changes: dict[str, Any], policy: dict[str, Any], evidence: str
) -> None:
    one = build.cancellation(
        sent={**build.cancelled(), **({"force:3": build.sent()} if "force:3" in changes else {})},
        attestations={changes["about"]: build.word()} if "about" in changes else {},
    )
    for at, states in ((2, {"2": "cancelling", "3": "cancelling"}), (4, {"2": "gone", "3": "cancelled"}), (9, {})):
        children = tuple(build.seen(state, job_id=job_id) for job_id, state in states.items())
        seen = whole(one, build.seen("cancelled", parent=True, children=children))
        one = build.looked(one, seen, at)

    assert ended(one, seen, build.policy(**policy)).evidence == evidence


@pytest.mark.parametrize("source", ["own", "unsure"])
def test_an_end_that_was_seen_before_the_delete_is_what_stands_behind_it(build: Any, source: str) -> None:
    changes = {"verb": Verb.DELETE, "end": End(JobState.FAILED, "FAILED"), **asked(build, "", delete="accepted")}
    seen = build.seen("gone", source=Source(source))
    assert finish(build, seen, kind="sahara", **changes).evidence is Evidence.REPORTED


def test_a_deleted_record_of_a_forced_job_is_still_unverified(build: Any) -> None:
    end = End(JobState.CANCELLED, "CANCELLED")
    sent = asked(build, force="accepted", delete="accepted")
    assert finish(build, build.seen("gone"), verb=Verb.DELETE, end=end, **sent).evidence is Evidence.UNVERIFIED


@pytest.mark.parametrize("parent", ["cancelled", "succeeded", "failed"])
def test_a_child_that_only_a_force_closed_keeps_the_whole_unverified(build: Any, parent: str) -> None:
    sent = {**build.cancelled(), "force:2": build.sent("accepted")}
    seen = build.seen(parent, children=(build.seen("cancelled", job_id="2"),))
    assert finish(build, seen, sent=sent, seen_alive=True).evidence is Evidence.UNVERIFIED


def test_a_child_whose_end_the_backend_may_take_back_keeps_the_whole_unverified(build: Any) -> None:
    seen = build.seen("cancelled", children=(build.seen("failed", job_id="2", provisional=True),))
    assert finish(build, seen, **asked(build)).evidence is Evidence.UNVERIFIED


@pytest.mark.parametrize("outcome", list(Outcome))
@pytest.mark.parametrize("evidence", list(Evidence))
def test_work_is_safe_to_rerun_only_when_the_job_is_known_to_run_no_more(outcome: Outcome, evidence: Evidence) -> None:
    known = evidence in {"reported", "probed", "attested"} and outcome in ENDED
    assert Finish(outcome, evidence).safe_to_rerun is known
