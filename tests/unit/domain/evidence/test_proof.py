"""What proves that a job's remote process is gone: an unrefuted word, or the second source saying so twice."""

from __future__ import annotations

from typing import Any

import pytest

from worker.domain.cancellation import WHOLE, Cancellation, Probed, Sighting
from worker.domain.decision import Hold, Send
from worker.domain.escalation import decide
from worker.domain.evidence.proof import attestation_for, probed, proven_gone, refuted, said_now, signs_of_life
from worker.domain.model import Action, Force, Observation, Poll, unanswered


def given(build: Any, words: dict[str, float], **changes: Any) -> Cancellation:
    """A cancellation with attestations by ann, about these jobs and at these times."""
    one: Cancellation = build.cancellation(
        attestations={key: build.word(at=at) for key, at in words.items()}, **changes
    )
    return one


# Whom a word is about


@pytest.mark.parametrize(
    ("about", "job_id", "covers"),
    [
        pytest.param(WHOLE, "1", True, id="the-whole-and-the-job-itself"),
        pytest.param("21", "21", True, id="a-child-and-that-child"),
        pytest.param("1", "1", True, id="the-job-by-its-own-id"),
        pytest.param("21", "1", False, id="A8-a-child-and-its-parent"),
        pytest.param("21", "22", False, id="A8-a-child-and-another-child"),
        pytest.param("1", "21", False, id="the-job-by-its-own-id-and-a-child"),
        pytest.param(WHOLE, "23", False, id="the-whole-and-a-child-that-nobody-has-seen"),
    ],
)
def test_a_word_is_about_the_job_that_it_names_or_the_whole_family(
    build: Any, about: str, job_id: str, *, covers: bool
) -> None:
    children = {"21": build.child(), "22": build.child()}
    one = given(build, {about: 5}, children=children, family_at=build.now)

    assert (attestation_for(one, job_id) is not None) is covers


@pytest.mark.parametrize(
    ("word_at", "family_at", "first", "covers"),
    [
        pytest.param(5, 1, 1, True, id="a-child-that-was-seen-by-then"),
        pytest.param(5, 1, 5, True, id="at-that-very-moment"),
        pytest.param(5, 1, 6, False, id="A8-a-child-that-came-later"),
        pytest.param(0, 3, 3, True, id="the-producers-word-is-about-the-family-as-it-was-first-seen"),
        pytest.param(0, 3, 4, False, id="and-not-about-a-child-that-came-after-that"),
        pytest.param(5, None, 5, True, id="a-family-that-was-never-seen-whole"),
    ],
)
def test_a_word_about_the_family_covers_who_was_in_it_when_it_was_given(
    build: Any, word_at: float, family_at: float | None, first: float, *, covers: bool
) -> None:
    seen_at = None if family_at is None else build.at(family_at)
    one = given(build, {WHOLE: word_at}, children={"21": build.child(first, 9)}, family_at=seen_at)

    assert (attestation_for(one, "21") is not None) is covers


@pytest.mark.parametrize(
    ("void_at", "holds"),
    [
        pytest.param(None, True, id="nothing-has-refuted-it"),
        pytest.param(4, True, id="an-earlier-word-was-refuted"),
        pytest.param(5, False, id="at-that-very-moment"),
        pytest.param(6, False, id="A8-it-was-refuted"),
    ],
)
def test_a_word_holds_until_it_is_refuted_and_a_new_one_holds_again(
    build: Any, void_at: float | None, *, holds: bool
) -> None:
    void = {} if void_at is None else {WHOLE: build.at(void_at)}

    assert (attestation_for(given(build, {WHOLE: 5}, void=void), "1") is not None) is holds


def test_one_word_that_was_refuted_leaves_another_in_force(build: Any) -> None:
    one = given(build, {WHOLE: 1, "21": 2}, children={"21": build.child()}, void={WHOLE: build.at(3)})

    assert attestation_for(one, "21") == build.word(at=2)


def test_without_an_attestation_none_holds(build: Any) -> None:
    assert attestation_for(build.cancellation(), "1") is None


# What is a sign of life


def alive(build: Any, member: Observation, **changes: Any) -> str:
    """The sign of life that a look at 9 s shows; with `sight`, the job was seen before in CANCELLING since T1."""
    if changes.pop("sight", False):
        changes["cancelling"] = {member.job_id: Sighting(build.now, "T1")}
    return signs_of_life(build.cancellation(**changes), member, build.at(9)).get(member.job_id, "")


