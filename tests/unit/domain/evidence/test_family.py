"""What is remembered of a job's children: one that was seen alive stays alive until it is seen to end."""

from __future__ import annotations

from typing import Any

import pytest

from worker.domain.cancellation import Cancellation, Child
from worker.domain.decision import Finish, Send, Wait
from worker.domain.escalation import decide
from worker.domain.evidence.family import not_shown, remembered, whole
from worker.domain.model import Action, Force, JobState, Observation, Source


def parent(build: Any, *children: Observation, state: str = "active", **changes: Any) -> Observation:
    seen: Observation = build.seen(state, parent=True, children=children, **changes)
    return seen


def kept(build: Any, before: dict[str, Child], seen: Observation, **changes: Any) -> dict[str, Child]:
    """What is remembered after a look at 9 s."""
    return dict(remembered(build.cancellation(children=before, **changes), seen, build.at(9)))


def test_a_child_is_remembered_from_its_first_sight_on(build: Any) -> None:
    assert kept(build, {}, parent(build, build.seen(job_id="2"))) == {"2": build.child(9, 9)}


def test_a_childs_first_sighting_is_kept_and_its_last_one_moves(build: Any) -> None:
    assert kept(build, {"2": build.child(1, 5)}, parent(build, build.seen(job_id="2"))) == {"2": build.child(1, 9)}


@pytest.mark.parametrize("state", ["active", "cancelling", "unknown"])
def test_whatever_is_no_end_is_alive(build: Any, state: str) -> None:
    assert set(kept(build, {}, parent(build, build.seen(state, job_id="2")))) == {"2"}


def test_an_end_that_may_be_taken_back_is_no_end(build: Any) -> None:
    seen = parent(build, build.seen("failed", job_id="2", provisional=True))

    assert set(kept(build, {}, seen)) == {"2"}


def test_a_job_that_never_had_children_remembers_none(build: Any) -> None:
    assert kept(build, {}, build.seen()) == {}


def test_a5_a_child_that_a_list_leaves_out_is_kept_and_asked_about_first(build: Any) -> None:
    before = {"2": build.child(1, 5), "3": build.child(1, 5), "4": build.child(1, 5)}
    after = kept(build, before, parent(build, build.seen(job_id="2"), build.seen(job_id="4")))

    assert list(after) == ["3", "2", "4"]
    assert after["3"] == build.child(1, 5)


def test_a_child_that_the_adapter_names_from_our_own_memory_is_not_shown(build: Any) -> None:
    unseen = Observation(JobState.UNKNOWN, "", Source.OWN, "2")

    assert kept(build, {"2": build.child(1, 5)}, parent(build, unseen)) == {"2": build.child(1, 5)}


@pytest.mark.parametrize("state", ["cancelled", "succeeded", "failed"])
def test_a_child_that_is_seen_to_end_is_forgotten(build: Any, state: str) -> None:
    assert kept(build, {"2": build.child(1, 5)}, parent(build, build.seen(state, job_id="2"))) == {}


@pytest.mark.parametrize(
    ("changes", "sent"),
    [
        pytest.param({"long": True}, {}, id="A6-where-the-history-is-too-long-to-be-read-again"),
        pytest.param({}, {"force:2": "accepted"}, id="where-it-was-forced"),
        pytest.param({}, {"force:2": "unanswered"}, id="where-a-force-of-it-went-unanswered"),
    ],
)
def test_a_childs_end_is_kept_if_later_looks_or_the_outcome_need_it(
    build: Any, changes: dict[str, Any], sent: dict[str, str]
) -> None:
    seen = parent(build, build.seen("cancelled", "CANCELLED", job_id="2", ended_at=build.at(7)), **changes)
    after = kept(build, {"2": build.child(1, 5)}, seen, sent={key: build.sent(last) for key, last in sent.items()})

    assert after == {"2": build.child(1, 5, state=JobState.CANCELLED, raw="CANCELLED", ended_at=build.at(7))}


def test_a_child_whose_record_is_gone_is_kept_as_no_later_look_shows_it(build: Any) -> None:
    after = kept(build, {"2": build.child(1, 5)}, parent(build, build.seen("gone", "404", job_id="2")))

    assert after == {"2": build.child(1, 5, state=JobState.GONE, raw="404")}


def test_a6_a_past_run_that_was_never_seen_alive_is_not_kept(build: Any) -> None:
    assert kept(build, {}, parent(build, build.seen("succeeded", job_id="2"), long=True)) == {}


def test_a_child_that_lives_again_is_alive_from_its_first_sight_on(build: Any) -> None:
    before = {"2": build.child(1, 5, state=JobState.CANCELLED, raw="CANCELLED")}

    assert kept(build, before, parent(build, build.seen(job_id="2"))) == {"2": build.child(1, 9)}


# The whole family


