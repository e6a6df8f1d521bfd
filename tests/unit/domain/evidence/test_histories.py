"""Any history of looks: an answer that may be a gateway's ends nothing before it has lasted, and never proves anything.

The row of doubtful looks is counted here from the history alone, never from the core's record.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.domain import evolve
from worker.domain.cancellation import Cancellation
from worker.domain.decision import Decision, Finish
from worker.domain.escalation import decide
from worker.domain.evidence.family import whole
from worker.domain.model import Answer, Observation, Outcome, Policy, Verb

VAGUE = ("gone", "unsure")
SILENT = {("unanswered", "nobody"), ("unanswered", "own"), ("busy", "own")}
ENDS = {("cancelled", "own"), ("succeeded", "own"), ("failed", "own")}
OTHERS = [
    *SILENT,
    *ENDS,
    ("active", "own"),
    ("cancelling", "own"),
    ("unknown", "own"),
    ("refused", "unsure"),
    ("refused", "credential"),
]
LOOKS = st.one_of(st.just(VAGUE), st.just(VAGUE), st.sampled_from(sorted(OTHERS)))
GAPS = st.sampled_from([0.0, 0.001, 1.0, 15.0, 59.0, 60.0, 600.0])
HISTORIES = st.lists(st.tuples(GAPS, LOOKS), min_size=1, max_size=12)


def told(build: Any, what: str, source: str) -> Observation | Answer:
    """The result of a look: a sight of the job, or an answer that shows nothing."""
    answers = {"unanswered", "busy", "refused"}
    said: Observation | Answer = (
        build.answer(what, source=source) if what in answers else build.seen(what, source=source)
    )
    return said


def look(one: Cancellation, said: Observation | Answer, policy: Policy, at: datetime) -> tuple[Cancellation, Decision]:
    """One look, taken in as by a pass, and the decision after it."""
    if isinstance(said, Answer):
        one = evolve.look_failed(one, said, at)
        return one, decide(one, said, policy, at)
    said = whole(one, said)
    one = evolve.observed(one, said, policy, at, looks=1, asked=at)
    return one, decide(one, said, policy, at)


@pytest.mark.parametrize("kind", ["ess", "oml", "mrs", "sahara"])
@pytest.mark.parametrize("verb", list(Verb))
def test_a_vague_absence_ends_nothing_before_three_in_a_row_span_believe_after_and_is_safe_only_after_an_end(
    build: Any, kind: str, verb: Verb
) -> None:
    @settings(max_examples=150, deadline=None)
    @given(
        history=HISTORIES,
        believe_after=st.sampled_from([0.0, 30.0, 120.0]),
        appears_within=st.sampled_from([0.0, 200.0]),
        last=st.sampled_from(["", "accepted", "unanswered", "rejected"]),
        word=st.booleans(),
    )
    def holds(
        history: list[tuple[float, tuple[str, str]]],
        believe_after: float,
        appears_within: float,
        last: str,
        *,
        word: bool,
    ) -> None:
        policy = build.policy(kind, believe_after=believe_after, appears_within=appears_within)
        sent = build.cancelled(last) if last else {}
        one = build.cancellation(verb=verb, sent=sent, remote_stopped="ann" if word else "")
        at, row, ended = build.now, [], False
        for gap, said in history:
            at += timedelta(seconds=gap)
            row = [*row, at] if said == VAGUE else row if said in SILENT else []
            one, decision = look(one, told(build, *said), policy, at)
            if said == VAGUE and isinstance(decision, Finish) and decision.outcome is not Outcome.TIMED_OUT:
                assert len(row) >= 3
                assert (row[-1] - row[0]).total_seconds() >= believe_after
                assert ended or not decision.safe_to_rerun
            if isinstance(decision, Finish):
                return
            ended |= said in ENDS

    holds()


def test_there_are_histories_that_a_vague_absence_ends(build: Any) -> None:
    """Otherwise the property above would be true for a core that never believes one."""
    one, policy = build.cancellation(), build.policy()
    decisions = []
    for at in (0, 60, 120):
        one, decision = look(one, told(build, *VAGUE), policy, build.at(at))
        decisions.append(isinstance(decision, Finish))

    assert decisions == [False, False, True]
