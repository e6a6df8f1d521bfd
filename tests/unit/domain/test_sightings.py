"""What is kept of a job in CANCELLING over looks that do not show its state, or its time there."""

from __future__ import annotations

from typing import Any

import pytest

from worker.domain.cancellation import WHOLE, Cancellation, Sighting
from worker.domain.decision import Hold, Send
from worker.domain.escalation import decide
from worker.domain.evidence.clock import cancelling_for
from worker.domain.force_gate import gate
from worker.domain.model import Action, Force, Observation

GAPS = [
    pytest.param({"since_text": ""}, id="no-time"),
    pytest.param({"state": "unknown", "raw": "UNKNOWN", "since_text": "T1"}, id="an-unknown-state"),
    pytest.param({"state": "unknown", "raw": "COMPLETING", "since_text": ""}, id="an-unknown-word-and-no-time"),
    pytest.param({"state": "gone", "raw": "404", "source": "unsure"}, id="a-gateways-404"),
    pytest.param({"state": "cancelled"}, id="an-end-that-is-taken-back"),
]
"""Looks that do not show since when a job has been in CANCELLING."""


def stuck(build: Any, since: str, **changes: Any) -> Observation:
    seen: Observation = build.stuck(None, **{"since_text": since, **changes})
    return seen


def attested(build: Any, *looks: Observation, about: str = WHOLE) -> Cancellation:
    """A cancellation with an attestation of 3 s, after looks at 2, 4, 6 … s."""
    one: Cancellation = build.cancellation(
        sent=build.cancelled(), attestations={about: build.word(at=3)}, force=Force.ATTESTED
    )
    for number, seen in enumerate(looks, 1):
        one = build.looked(one, seen, 2 * number)
    return one


# A check-in


@pytest.mark.parametrize("gap", GAPS)
@pytest.mark.parametrize("again", [1, 2], ids=["one-look", "two-looks"])
def test_a_check_in_refutes_an_attestation_also_after_looks_that_do_not_show_the_time(
    build: Any, gap: dict[str, Any], again: int
) -> None:
    one = attested(build, stuck(build, "T1"), *[stuck(build, **{"since": "", **gap})] * again)
    assert not one.progress.void

    assert set(build.looked(one, stuck(build, "T2"), 20).progress.void) == {WHOLE}


@pytest.mark.parametrize("gap", GAPS)
def test_the_same_time_refutes_no_attestation_after_such_a_look(build: Any, gap: dict[str, Any]) -> None:
    one = attested(build, stuck(build, "T1"), stuck(build, **{"since": "", **gap}), stuck(build, "T1"))

    assert not one.progress.void


@pytest.mark.parametrize("gap", GAPS)
def test_a_check_in_counts_after_a_first_look_back_that_shows_no_time(build: Any, gap: dict[str, Any]) -> None:
    hidden = stuck(build, **{"since": "", **gap})
    one = attested(build, stuck(build, "T1"), hidden, stuck(build, ""), stuck(build, "T2"))

    assert set(one.progress.void) == {WHOLE}


@pytest.mark.parametrize("gap", GAPS)
def test_a_job_that_runs_after_such_a_look_has_gone_back(build: Any, gap: dict[str, Any]) -> None:
    one = attested(build, stuck(build, "T1"), stuck(build, **{"since": "", **gap}))

    assert set(build.looked(one, build.seen("active", children=(build.seen(job_id="9"),)), 20).progress.void) == {WHOLE}


@pytest.mark.parametrize("gap", [*GAPS, pytest.param(None, id="not-on-the-list")])
def test_a_childs_check_in_counts_after_a_look_that_does_not_show_its_time(
    build: Any, gap: dict[str, Any] | None
) -> None:
    hidden = () if gap is None else (build.seen(**{"state": "cancelling", "job_id": "2", **gap}),)
    first, last = (stuck(build, "T1", children=(stuck(build, text, job_id="2"),)) for text in ("T1", "T2"))
    one = attested(build, first, stuck(build, "T1", children=hidden), last, about="2")

    assert set(one.progress.void) == {"2"}


def test_an_end_forgets_the_time_of_a_job_if_no_attestation_could_be_refuted(build: Any) -> None:
    one = build.looked(build.cancellation(), stuck(build, "T1"), 2)

    assert build.looked(one, build.seen("cancelled"), 4).progress.left == {}


def test_a_job_that_is_seen_running_is_forgotten(build: Any) -> None:
    one = attested(build, stuck(build, "T1"), build.seen("unknown"), build.seen("active"))

    assert (one.progress.cancelling, one.progress.left) == ({}, {})


def test_a_check_in_that_looks_without_a_time_have_hidden_holds_the_force(build: Any) -> None:
    one = attested(build, stuck(build, "T1"), stuck(build, ""), seen := stuck(build, "T2"))
    hold = decide(one, seen, build.policy(), build.at(9999))

    assert isinstance(hold, Hold)
    assert hold.gate.shut == ("remote_stopped",)


# The wait


