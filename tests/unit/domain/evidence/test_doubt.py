"""Answers that may not be the backend's own are believed once they have lasted, and not before."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from worker.domain.cancellation import Doubted
from worker.domain.evidence.doubt import ask_again, claim_of, continued, lasting, refuses
from worker.domain.model import Observation, Poll


def said(build: Any, what: str, source: str, **changes: Any) -> Any:
    """A look's sight, or the answer to a call."""
    state = what in {"gone", "active", "cancelled"}
    return build.seen(what, source=source, **changes) if state else build.answer(what, source=source, **changes)


@pytest.mark.parametrize(
    ("what", "source", "changes", "claim"),
    [
        pytest.param("gone", "unsure", {}, Doubted.GONE, id="A3-F2-a-gateways-404"),
        pytest.param("gone", "own", {}, None, id="gone-in-the-apis-own-words"),
        pytest.param("active", "own", {}, None, id="a-sight-of-the-job"),
        pytest.param("active", "unsure", {}, None, id="a-sight-in-whatever-words"),
        pytest.param("cancelled", "own", {}, None, id="an-end-that-is-reported"),
        pytest.param("refused", "unsure", {}, Doubted.REFUSED, id="F3-403-html"),
        pytest.param("refused", "own", {"retry_after": 2.0}, Doubted.REFUSED, id="F3-403-json-and-retry-after"),
        pytest.param("refused", "own", {"retry_after": 0.0}, Doubted.REFUSED, id="403-and-retry-after-now"),
        pytest.param("refused", "own", {}, None, id="refused-in-the-apis-own-words"),
        pytest.param("refused", "credential", {}, Doubted.CREDENTIAL, id="F3-401"),
        pytest.param("not_found", "unsure", {}, None, id="a-call-that-a-look-explains"),
        *(pytest.param(kind, "unsure", {}, None, id=kind) for kind in ("accepted", "rejected", "busy", "unanswered")),
    ],
)
def test_in_doubt_is_an_absence_or_a_refusal_that_others_may_have_told(
    build: Any, what: str, source: str, changes: dict[str, Any], claim: Doubted | None
) -> None:
    assert claim_of(said(build, what, source, **changes)) is claim


@pytest.mark.parametrize(
    ("before", "what", "source", "after"),
    [
        pytest.param(None, "gone", "unsure", ("gone", 9, 9, 1), id="the-first"),
        pytest.param(("gone", 0, 4, 2), "gone", "unsure", ("gone", 0, 9, 3), id="the-same-again"),
        pytest.param(("refused", 0, 4, 2), "refused", "unsure", ("refused", 0, 9, 3), id="a-refusal-again"),
        pytest.param(("gone", 0, 4, 2), "refused", "unsure", ("refused", 9, 9, 1), id="another-claim-begins-anew"),
        pytest.param(("refused", 0, 4, 2), "refused", "credential", ("credential", 9, 9, 1), id="401-after-403"),
        pytest.param(("gone", 0, 4, 2), "unanswered", "nobody", ("gone", 0, 4, 2), id="silence-ends-nothing"),
        pytest.param(("gone", 0, 4, 2), "busy", "own", ("gone", 0, 4, 2), id="nor-does-a-busy-backend"),
        pytest.param(("gone", 0, 4, 2), "active", "own", None, id="a-sight-ends-it"),
        pytest.param(("gone", 0, 4, 2), "gone", "own", None, id="the-apis-own-word-ends-it"),
        pytest.param(("refused", 0, 4, 2), "refused", "own", None, id="the-apis-own-refusal-ends-it"),
        *(
            pytest.param(("refused", 0, 4, 2), kind, "own", None, id=f"{kind}-ends-it")
            for kind in ("accepted", "rejected", "not_found")
        ),
        pytest.param(None, "unanswered", "nobody", None, id="silence-begins-none"),
    ],
)
def test_a_row_of_doubtful_answers_goes_on_only_with_the_same_claim(
    build: Any, before: tuple[Any, ...] | None, what: str, source: str, after: tuple[Any, ...] | None
) -> None:
    row = continued(build.doubt(*before) if before else None, said(build, what, source), build.at(9))

    assert row == (build.doubt(*after) if after else None)


