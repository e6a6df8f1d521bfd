"""A job's story: each event in full sentences, what the waits were for, and who else has stopped the job."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from worker.domain.cancellation import Cancellation, Progress, Spec
from worker.domain.model import Force, Verb
from worker.protocol.messages import Event
from worker.store.codec import Record, Snapshot
from worker.views.story import RECORD_ONLY, Chapter, Known, by_nobody, chapters
from worker.views.summary import GISTS
from worker.views.waits import AGAIN, TO_THE_END

T = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
NOW = T + timedelta(hours=1)
EFFECTIVE = {"force": "attested", "force_after": 1800.0, "give_up_after": 86400.0}
TAKEN = {"status": 200, "code": None, "meaning": "accepted"}
SHUT = {
    "time_over": {"met": True, "evidence": "1800 s of 1800 s"},
    "remote_stopped": {"met": False, "evidence": "nobody"},
}
ENDED = {"job_state": "cancelled", "raw_state": "CANCELLED", "evidence": "reported", "safe_to_rerun": True}


def event(name: str, after: float = 0, about: str = "cancellation", **data: Any) -> Event:
    """An event so many seconds after ten o'clock."""
    own = {"cancellation_id": "c1", "command_ids": ["k-1"], "backend": "ess", "job_id": "1", "verb": "cancel"}
    return Event.model_validate(
        {
            "id": f"c1-{name}-{after}",
            "source": "/canceller/ess",
            "type": f"canceller.{about}.{name}.v1",
            "time": (T + timedelta(seconds=after)).isoformat(),
            "subject": "1",
            "backend": "ess",
            "cancellationid": "c1" if about == "cancellation" else None,
            "outcome": data.get("outcome"),
            "data": {**own, **data},
        }
    )


ACCEPTED = event("accepted", requested_by="billing", reason="budget", effective=EFFECTIVE)
SENT = event("cancel_sent", 1, answer=TAKEN, target_job_id="1")
FINISHED = event("finished", 3, outcome="cancelled", calls={"look": 2, "cancel": 1}, **ENDED)


def tell(*events: Event, others: tuple[Event, ...] = (), breaks: tuple[Event, ...] = ()) -> Chapter:
    (chapter,) = chapters([Known("c1", events)], others, breaks, NOW)
    return chapter


def texts(chapter: Chapter, name: str) -> list[str]:
    return [line.text for line in chapter.lines if line.name == name]