def test_a_look_without_a_time_keeps_the_first_sight(build: Any) -> None:
    one = attested(build, *[stuck(build, since) for since in ("T1", "", "T1", "", "")])

    hidden = Sighting(build.at(8), "", build.at(6))
    assert one.progress.cancelling == {"1": Sighting(build.at(2), "T1", build.now, hidden=hidden)}
    assert build.looked(one, stuck(build, "T1"), 20).progress.cancelling == {
        "1": Sighting(build.at(2), "T1", build.now)
    }


@pytest.mark.parametrize(
    ("looks", "forced"),
    [
        pytest.param({2: "T1", 4: "", 6: "T1", 8: "", 10: "T1"}, 10, id="in-every-second-look"),
        pytest.param({2: "T1", 6: "", 8: "", 10: "", 12: ""}, 12, id="in-the-first-look-alone"),
        pytest.param({2: "T1", 7: "", 8: "T2", 12: "", 14: "T2"}, 14, id="and-a-check-in"),
        pytest.param({2: "", 4: "", 6: "", 8: ""}, 8, id="in-no-look"),
    ],
)
def test_the_force_is_due_though_some_looks_show_no_time_and_never_early(
    build: Any, looks: dict[int, str], forced: int
) -> None:
    one, policy = build.cancellation(sent=build.cancelled()), build.policy(force=Force.AUTO, force_after=6.0)
    due = []
    for at, since in looks.items():
        seen = stuck(build, since)
        one = build.looked(one, seen, at)
        due += [at] if decide(one, seen, policy, build.at(at)) == Send(Action.FORCE, "1") else []

    assert due == [forced]


@pytest.mark.parametrize(
    ("looks", "spent"),
    [
        pytest.param(["T1", "T2"], 0, id="a-check-in"),
        pytest.param(["T1", "", "T2"], 0, id="a-check-in-after-a-look-without-a-time"),
        pytest.param(["", "T1"], 0, id="a-first-time"),
        pytest.param(["T1", "UNKNOWN", "T1"], 0, id="an-unknown-state-in-between"),
        pytest.param(["T1", "", "UNKNOWN", "", "T1"], 2, id="an-unknown-state-and-then-no-time"),
    ],
)
def test_the_wait_counts_anew_from_the_first_look_that_shows_another_time_or_the_job_back(
    build: Any, looks: list[str], spent: float
) -> None:
    shown = [build.seen("unknown", "UNKNOWN") if one == "UNKNOWN" else stuck(build, one) for one in looks]
    one = attested(build, *shown)

    assert cancelling_for(one, shown[-1], build.policy(), build.at(2 * len(looks))) == (spent, False)


def test_a_check_in_was_after_the_last_look_that_showed_another_time(build: Any) -> None:
    one = attested(build, *[stuck(build, since) for since in ("T1", "", "", "T2")])

    assert one.progress.cancelling == {"1": Sighting(build.at(8), "T2", build.at(2))}


# What the backend has said about a force

SHUT = {"asynchronous": "asynchronous", "force_allowed": "backend_allows"}


@pytest.mark.parametrize("field", SHUT)
@pytest.mark.parametrize(
    ("looks", "shut"),
    [
        pytest.param([False, None], True, id="no-and-then-silence"),
        pytest.param([False, None, None, None], True, id="a-long-silence"),
        pytest.param(["odd", None], True, id="what-can't-be-read-and-then-silence"),
        pytest.param([False, "unknown", None], True, id="an-unknown-state-in-between"),
        pytest.param([False, None, True, None], False, id="a-later-yes"),
        pytest.param([True, None], False, id="yes-and-then-silence"),
        pytest.param([None, None], False, id="silence"),
        pytest.param(["active", None], False, id="a-no-while-it-ran"),
    ],
)
def test_only_a_yes_of_the_backend_takes_its_no_to_a_force_back(
    build: Any, field: str, looks: list[object], *, shut: bool
) -> None:
    one = build.cancellation(sent=build.cancelled())
    for number, said in enumerate(looks, 1):
        seen = stuck(build, "T1", **({"unreadable": frozenset({field})} if said == "odd" else {field: said}))
        if said in {"unknown", "active"}:
            seen = build.seen(said, **({field: False} if said == "active" else {}))
        one = build.looked(one, seen, 2 * number)

    assert (SHUT[field] in gate(one, seen, build.policy(), build.at(9999)).shut) is shut


def test_a_childs_no_to_a_force_is_its_own(build: Any) -> None:
    children = (stuck(build, "T1", job_id="2", asynchronous=False), stuck(build, "T1", job_id="3"))
    one = build.looked(build.cancellation(sent=build.cancelled()), stuck(build, "T1", children=children), 2)
    silent = tuple(stuck(build, "T1", job_id=job_id) for job_id in ("2", "3"))
    one = build.looked(one, stuck(build, "T1", children=silent), 4)

    assert one.progress.denied == {"2": ("asynchronous",)}
    ended = build.seen("cancelled", children=tuple(build.seen("cancelled", job_id=job_id) for job_id in ("2", "3")))
    assert build.looked(one, ended, 6).progress.denied == {}