@pytest.mark.parametrize(
    ("member", "changes", "why"),
    [
        pytest.param({"state": "cancelling", "since_text": "T2"}, {"sight": True}, "checked in", id="A8-a-check-in"),
        pytest.param({"state": "cancelling", "since_text": "T1"}, {"sight": True}, "", id="nothing-has-moved"),
        pytest.param({"state": "cancelling", "since_text": ""}, {"sight": True}, "", id="a-look-without-a-time"),
        pytest.param({"state": "cancelling", "since_text": "T2"}, {}, "", id="the-first-sight-of-cancelling"),
        pytest.param({"state": "active"}, {"sight": True}, "gone back to ACTIVE", id="A8-the-state-goes-back"),
        pytest.param({"state": "active"}, {"cancel": "accepted"}, "still in ACTIVE", id="A8-running-after-our-cancel"),
        pytest.param({"state": "active"}, {"cancel": "unanswered"}, "", id="a-cancel-that-may-never-have-arrived"),
        pytest.param({"state": "active"}, {"cancel": "accepted", "at": 9}, "", id="a-cancel-as-late-as-the-look"),
        pytest.param({"state": "active"}, {}, "", id="running-before-anybody-has-asked-it-to-stop"),
        pytest.param({"state": "active", "parent": True}, {"cancel": "accepted"}, "still", id="it-could-have-children"),
        pytest.param({"state": "active", "grouping": True}, {"cancel": "accepted"}, "", id="a-group-has-no-process"),
        pytest.param({"state": "active", "child": "active"}, {"cancel": "accepted"}, "", id="its-child-is-alive"),
        pytest.param({"state": "active", "child": "unknown"}, {"cancel": "accepted"}, "", id="its-child-may-be-alive"),
        pytest.param({"state": "active", "child": "failed"}, {"cancel": "accepted"}, "still", id="its-child-has-ended"),
        pytest.param({"state": "active", "grouping": True}, {"sight": True}, "gone back", id="but-it-may-go-back"),
        pytest.param({"state": "unknown"}, {"sight": True, "cancel": "accepted"}, "", id="a-word-that-nobody-knows"),
        pytest.param({"state": "cancelled"}, {"sight": True, "cancel": "accepted"}, "", id="an-end"),
        pytest.param({"state": "gone"}, {"sight": True, "cancel": "accepted"}, "", id="gone"),
    ],
)
def test_a_sign_of_life_is_what_only_a_running_process_leaves(
    build: Any, member: dict[str, Any], changes: dict[str, Any], why: str
) -> None:
    if last := changes.get("cancel"):
        sent = {Action.CANCEL: build.sent(last, at=changes.get("at", 5))}
        changes = {"sent": sent, "sight": changes.get("sight", False)}
    told = {name: value for name, value in member.items() if name != "child"}
    children = (build.seen(member["child"], job_id="2"),) if "child" in member else ()
    said = alive(build, build.seen(**told, children=children), **changes)

    assert bool(said) is bool(why)
    assert why in said


def test_a_sight_without_the_backends_time_shows_no_check_in(build: Any) -> None:
    one = build.cancellation(cancelling={"1": Sighting(build.now)})

    assert not signs_of_life(one, build.seen("cancelling", since_text="T1"), build.at(9))


@pytest.mark.parametrize(
    ("children", "signs"),
    [
        pytest.param({"2": "active"}, {"2"}, id="no-child-of-its-own"),
        pytest.param({"2": "active", "3": "cancelling"}, set(), id="a-child-of-its-own-that-is-stuck"),
        pytest.param({"2": "active", "3": "active"}, {"3"}, id="a-child-of-its-own-that-runs"),
        pytest.param({"2": "active", "3": "cancelled"}, {"2"}, id="a-child-of-its-own-that-has-ended"),
        pytest.param({"2": "cancelling", "3": "cancelling", "4": "active"}, {"4"}, id="another-ones-child"),
    ],
)
def test_a_member_that_runs_after_our_cancel_shows_life_unless_a_child_of_its_own_is_alive(
    build: Any, children: dict[str, str], signs: set[str]
) -> None:
    above = {"2": "1", "3": "2", "4": "1"}
    family = tuple(build.seen(state, job_id=one, parent=True, above=above[one]) for one, state in children.items())
    seen = build.seen("active", parent=True, children=family)
    one = build.cancellation(sent=build.cancelled(at=5))

    assert set(signs_of_life(one, seen, build.at(9))) == signs