SENTENCES: dict[str, tuple[Event, list[str]]] = {
    "accepted": (
        ACCEPTED,
        [
            "cancel asked for by billing (command k-1): budget",
            'force = "attested", after 30 min at the earliest; given up after 1 d',
        ],
    ),
    "accepted-with-conditions": (
        event(
            "accepted",
            not_before="2026-11-22T12:00:00.000Z",
            dry_run=True,
            expect={"raw_state": "RUNNING"},
            effective={**EFFECTIVE, "attest": "another"},
        ),
        [
            "cancel asked for (command k-1)",
            'force = "attested", after 30 min at the earliest; given up after 1 d',
            "only somebody else than those who ask may attest",
            "no call before 12:00:00 UTC, as the command asks",
            "a dry run: look, and send nothing",
            "nothing is sent unless the job is in 'RUNNING'",
        ],
    ),
    "joined": (
        event("joined", verb="delete", joined={"command_id": "k-2", "requested_by": "audit", "reason": "tidy"}),
        ["joined by audit (command k-2): tidy", "the verb is delete; one cancellation serves all its commands"],
    ),
    "taken": (SENT, ["cancel sent: the backend took it (200)"]),
    "unanswered": (
        event("cancel_sent", answer="unanswered", detail="no reply in time", target_job_id="1"),
        ["cancel sent: it went unanswered and may have had an effect (no reply in time)"],
    ),
    "refused": (
        event("cancel_sent", answer={"status": 403, "code": "E-1", "meaning": "refused"}, detail="no right"),
        ["cancel sent: refused (403 E-1) (no right)"],
    ),
    "a-childs-force": (
        event("force_sent", answer=TAKEN, target_job_id="2"),
        ["force sent for job 2: the backend took it (200)"],
    ),
    "an-answer-of-a-newer-version": (
        event("cancel_sent", answer={"status": None, "code": None, "meaning": "pondered"}),
        ["cancel sent: pondered"],
    ),
    "force-held": (
        event("force_held", gate={**SHUT, "earliest_at": "x"}, target_job_id="2"),
        [
            "the force step of job 2 is due and held: nobody has given their word that the remote process is gone",
            "condition its waiting time is over: met; 1800 s of 1800 s",
            "condition the remote process is gone: not met; nobody",
        ],
    ),
    "held": (
        event("held", action={"by": "ann", "reason": "wait"}, until="2026-11-22T12:00:00.000Z"),
        ["held by ann: wait; until 12:00:00 UTC"],
    ),
    "released": (
        event("released", action={"by": "ann", "signed_by": "ops", "reason": "go"}),
        ["released by ops (signed) as ann: go"],
    ),
    "attested": (
        event("attested", action={"by": "ann", "reason": "dead"}, child="2"),
        ["the remote process is gone, attested by ann (job 2 alone): dead"],
    ),
    "void": (
        event("attestation_void", attested_by="ann: dead", child=None, detail="job 1 has checked in"),
        ["the word of ann: dead no longer counts: job 1 has checked in"],
    ),
    "overdue": (
        event("overdue", warn_after=3600.0, raw_state="CANCELLING", detail=None),
        ["overdue: not confirmed stopped 1 h after it began, last seen CANCELLING"],
    ),
    "forced": (
        event(
            "finished",
            outcome="force_cancelled",
            detail="d",
            calls={"look": 9, "cancel": 1, "force": 1},
            attested_by="ann: dead",
            children=[{"job_id": "2", "outcome": "cancelled", "raw_state": "CANCELLED"}],
            backend_facts={"cause": "OPERATOR_CANCEL"},
            **{**ENDED, "evidence": "attested"},
        ),
        [
            "force_cancelled: seen cancelled after our force call; d",
            "last seen CANCELLED; calls: 9 look, 1 cancel, 1 force",
            "proof: attested, somebody gave their word that it is gone",
            "the remote process is gone: attested by ann: dead",
            "child 2: cancelled (CANCELLED)",
            "the backend's own words: cause OPERATOR_CANCEL",
            "safe to run again: yes",
        ],
    ),
    "timed-out": (
        event(
            "finished", outcome="timed_out", evidence="none", safe_to_rerun=False, raw_state=None, job_state="unknown"
        ),
        [
            "timed_out: it is not confirmed stopped, and the time is over",
            "last seen unknown; calls: none",
            "proof: none, nothing was seen to end",
            "safe to run again: no, it is not known whether the job has stopped",
        ],
    ),
    "a-newer-type": (event("pondered"), ["pondered"]),
}


@pytest.mark.parametrize(("one", "sentences"), SENTENCES.values(), ids=SENTENCES)
def test_an_event_is_told_in_sentences(one: Event, sentences: list[str]) -> None:
    assert texts(tell(one), one.name) == sentences


def test_every_event_of_a_job_has_its_sentences() -> None:
    from worker.views.story_words import TELL  # noqa: PLC0415 - beside its one use

    assert TELL.keys() == GISTS.keys() - {"paused", "resumed"}


