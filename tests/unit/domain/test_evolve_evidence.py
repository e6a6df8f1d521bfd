"""What a cancellation keeps of looks and answers as evidence."""

from __future__ import annotations

from typing import Any

import pytest

from worker.domain import evolve
from worker.domain.cancellation import WHOLE, Cancellation, ClockReading, Probed, Sighting
from worker.domain.decision import Send
from worker.domain.model import Action, Answer, AnswerKind, JobState, Observation, Source

CANCEL = Send(Action.CANCEL, "1")


def answered(build: Any, answer: Answer, at: float, came: float | None = None, **changes: Any) -> Cancellation:
    """A cancellation whose cancel was sent at `at` and answered at `came`."""
    one = evolve.intended(build.cancellation(**changes), CANCEL, build.at(at))
    return evolve.answered(one, CANCEL, answer, build.policy(), build.at(at if came is None else came))


# Doubt


def test_a_doubtful_look_begins_a_row_at_its_beginning(build: Any) -> None:
    one = evolve.observed(
        build.cancellation(), build.seen("gone", source="unsure"), build.policy(), build.at(9), asked=build.at(5)
    )

    assert one.progress.doubt == build.doubt("gone", 5, 5, 1)


@pytest.mark.parametrize(
    ("answer", "after"),
    [
        pytest.param(("refused", "unsure"), ("refused", 9, 9, 1), id="refused"),
        pytest.param(("unanswered", "nobody"), ("gone", 0, 4, 2), id="no-reply"),
        pytest.param(("refused", "own"), None, id="refused-in-its-own-words"),
    ],
)
def test_a_failed_look_goes_on_with_the_row_or_ends_it(
    build: Any, answer: tuple[str, str], after: tuple[Any, ...] | None
) -> None:
    one = build.cancellation(doubt=build.doubt("gone", 0, 4, 2))
    failed = evolve.look_failed(one, build.answer(answer[0], source=answer[1]), build.at(9))

    assert failed.progress.doubt == (build.doubt(*after) if after else None)


def test_each_changing_call_has_a_row_of_its_own(build: Any) -> None:
    one = build.cancellation(doubt=build.doubt("gone", 0, 4, 2))
    for at in (5, 9):
        one = evolve.answered(one, CANCEL, build.answer("refused", 403, "unsure"), build.policy(), build.at(at))

    assert one.progress.sent["cancel"].doubt == build.doubt("refused", 5, 9, 2)
    assert one.progress.doubt == build.doubt("gone", 0, 4, 2)


def test_an_answer_that_is_no_refusal_ends_the_row_of_its_call(build: Any) -> None:
    sent = build.cancelled("refused", doubt=build.doubt("refused", 0, 4, 2))

    assert answered(build, build.answer("rejected", 400), 9, sent=sent).progress.sent["cancel"].doubt is None


def test_what_anybody_may_have_said_shows_no_cancelling_and_forgets_none(build: Any) -> None:
    one = build.cancellation(cancelling={"1": Sighting(build.now, "T1")})

    assert build.looked(one, build.seen("gone", source="unsure"), 9).progress.cancelling == {
        "1": Sighting(build.now, "T1")
    }


# Life, and what comes before CANCELLING


@pytest.mark.parametrize(
    ("state", "alive"),
    [("active", 9), ("cancelling", 9), ("unknown", 4), ("cancelled", 4), ("gone", 4)],
)
def test_the_last_look_that_showed_the_job_alive_is_kept(build: Any, state: str, alive: float) -> None:
    one = build.looked(build.cancellation(alive_at=build.at(4)), build.seen(state), 9)

    assert one.progress.alive_at == build.at(alive)


def test_a_first_sight_of_cancelling_knows_when_the_job_was_certainly_not_there_yet(build: Any) -> None:
    one = build.looked(build.cancellation(), build.seen("active"), 4)

    assert build.looked(one, build.stuck(None, since_text="T1"), 9).progress.cancelling == {
        "1": Sighting(build.at(9), "T1", build.at(4))
    }


def test_a_check_in_was_after_the_look_before(build: Any) -> None:
    one = build.cancellation()
    for at, since in ((2, "T1"), (4, "T1"), (9, "T2")):
        one = build.looked(one, build.stuck(None, since_text=since), at)

    assert one.progress.cancelling == {"1": Sighting(build.at(9), "T2", build.at(4))}


@pytest.mark.parametrize(
    ("raw", "kept"), [pytest.param("", {"1", "2"}, id="not-shown"), pytest.param("ODD", {"1"}, id="in-another-word")]
)
def test_the_sight_of_a_stuck_child_is_kept_where_a_list_does_not_show_it(build: Any, raw: str, kept: set[str]) -> None:
    both = build.stuck(None, children=(build.stuck(None, job_id="2"),))
    child = Observation(JobState.UNKNOWN, raw, Source.OWN, "2")
    one = build.looked(build.looked(build.cancellation(), both, 2), build.stuck(None, children=(child,)), 9)

    assert set(one.progress.cancelling) == kept