@pytest.mark.parametrize(
    ("changes", "above", "shows"),
    [
        pytest.param({"unlisted": unanswered("a list failed")}, "1", False, id="not-all-children-were-seen"),
        pytest.param({}, "", False, id="a-living-child-may-be-its-own"),
        pytest.param({}, "1", True, id="all-children-are-anothers"),
    ],
)
def test_a_member_that_runs_shows_no_life_while_children_of_its_own_may_be_hidden(
    build: Any, changes: dict[str, Any], above: str, *, shows: bool
) -> None:
    members = [build.seen("active", job_id=one, parent=one == "2", above="1") for one in ("2", "4")]
    family = (*members, build.seen("cancelling", job_id="3", above=above))
    seen = build.seen("active", parent=True, children=family, **changes)

    signs = signs_of_life(build.cancellation(sent=build.cancelled(at=5)), seen, build.at(9))
    assert set(signs) == ({"2", "4"} if shows else {"4"})


def test_a_job_whose_known_child_is_not_on_the_list_shows_no_life_by_running(build: Any) -> None:
    one = given(build, {WHOLE: 1}, sent=build.cancelled(at=5), children={"2": build.child()})

    assert build.looked(one, build.seen("active", parent=True), 9).progress.void == {}


# What refutes a word


def back(build: Any, job_id: str = "1", **changes: Any) -> Observation:
    """A job that is active although it was in CANCELLING."""
    seen: Observation = build.seen("active", job_id=job_id, **changes)
    return seen


@pytest.mark.parametrize(
    ("word_at", "lost"),
    [
        pytest.param(8.9, True, id="a-word-from-before-the-look"),
        pytest.param(9, False, id="a-word-as-late-as-the-look"),
        pytest.param(10, False, id="a-word-that-came-while-the-look-was-made"),
    ],
)
def test_a_look_refutes_only_words_that_came_before_it(build: Any, word_at: float, *, lost: bool) -> None:
    one = given(build, {WHOLE: word_at}, cancelling={"1": Sighting(build.now)})

    assert bool(refuted(one, back(build), build.at(9))) is lost


def test_a_refuted_attestation_is_reported_with_what_refutes_it(build: Any) -> None:
    one = given(build, {WHOLE: 1}, cancelling={"1": Sighting(build.now)})

    assert refuted(one, back(build), build.at(9)) == {WHOLE: (build.word(at=1), WHOLE, "job 1 has gone back to ACTIVE")}


def test_a_word_that_no_longer_holds_is_not_refuted_again(build: Any) -> None:
    one = given(build, {WHOLE: 1}, cancelling={"1": Sighting(build.now)}, void={WHOLE: build.at(5)})

    assert refuted(one, back(build), build.at(9)) == {}


@pytest.mark.parametrize(
    ("alive", "lost"),
    [
        pytest.param("21", {WHOLE, "21"}, id="about-it-and-about-the-family"),
        pytest.param("22", {WHOLE}, id="about-the-family-alone"),
        pytest.param("23", set(), id="a-child-that-no-word-covers"),
    ],
)
def test_a_childs_sign_of_life_refutes_the_words_that_cover_it(build: Any, alive: str, lost: set[str]) -> None:
    children = {"21": build.child(), "22": build.child(), "23": build.child(8, 8)}
    sights = {job_id: Sighting(build.now) for job_id in children}
    one = given(build, {WHOLE: 1, "21": 1}, children=children, cancelling=sights, family_at=build.now)
    family = tuple(build.seen("active" if job_id == alive else "cancelled", job_id=job_id) for job_id in children)

    assert set(refuted(one, build.seen("cancelling", children=family), build.at(9))) == lost


def test_a8_a_word_is_void_once_the_job_has_checked_in_after_it(build: Any) -> None:
    """Attested while the job is stuck; it checks in later; the force step is held, not taken."""
    one = build.cancellation(sent=build.cancelled(), attestations={WHOLE: build.word(at=1)}, force=Force.ATTESTED)
    for at, since in ((2, "T1"), (8, "T2"), (9999, "T2")):
        seen = build.stuck(None, since_text=since)
        one = build.looked(one, seen, at)
    hold = decide(one, seen, build.policy(), build.at(9999))

    assert isinstance(hold, Hold)
    assert hold.gate.shut == ("remote_stopped",)