HELD = event("force_held", 1801, gate=SHUT)
WAITS: dict[str, tuple[tuple[Event, ...], Event, str]] = {
    "a-short-wait": ((ACCEPTED,), event("cancel_sent", 4, answer=TAKEN), ""),
    "until-its-time": (
        (event("accepted", not_before="2026-11-22T10:01:00.000Z"),),
        event("cancel_sent", 60, answer=TAKEN),
        "1 min: no call before 2026-11-22T10:01:00.000Z, as the command asked",
    ),
    "no-worker": (
        (ACCEPTED,),
        event("cancel_sent", 60, answer=TAKEN),
        "1 min: looks showed nothing yet, or no worker was there to look",
    ),
    "until-the-force-step": (
        (ACCEPTED, SENT),
        event("force_sent", 1801, answer=TAKEN),
        "30 min: not confirmed stopped; the force step must wait 30 min (force_after), and again after each check-in",
    ),
    "until-the-force-step-is-held": (
        (event("accepted"), SENT),
        HELD,
        "30 min: not confirmed stopped; the force step must wait its time (force_after), and again after each check-in",
    ),
    "held-by-its-gate": (
        (ACCEPTED, SENT, HELD),
        event("attested", 1861, action={}),
        "1 min: the force step was held: nobody has given their word that the remote process is gone",
    ),
    "after-the-attestation": (
        (ACCEPTED, SENT, HELD, event("attested", 1861, action={})),
        event("force_sent", 1921, answer=TAKEN),
        "1 min: the force step was held: nobody has given their word that the remote process is gone",
    ),
    "forced-again": (
        (ACCEPTED, SENT, event("force_held", 1801, gate={}), event("force_sent", 1802, answer="unanswered")),
        event("force_sent", 1862, answer=TAKEN),
        "1 min: a look had to show what the unanswered force had done before anything was repeated",
    ),
    "held-by-an-operator": (
        (ACCEPTED, SENT, event("held", 2, action={"by": "ann"})),
        event("released", 62, action={}),
        "1 min: held by ann: nothing was sent that changes the job",
    ),
    "after-a-hold": (
        (ACCEPTED, SENT, event("held", 2, action={}), event("released", 3, action={})),
        event("finished", 63, outcome="cancelled"),
        f"1 min: {TO_THE_END}",
    ),
    "until-a-repeat": (
        (ACCEPTED, event("cancel_sent", answer="unanswered")),
        event("cancel_sent", 60, answer=TAKEN),
        "1 min: a look had to show what the unanswered cancel had done before anything was repeated",
    ),
    "while-refused": (
        (ACCEPTED, event("cancel_sent", answer={"meaning": "refused"})),
        event("cancel_sent", 60, answer={"meaning": "refused"}),
        "1 min: a refusal that may not be the backend's own must last before it counts",
    ),
    "until-overdue": (
        (ACCEPTED, SENT),
        event("overdue", 3601),
        "1 h: checked whether the job had stopped; it had not",
    ),
    "until-given-up": (
        (ACCEPTED, SENT),
        event("finished", 61, outcome="timed_out"),
        "1 min: looked until give_up_after was over; the job was not confirmed stopped",
    ),
    "until-it-lives-again": ((ACCEPTED, SENT, FINISHED), event("reappeared", 63, "job"), f"1 min: {AGAIN}"),
}


@pytest.mark.parametrize(("before", "after", "cause"), WAITS.values(), ids=WAITS)
def test_a_wait_has_its_cause(before: tuple[Event, ...], after: Event, cause: str) -> None:
    waits = [line.text for line in tell(*before, after).lines if line.name == "wait"]
    assert waits[-1:] == ([cause] if cause else [])


def test_a_pause_of_the_backend_is_the_cause_of_a_wait() -> None:
    paused = event("paused", 10, "backend", failures=10)
    resumed = event("resumed", 20, "backend")
    chapter = tell(ACCEPTED, event("cancel_sent", 60, answer=TAKEN), breaks=(resumed, paused))

    assert texts(chapter, "wait") == ["1 min: the backend was not called for a while, after 10 failures in a row"]