# Words that were refuted


def test_a_word_is_void_from_the_look_on_that_refutes_it(build: Any) -> None:
    one = build.cancellation(attestations={WHOLE: build.word(at=1)}, cancelling={"1": Sighting(build.now)})
    seen = build.seen("active")
    void = evolve.observed(one, seen, build.policy(), build.at(9), asked=build.at(5)).progress.void

    assert void == {WHOLE: build.at(5)}


def test_what_was_refuted_before_stays_so(build: Any) -> None:
    one = build.cancellation(
        attestations={WHOLE: build.word(at=1)}, cancelling={"1": Sighting(build.now)}, void={"2": build.at(3)}
    )

    assert build.looked(one, build.seen("active"), 9).progress.void == {"2": build.at(3), WHOLE: build.at(9)}


def test_a_look_that_refutes_nothing_leaves_words_alone(build: Any) -> None:
    one = build.cancellation(attestations={WHOLE: build.word(at=1)})

    assert build.looked(one, build.seen("active"), 9).progress.void == {}


# The second source


def said(build: Any, at: float) -> Probed:
    return Probed(gone=True, since=build.at(at), last=build.at(at))


def test_what_the_second_source_says_counts_from_the_look_that_asked_for_it(build: Any) -> None:
    one = evolve.probed(build.cancellation(looked_at=build.at(9)), "1", gone=True)

    assert one.progress.probes == {"1": said(build, 9)}


def test_the_second_source_says_nothing_about_a_job_that_was_never_looked_at(build: Any) -> None:
    one = build.cancellation()

    assert evolve.probed(one, "1", gone=True) is one


@pytest.mark.parametrize(
    ("seen", "kept"),
    [
        pytest.param({"state": "active"}, {"2"}, id="A7-it-runs-again"),
        pytest.param({"state": "cancelling", "since_text": "T2"}, {"2"}, id="it-has-checked-in"),
        pytest.param({"state": "cancelling", "since_text": "T1"}, {"1", "2"}, id="it-is-still-stuck"),
        pytest.param({"state": "cancelled"}, {"1", "2"}, id="it-has-ended"),
    ],
)
def test_a_sign_of_life_drops_what_the_second_source_said_of_that_job(
    build: Any, seen: dict[str, Any], kept: set[str]
) -> None:
    probes = {job_id: said(build, 1) for job_id in ("1", "2")}
    one = build.cancellation(cancelling={"1": Sighting(build.now, "T1")}, probes=probes)

    assert set(build.looked(one, build.seen(**seen), 9).progress.probes) == kept


@pytest.mark.parametrize(("action", "proven"), [(Action.FORCE, True), (Action.CANCEL, False)])
def test_a_force_remembers_whether_the_second_source_had_just_said_so(
    build: Any, action: Action, *, proven: bool
) -> None:
    send = Send(action, "1")
    one = evolve.intended(build.cancellation(**build.gone_by_probe()), send, build.now)
    one = evolve.answered(one, send, build.answer("accepted", 200), build.policy(), build.now)

    assert next(iter(one.progress.sent.values())).probed is proven


# Families


def parent(build: Any, state: str = "cancelled", **changes: Any) -> Observation:
    seen: Observation = build.seen(state, **{"parent": True, **changes})
    return seen


@pytest.mark.parametrize(
    ("looks", "closed_at"),
    [
        pytest.param([(2, {})], 2, id="the-first-look"),
        pytest.param([(2, {}), (9, {})], 2, id="a-second-one-keeps-it"),
        pytest.param([(2, {}), (4, {"state": "active"}), (9, {})], 9, id="alive-in-between"),
        pytest.param([(2, {"child": "active"})], None, id="a-child-lives"),
        pytest.param([(2, {"child": "cancelled"})], 2, id="its-child-has-ended-too"),
        pytest.param([(2, {"unlisted": True})], None, id="A5-the-list-could-not-be-read"),
        pytest.param([(2, {"parent": False})], None, id="a-job-without-children"),
        pytest.param([(2, {"state": "active"}), (4, {"parent": False})], 4, id="one-that-had-some"),
        pytest.param([(2, {}), (4, {"state": "gone"})], None, id="a-record-that-is-gone-shows-no-family"),
        pytest.param([(2, {"provisional": True})], None, id="an-end-that-may-be-taken-back"),
    ],
)
def test_a_family_is_closed_from_the_first_look_in_a_row_that_shows_all_of_it_ended(
    build: Any, looks: list[tuple[float, dict[str, Any]]], closed_at: float | None
) -> None:
    one = build.cancellation()
    for at, changes in looks:
        seen = {name: changes[name] for name in changes if name not in {"child", "unlisted"}}
        if state := changes.get("child"):
            seen["children"] = (build.seen(state, job_id="2"),)
        if changes.get("unlisted"):
            seen["unlisted"] = build.answer("unanswered", source="nobody")
        one = build.looked(one, parent(build, **seen), at)

    assert one.progress.closed_at == (None if closed_at is None else build.at(closed_at))