def test_a_word_that_nothing_refutes_opens_the_gate(build: Any) -> None:
    one = build.cancellation(sent=build.cancelled(), attestations={WHOLE: build.word(at=1)}, force=Force.ATTESTED)
    for at in (2, 9999):
        seen = build.stuck(None, since_text="T1")
        one = build.looked(one, seen, at)

    assert decide(one, seen, build.policy(), build.at(9999)) == Send(Action.FORCE, "1")


def test_a8_a_word_about_one_child_forces_no_other(build: Any) -> None:
    one = build.cancellation(sent=build.cancelled(), attestations={"21": build.word(at=1)}, force=Force.ATTESTED)
    for at in (2, 9999):
        stuck = tuple(build.stuck(None, job_id=job_id, since_text="T1") for job_id in ("22", "21"))
        seen = build.stuck(None, children=stuck)
        one = build.looked(one, seen, at)

    assert decide(one, seen, build.policy(), build.at(9999)) == Send(Action.FORCE, "21")


# The second source


def said(build: Any, since: float, last: float, times: int, *, gone: bool = True) -> Probed:
    return Probed(gone, build.at(since), build.at(last), times)


@pytest.mark.parametrize(
    ("before", "gone", "after"),
    [
        pytest.param(None, True, (True, 9, 9, 1), id="the-first"),
        pytest.param((True, 0, 4, 2), True, (True, 0, 9, 3), id="the-same-again"),
        pytest.param((True, 0, 4, 2), False, (False, 9, 9, 1), id="A7-alive-again"),
        pytest.param((False, 0, 4, 2), True, (True, 9, 9, 1), id="A7-the-gateway-says-404-once"),
        pytest.param((True, 0, 4, 2), None, (True, 0, 4, 2), id="it-can-not-tell"),
    ],
)
def test_what_the_second_source_says_is_a_row_of_equal_answers(
    build: Any, before: tuple[Any, ...] | None, after: tuple[Any, ...], *, gone: bool | None
) -> None:
    known = {"1": said(build, *before[1:], gone=before[0])} if before else {}

    assert probed(known, "1", gone, build.at(9)) == {"1": said(build, *after[1:], gone=after[0])}


def test_the_second_source_speaks_of_each_job_by_itself(build: Any) -> None:
    before = {"2": said(build, 0, 4, 2)}

    assert probed(before, "1", True, build.at(9)) == {**before, "1": said(build, 9, 9, 1)}


@pytest.mark.parametrize(("last", "now"), [(9, True), (8, False)], ids=["in-the-latest-look", "before-it"])
def test_only_what_the_second_source_said_in_the_latest_look_counts(build: Any, last: float, *, now: bool) -> None:
    one = build.cancellation(probes={"1": said(build, 0, last, 2)}, looked_at=build.at(9))

    assert (said_now(one, "1") is not None) is now


def test_the_second_source_says_nothing_of_a_job_that_it_was_not_asked_about(build: Any) -> None:
    assert said_now(build.cancellation(looked_at=build.at(9)), "1") is None


@pytest.mark.parametrize(
    ("row", "proven"),
    [
        pytest.param((7, 9, 2), True, id="twice-a-poll-apart"),
        pytest.param((0, 9, 3), True, id="three-times"),
        pytest.param((9, 9, 1), False, id="A7-once"),
        pytest.param((7.1, 9, 2), False, id="A7-twice-in-a-blink"),
        pytest.param((0, 8, 2), False, id="A7-not-in-the-latest-look"),
        pytest.param(None, False, id="never"),
    ],
)
def test_the_second_source_proves_a_process_gone_if_it_says_so_twice_a_poll_apart_and_now(
    build: Any, row: tuple[Any, ...] | None, *, proven: bool
) -> None:
    probes = {"1": said(build, *row)} if row else {}

    assert proven_gone(build.cancellation(probes=probes, looked_at=build.at(9)), "1", build.policy()) is proven


def test_that_a_process_runs_proves_nothing_gone(build: Any) -> None:
    one = build.cancellation(probes={"1": said(build, 0, 9, 5, gone=False)}, looked_at=build.at(9))

    assert not proven_gone(one, "1", build.policy())


def test_a7_two_answers_in_a_blink_are_no_proof_where_looks_may_come_at_once(build: Any) -> None:
    one = build.cancellation(probes={"1": said(build, 8.95, 9, 2)}, looked_at=build.at(9))

    assert not proven_gone(one, "1", build.policy(poll=Poll(0.0, 60.0)))
