"""Looks after the end: when they are due, and what shows that a job is alive again."""

from __future__ import annotations

from typing import Any

import pytest
from unit.conftest import Build

from worker.domain.after_the_end import lives, next_look, shows
from worker.domain.decision import ENDED
from worker.domain.event_drafts import reappeared
from worker.domain.model import Outcome, Poll

WATCH = (60.0, 300.0)


@pytest.mark.parametrize(
    ("now", "due"),
    [(0, 60), (59, 60), (60, 300), (299, 300), (300, None), (999, None)],
    ids=["at-the-end", "before-the-first", "at-the-first", "before-the-last", "at-the-last", "later"],
)
def test_looks_are_counted_from_the_end(now: float, due: float | None, build: Build) -> None:
    found = next_look(build.now, WATCH, build.policy(), build.at(now), shown=True)
    assert found == (None if due is None else build.at(due))


@pytest.mark.parametrize(
    ("watch", "now", "due"),
    [
        (WATCH, 60, 120),
        (WATCH, 250, 300),
        (WATCH, 300, 360),
        (WATCH, 420, 480),
        (WATCH, 421, None),
        ((60.0, 86400.0), 180, 240),
        ((60.0, 86400.0), 181, 86400),
        ((), 0, 60),
    ],
    ids=[
        "soon",
        "not-past-the-next",
        "after-the-last",
        "just-within",
        "given-up",
        "long-before-the-next",
        "given-up-until-the-next",
        "no-longer-configured",
    ],
)
def test_a_look_that_showed_nothing_is_repeated(
    watch: tuple[float, ...], now: float, due: float | None, build: Build
) -> None:
    policy = build.policy(poll=Poll(2.0, 60.0, 2.0), believe_after=120.0)
    found = next_look(build.now, watch, policy, build.at(now), shown=False)
    assert found == (None if due is None else build.at(due))


@pytest.mark.parametrize("outcome", Outcome)
def test_a_job_counts_as_ended_after_five_outcomes(outcome: Outcome) -> None:
    expected = {"cancelled", "force_cancelled", "deleted", "already_finished", "completed_anyway"}
    assert (outcome in ENDED) is (outcome in expected)


@pytest.mark.parametrize(
    ("seen", "alive"),
    [
        ({"state": "active"}, True),
        ({"state": "cancelling"}, True),
        ({"state": "cancelled"}, False),
        ({"state": "gone"}, False),
        ({"state": "unknown"}, False),
        ({"state": "active", "source": "unsure"}, False),
    ],
    ids=["active", "cancelling", "ended", "gone", "unknown-word", "not-the-backends-own-words"],
)
def test_only_the_backends_own_words_show_a_job_alive(seen: dict[str, Any], alive: bool, build: Build) -> None:  # noqa: FBT001 - a table's column
    assert lives(build.seen(**seen)) is alive


@pytest.mark.parametrize(
    ("seen", "shown"),
    [
        ({"state": "cancelled"}, True),
        ({"state": "gone"}, True),
        ({"state": "gone", "source": "unsure"}, False),
        ({"state": "unknown"}, False),
        ({"state": "cancelled", "child": "failed"}, True),
        ({"state": "cancelled", "child": "unknown"}, False),
        ({"state": "cancelled", "list": ("unanswered", 503, "nobody")}, False),
        ({"state": "cancelled", "list": ("busy", 429, "own")}, False),
        ({"state": "cancelled", "list": ("unanswered", None, "nobody")}, False),
        ({"state": "cancelled", "list": ("unanswered", 200, "own")}, True),
        (None, False),
    ],
    ids=[
        "ended",
        "gone-in-its-own-words",
        "a-gateways-404",
        "an-unknown-word",
        "a-family-that-has-ended",
        "a-child-in-an-unknown-word",
        "a-list-that-failed",
        "a-list-that-asks-for-time",
        "a-list-without-an-answer",
        "a-list-that-is-too-long",
        "no-answer",
    ],
)
def test_only_a_look_that_shows_how_the_job_is_need_not_be_repeated(
    seen: dict[str, Any] | None, build: Build, *, shown: bool
) -> None:
    if seen is None:
        assert shows(build.answer("unanswered", 503)) is shown
        return
    children = (build.seen(seen["child"], job_id="2"),) if "child" in seen else ()
    unlisted = build.answer(*seen["list"]) if "list" in seen else None
    told = {name: seen[name] for name in seen if name in {"state", "source"}}

    assert shows(build.seen(**told, children=children, unlisted=unlisted)) is shown


def test_a_family_lives_while_a_child_does(build: Build) -> None:
    assert lives(build.seen("succeeded", children=(build.seen("active", job_id="2"),)))


def test_the_event_says_what_was_seen_and_how_the_cancellation_had_ended(build: Build) -> None:
    children = (build.seen("active", job_id="2"), build.seen("failed", job_id="3"))
    draft = reappeared(build.seen("active", children=children), Outcome.CANCELLED, build.now)

    assert (draft.name, draft.data) == (
        "reappeared",
        {
            "outcome": "cancelled",
            "finished_at": "2026-11-22T10:00:00.000Z",
            "job_state": "active",
            "raw_state": "ACTIVE",
            "children": [{"job_id": "2", "job_state": "active", "raw_state": "ACTIVE"}],
            "backend_facts": {},
        },
    )