@pytest.mark.parametrize(
    ("looks", "family_at"),
    [
        pytest.param([(2, {})], 2, id="a-parent"),
        pytest.param([(2, {}), (9, {})], 2, id="and-not-anew"),
        pytest.param([(2, {"unlisted": True}), (9, {})], 9, id="once-its-children-could-be-seen"),
        pytest.param([(2, {"parent": False})], None, id="a-job-without-children"),
        pytest.param([(2, {"parent": False, "child": True})], 2, id="a-job-that-shows-some"),
    ],
)
def test_when_a_family_was_first_seen_is_kept(
    build: Any, looks: list[tuple[float, dict[str, Any]]], family_at: float | None
) -> None:
    one = build.cancellation()
    for at, changes in looks:
        why = build.answer("unanswered", source="nobody") if changes.get("unlisted") else None
        children = (build.seen(job_id="2"),) if changes.get("child") else ()
        seen = parent(build, "active", parent=changes.get("parent", True), unlisted=why, children=children)
        one = build.looked(one, seen, at)

    assert one.progress.family_at == (None if family_at is None else build.at(family_at))


def test_children_that_were_seen_alive_are_remembered(build: Any) -> None:
    one = build.looked(build.cancellation(), parent(build, "active", children=(build.seen(job_id="2"),)), 9)

    assert one.progress.children == {"2": build.child(9, 9)}


def test_a5_the_end_of_a_parent_is_none_while_a_remembered_child_lives(build: Any) -> None:
    one = build.looked(build.cancellation(children={"2": build.child()}), parent(build), 9)

    assert one.progress.end is None


def test_how_far_a_long_list_was_read_is_kept_for_the_next_look(build: Any) -> None:
    one = build.looked(build.cancellation(), parent(build, pages=7, long=True), 9)

    assert (one.progress.pages, one.progress.long) == (7, True)


def test_why_children_could_not_be_seen_is_noted_beside_what_the_backend_says(build: Any) -> None:
    seen = parent(build, "active", detail="on hold", unlisted=build.answer("unanswered", 503, detail="the list failed"))

    assert build.looked(build.cancellation(), seen, 9).progress.note == "on hold; the list failed"


# The backend's clock


def test_a_look_reads_the_backends_clock(build: Any) -> None:
    one = build.looked(build.cancellation(), build.seen(clock=build.at(500)), 9)

    assert one.progress.clock == ClockReading(build.at(500), build.at(9))


def test_an_answer_reads_the_backends_clock_and_a_look_after_it_makes_it_steady(build: Any) -> None:
    one = answered(build, build.answer("accepted", 200, clock=build.at(500)), 1, 2)
    one = build.looked(one, build.seen(clock=build.at(507)), 9)

    assert one.progress.clock == ClockReading(build.at(500), build.at(2), steady=True)


def test_a10_a_date_that_has_not_moved_as_time_did_begins_the_reading_anew(build: Any) -> None:
    one = build.looked(build.cancellation(clock=build.steady()), build.seen(clock=build.at(0)), 9)

    assert one.progress.clock == ClockReading(build.now, build.at(9), anew=True)


@pytest.mark.parametrize("kind", [AnswerKind.UNANSWERED, AnswerKind.BUSY])
def test_an_answer_without_a_date_leaves_the_reading_alone(build: Any, kind: AnswerKind) -> None:
    assert answered(build, build.answer(kind), 1, clock=build.steady()).progress.clock == build.steady()


# An end


@pytest.mark.parametrize("state", ["active", "cancelling"])
def test_an_end_is_forgotten_once_the_job_is_seen_alive_again(build: Any, state: str) -> None:
    ended = build.looked(build.cancellation(), build.seen("failed"), 1)
    assert ended.progress.end is not None

    assert build.looked(ended, build.seen(state), 2).progress.end is None


@pytest.mark.parametrize(("state", "source"), [("gone", "own"), ("gone", "unsure"), ("unknown", "own")])
def test_an_end_is_kept_while_nothing_shows_the_job_alive(build: Any, state: str, source: str) -> None:
    ended = build.looked(build.cancellation(), build.seen("failed"), 1)

    assert build.looked(ended, build.seen(state, source=source), 2).progress.end == ended.progress.end