def test_a_sight_without_an_id_is_of_the_job_itself(build: Any) -> None:
    assert whole(build.cancellation(), build.seen(job_id="")).job_id == "1"


def test_a_sight_that_shows_every_child_is_whole(build: Any) -> None:
    seen = parent(build, build.seen(job_id="2"))

    assert whole(build.cancellation(children={"2": build.child()}), seen) is seen


def test_a_living_child_that_is_not_shown_is_added_in_no_state(build: Any) -> None:
    seen = whole(
        build.cancellation(children={"2": build.child(), "3": build.child()}), parent(build, build.seen(job_id="3"))
    )

    assert [(one.job_id, one.state, one.raw) for one in seen.children] == [
        ("3", JobState.ACTIVE, "ACTIVE"),
        ("2", JobState.UNKNOWN, ""),
    ]


def test_a_child_whose_end_is_kept_is_added_with_it(build: Any) -> None:
    ended = build.child(state=JobState.CANCELLED, raw="CANCELLED", ended_at=build.at(7))
    (child,) = whole(build.cancellation(children={"2": ended}), parent(build)).children

    assert (child.state, child.raw, child.ended_at) == (JobState.CANCELLED, "CANCELLED", build.at(7))


@pytest.mark.parametrize(
    ("state", "raw", "expected"),
    [
        pytest.param("unknown", "", True, id="no-state-and-no-word"),
        pytest.param("unknown", "ODD", False, id="a-word-that-nobody-knows"),
        pytest.param("active", "", False, id="a-state"),
    ],
)
def test_a_child_is_not_shown_where_the_backend_has_no_word_for_it(state: str, raw: str, *, expected: bool) -> None:
    assert not_shown(Observation(JobState(state), raw, Source.OWN, "2")) is expected


# What it is for


def walked(build: Any, *looks: tuple[float, Observation], **changes: Any) -> tuple[Cancellation, Observation]:
    """A cancellation whose cancel was accepted, after these looks, and the whole of what the last one shows."""
    cancellation: Cancellation = build.cancellation(sent=build.cancelled(), **changes)
    for at, seen in looks:
        cancellation = build.looked(cancellation, seen, at)
    return cancellation, whole(cancellation, looks[-1][1])


def test_a5_a_parent_has_not_ended_while_a_child_that_was_seen_alive_is_in_no_list(build: Any) -> None:
    both = parent(build, build.seen(job_id="21"), build.seen(job_id="22"))
    one = parent(build, build.seen("cancelled", job_id="22"), state="cancelled")
    cancellation, seen = walked(build, (0, both), *((at, one) for at in (2, 60, 600)))

    assert isinstance(decide(cancellation, seen, build.policy(), build.at(600)), Wait)


def test_a5_a_parent_has_ended_once_its_last_child_is_seen_to_end(build: Any) -> None:
    both = parent(build, build.seen(job_id="21"), build.seen(job_id="22"))
    ended = parent(build, build.seen("cancelled", job_id="21"), build.seen("cancelled", job_id="22"), state="cancelled")
    cancellation, seen = walked(build, (0, both), (2, ended), (4, ended))

    assert isinstance(decide(cancellation, seen, build.policy(), build.at(4)), Finish)


def test_a5_a_parent_is_not_forced_over_a_child_that_a_list_leaves_out(build: Any) -> None:
    stuck = build.stuck(None, children=(), parent=True)
    changes = {"children": {"21": build.child()}, "force": Force.AUTO}
    cancellation, seen = walked(build, (0, stuck), (9999, stuck), **changes)

    assert isinstance(decide(cancellation, seen, build.policy(force=Force.AUTO), build.at(9999)), Wait)


def test_a_stuck_parent_whose_children_have_all_ended_is_forced(build: Any) -> None:
    stuck = build.stuck(None, parent=True)
    cancellation, seen = walked(build, (0, stuck), (9999, stuck), force=Force.AUTO)

    assert decide(cancellation, seen, build.policy(force=Force.AUTO), build.at(9999)) == Send(Action.FORCE, "1")


def test_the_living_children_are_named_to_the_adapter_those_to_be_asked_about_first_in_front(build: Any) -> None:
    both = parent(build, build.seen(job_id="21"), build.seen(job_id="22"))
    cancellation, _ = walked(build, (0, both), (2, parent(build, build.seen(job_id="21"), long=True, pages=3)))

    assert (cancellation.job.living, cancellation.job.parent) == (("22", "21"), True)
    assert (cancellation.job.pages, cancellation.job.long) == (3, True)


def test_a6_a_child_whose_end_is_kept_is_not_asked_about_again(build: Any) -> None:
    ended = parent(build, build.seen("cancelled", job_id="21"), long=True)
    cancellation, _ = walked(build, (0, parent(build, build.seen(job_id="21"))), (2, ended))

    assert cancellation.job.living == ()