@pytest.mark.parametrize(
    ("last", "times", "believe_after", "believed"),
    [
        pytest.param(120, 3, 120, True, id="three-over-two-minutes"),
        pytest.param(119.999, 99, 120, False, id="F2-many-in-a-moment-less"),
        pytest.param(600, 2, 120, False, id="two-however-far-apart"),
        pytest.param(0, 1, 0, False, id="one-is-never-enough"),
        pytest.param(0, 3, 0, True, id="three-are-where-no-time-is-asked-for"),
        pytest.param(0.001, 2, 120, False, id="F3-two-401s-a-millisecond-apart"),
        pytest.param(1, 2, 120, False, id="A3-two-looks-a-second-apart"),
    ],
)
def test_a_claim_is_believed_once_three_answers_span_believe_after(
    build: Any, last: float, times: int, believe_after: float, *, believed: bool
) -> None:
    assert lasting(build.doubt("gone", 0, last, times), build.policy(believe_after=believe_after)) is believed


def test_without_a_doubtful_answer_nothing_has_lasted(build: Any) -> None:
    assert not lasting(None, build.policy(believe_after=0))


@pytest.mark.parametrize(
    ("kind", "source", "row", "final"),
    [
        pytest.param("refused", "own", None, True, id="in-the-apis-own-words"),
        pytest.param("refused", "unsure", ("refused", 0, 0, 1), False, id="F3-one-403-of-anybody"),
        pytest.param("refused", "unsure", ("refused", 0, 120, 3), True, id="F3-that-lasts"),
        pytest.param("refused", "credential", ("credential", 0, 1, 2), False, id="F3-two-401s"),
        pytest.param("refused", "credential", ("credential", 0, 120, 3), True, id="a-credential-refused-for-long"),
        pytest.param("busy", "own", ("refused", 0, 120, 3), False, id="a-busy-backend-refuses-nothing"),
        pytest.param("unanswered", "nobody", ("refused", 0, 120, 3), False, id="nor-does-silence"),
        pytest.param("rejected", "own", None, False, id="nor-a-job-in-another-state"),
        pytest.param("not_found", "unsure", None, False, id="nor-an-absence"),
    ],
)
def test_a_refusal_is_final_in_the_apis_own_words_or_once_it_has_lasted(
    build: Any, kind: str, source: str, row: tuple[Any, ...] | None, *, final: bool
) -> None:
    doubt = build.doubt(*row) if row else None

    assert refuses(build.answer(kind, source=source), doubt, build.policy()) is final


@pytest.mark.parametrize(
    ("now", "pause", "first", "due"),
    [
        pytest.param(0, 2, 2, 2, id="after-the-pause"),
        pytest.param(0, 60, 2, 30, id="but-four-times-in-believe-after"),
        pytest.param(0, 60, 50, 50, id="and-not-before-poll-first"),
        pytest.param(100, 60, 2, 120, id="when-it-would-have-lasted"),
        pytest.param(119, 60, 2, 120, id="a-moment-before-that"),
        pytest.param(120, 60, 2, 150, id="it-has-lasted-and-was-told-too-rarely"),
        pytest.param(90, 2, 2, 92, id="the-pause-ends-before-that"),
    ],
)
def test_while_an_answer_is_in_doubt_it_is_asked_again_often_enough_to_know(
    build: Any, now: float, pause: float, first: float, due: float
) -> None:
    policy, row = build.policy(poll=Poll(float(first), 60.0)), build.doubt("gone", 0, now, 2)

    assert ask_again(row, policy, build.at(now), timedelta(seconds=pause)) == build.at(due)


def test_a_row_that_goes_on_as_often_as_it_is_asked_for_is_believed_in_time(build: Any) -> None:
    """This is independent of how long the pauses between looks have grown."""
    policy, at, row = build.policy(), build.now, None
    gone: Observation = build.seen("gone", source="unsure")
    while not lasting(row, policy):
        row = continued(row, gone, at)
        assert row is not None
        at = ask_again(row, policy, at, timedelta(hours=1))

    assert row is not None
    assert row.last == build.at(policy.believe_after)
