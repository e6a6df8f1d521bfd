"""A job's story: each event in full sentences, and who else has stopped the job."""

from __future__ import annotations

from datetime import timedelta

import pytest
from unit.views.events import ACCEPTED, EFFECTIVE, ENDED, FINISHED, NOW, SENT, SHUT, TAKEN, T, event, tell, texts

from worker.domain.cancellation import Cancellation, Progress, Sent, Spec
from worker.domain.model import AnswerKind, Force, Verb
from worker.protocol.messages import Event
from worker.store.codec import Record, Snapshot
from worker.views.story import RECORD_ONLY, Known, by_nobody, chapters
from worker.views.summary import GISTS

LOOKING = Progress(next="look again")
SENTENCES: dict[str, tuple[Event, list[str]]] = {
    "accepted": (
        ACCEPTED,
        [
            "cancel asked for by billing (command k-1): budget",
            "given up after 1 d",
            'a force step, where the backend has one: "attested", after 30 min at the earliest',
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
            "given up after 1 d",
            'a force step, where the backend has one: "attested", after 30 min at the earliest',
            "only somebody who has not asked for it may attest",
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
            "timed_out: the time ran out before it was confirmed stopped",
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


@pytest.mark.parametrize("calls", [{"look": 2, "cancel": 1}, {"look": 2}], ids=["sent", "sent-nothing"])
def test_a_stop_that_a_cancellation_before_has_asked_for_is_not_somebody_elses(calls: dict[str, int]) -> None:
    before = Known("c0", (event("accepted", -60), event("finished", -50, calls=calls, **ENDED)))
    after = Known("c1", (ACCEPTED, event("finished", outcome="already_finished", calls={"look": 1}, **ENDED)))
    newest, _ = chapters([before, after], (), (), NOW)
    ours = "not by this cancellation; an earlier one asked for the same: c0"

    assert texts(newest, "stopped before") == ([ours] if "cancel" in calls else [])
    assert bool(texts(newest, "not by us")) is ("cancel" not in calls)


def answered(name: str, meaning: str) -> Event:
    """A call's event; `unanswered` has no answer."""
    answer: object = "unanswered" if meaning == "unanswered" else {"status": 400, "code": None, "meaning": meaning}
    return event(name, -55, answer=answer, target_job_id="1")


@pytest.mark.parametrize(
    ("meanings", "had_effect"),
    [
        pytest.param(["refused"], False, id="refused"),
        pytest.param(["busy", "rejected"], False, id="turned-down-twice"),
        pytest.param(["refused", "accepted"], True, id="taken-at-last"),
        pytest.param(["busy", "unanswered"], True, id="unanswered-at-last"),
    ],
)
def test_a_cancellation_whose_calls_were_all_turned_down_has_stopped_nothing(
    meanings: list[str], *, had_effect: bool
) -> None:
    sent = [answered("cancel_sent", meaning) for meaning in meanings]
    given_up = event("finished", -50, outcome="timed_out", calls={"look": 2, "cancel": len(sent)}, **ENDED)
    before = Known("c0", (event("accepted", -60), *sent, given_up))
    after = Known("c1", (ACCEPTED, event("finished", outcome="already_finished", calls={"look": 1}, **ENDED)))
    newest, first = chapters([before, after], (), (), NOW)

    assert bool(texts(newest, "stopped before")) is had_effect
    assert bool(texts(newest, "not by us")) is not had_effect
    assert bool(texts(first, "not by us")) is not had_effect


@pytest.mark.parametrize("last", ["refused", "unanswered"])
def test_the_record_tells_of_calls_whose_events_are_gone(last: str) -> None:
    call = Sent(T, T, AnswerKind(last), unanswered=last == "unanswered")
    cancellation = snapshot(2, Progress(sent={"cancel": call}))
    after = Known("c1", (ACCEPTED, event("finished", outcome="already_finished", calls={"look": 1}, **ENDED)))
    newest, _ = chapters([Known("c0", (event("accepted", -60),), cancellation), after], (), (), NOW)

    assert bool(texts(newest, "not by us")) is (last == "refused")


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


def snapshot(sequence: int, progress: Progress = LOOKING) -> Snapshot:
    spec = Spec(Verb.CANCEL, Force.ATTESTED, 1800.0, T + timedelta(days=1))
    record = Record(Cancellation("c1", "ess", "1", T, spec, progress), sequence=sequence)
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