@pytest.mark.parametrize(
    ("finished", "ours"),
    [
        (FINISHED, True),
        (event("finished", outcome="already_finished", calls={"look": 1}, **ENDED), False),
        (event("finished", outcome="already_finished", calls={"cancel": 1}, **ENDED), False),
        (event("finished", outcome="planned", calls={"look": 1}, plan={"job_state": "cancelling"}), False),
        (event("finished", outcome="planned", calls={"look": 1}, plan={"job_state": "active"}), True),
        (event("finished", outcome="already_finished", **{**ENDED, "job_state": "succeeded"}), True),
    ],
    ids=["we-stopped-it", "stopped-before", "stopped-before-our-call", "being-stopped", "runs", "ended-by-itself"],
)
def test_a_stop_by_somebody_else_is_named(finished: Event, ours: bool) -> None:  # noqa: FBT001 - a table's column
    found = texts(tell(ACCEPTED, finished), "not by us")
    assert (found == []) is ours
    assert all(text.startswith("not by us: the backend shows the job ") for text in found)


def test_the_backends_cause_of_a_stop_by_somebody_else_is_quoted() -> None:
    facts = {"cause": "OPERATOR_CANCEL"}
    (text,) = texts(tell(event("finished", outcome="already_finished", backend_facts=facts, **ENDED)), "not by us")
    assert text.endswith("its cause, by the backend: OPERATOR_CANCEL")


@pytest.mark.parametrize(
    ("state", "text"),
    [
        ("gone", "the backend knows no such job either (404)"),
        ("cancelled", "not by us: the backend shows the job cancelled, and nothing that we sent has done that"),
        ("cancelling", "not by us: the backend shows the job being cancelled, and nothing that we sent has done that"),
        ("active", "the backend shows it active (404), and nobody has asked to cancel it here"),
    ],
    ids=["unknown", "cancelled", "cancelling", "active"],
)
def test_a_job_that_was_never_ours_is_described(state: str, text: str) -> None:
    assert by_nobody(state, "404", {}) == text


def test_what_happened_to_a_job_after_the_end_is_told_with_the_cancellation_that_had_ended() -> None:
    back = event("reappeared", 63, "job", job_state="active", raw_state="RUNNING")
    stranger = event("reappeared", 64, "job", cancellation_id="c2")
    chapter = tell(ACCEPTED, FINISHED, others=(back, stranger))

    assert texts(chapter, "reappeared") == ["the job lives again: the backend shows it active (RUNNING)"]


def test_the_newest_comes_first_also_a_rejected_command() -> None:
    rejected = event("rejected", 30, error="verb: is wrong", command_id="k-9", signed_by="ops")
    late = Known("c2", (event("accepted", 60),))
    found = chapters([Known("c1", (ACCEPTED, FINISHED)), late], [rejected], (), NOW)

    assert [(one.cancellation_id, one.outcome) for one in found] == [("c2", ""), ("", "rejected"), ("c1", "cancelled")]
    assert found[1].title == "command k-9: rejected"
    assert [line.text for line in found[1].lines] == ["rejected by ops (signed): verb: is wrong"]


def snapshot(sequence: int) -> Snapshot:
    spec = Spec(Verb.CANCEL, Force.ATTESTED, 1800.0, T + timedelta(days=1))
    record = Record(Cancellation("c1", "ess", "1", T, spec, Progress(next="look again")), sequence=sequence)
    return Snapshot(record, ("k-1",), {}, NOW + timedelta(seconds=45))


def test_an_open_cancellation_ends_with_what_comes_next() -> None:
    (chapter,) = chapters([Known("c1", (ACCEPTED, SENT), snapshot(2))], (), (), NOW)

    assert (chapter.title, chapter.missing) == ("cancel ess 1: open (cancellation c1)", 0)
    assert texts(chapter, "next") == ["in 45 s (11:00:45 UTC): look again"]


def test_events_that_were_not_found_are_counted() -> None:
    (chapter,) = chapters([Known("c1", (SENT,), snapshot(4))], (), (), NOW)

    assert chapter.missing == 3


def test_a_record_alone_is_told_too() -> None:
    (chapter,) = chapters([Known("c1", (), snapshot(4))], (), (), NOW)

    assert (chapter.title, chapter.lines[0].text) == ("cancel ess 1: open (cancellation c1)", RECORD_ONLY)
    assert texts(chapter, "done") == ["nothing was sent to the backend yet"]
    assert (chapter.lines[0].name, chapter.lines[0].at) == ("record", None)
