from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from msgspec.structs import replace

from worker.client.async_client import Result
from worker.domain.cancellation import WHOLE, Attestation, Cancellation, Intent, OperatorHold, Progress, Sent, Spec
from worker.domain.decision import CONDITIONS
from worker.domain.escalation import FORCE_DUE
from worker.domain.model import Action, AnswerKind, Force, JobState, Outcome, Verb
from worker.store.codec import Record, Snapshot
from worker.views.explain import SHUT, held, span, words

T = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
NOW = T + timedelta(minutes=31)
SPEC = Spec(Verb.CANCEL, Force.ATTESTED, 1800.0, T + timedelta(days=1))
ATTESTED = replace(SPEC, attestations={WHOLE: Attestation("ops: seen dead", T)})
SENT = Sent(T, T, AnswerKind.ACCEPTED, accepted=True)
WAITING = Progress(
    sent={"cancel": SENT},
    looks=9,
    looked_at=NOW - timedelta(seconds=12),
    state=JobState.CANCELLING,
    raw="CANCELLING",
    next="look again",
)


def snapshot(progress: Progress, spec: Spec = SPEC, outcome: Outcome | None = None) -> Snapshot:
    record = Record(Cancellation("c1", "ess", "300100", T, spec, progress), outcome, NOW if outcome else None)
    command = {"requested_by": "billing", "reason": "budget"}
    return Snapshot(record, ("k-1",), command, NOW + timedelta(seconds=45))


def told(seen: Snapshot, label: str, result: Result | None = None, obstacle: str = "") -> str:
    return "\n".join(text for name, text in words(seen, NOW, result, ("", obstacle)) if name == label)


def test_says_who_asked_for_what_and_why() -> None:
    assert told(snapshot(WAITING), "asked").startswith("cancel ess 300100, at 10:00:00 UTC by billing: budget")


def test_says_which_producer_has_signed_before_what_it_calls_itself() -> None:
    signed = replace(snapshot(WAITING), command={"requested_by": "the boss", "signed_by": "billing"})
    attested = replace(SPEC, attestations={WHOLE: Attestation("the boss: seen dead", T, "ops")})

    assert "at 10:00:00 UTC by billing (signed) as the boss" in told(signed, "asked")
    assert "the word of ops (signed) as the boss: seen dead" in told(snapshot(WAITING, attested), "asked")


@pytest.mark.parametrize(("hours", "ahead"), [(2, ["no call before 12:00:00 UTC"]), (0.5, [])], ids=["ahead", "past"])
def test_says_until_when_no_call_is_made(hours: float, ahead: list[str]) -> None:
    spec = replace(SPEC, not_before=T + timedelta(hours=hours))
    asked = told(snapshot(Progress(), spec), "asked").splitlines()

    assert [line for line in asked if line.startswith("no call")] == ahead


@pytest.mark.parametrize(
    ("sent", "sentence"),
    [
        (SENT, "cancel sent at 10:00:00 UTC: the backend took it"),
        (
            replace(SENT, last=AnswerKind.UNANSWERED, detail="no reply in time"),
            "may have had an effect (no reply in time)",
        ),
        (replace(SENT, last=AnswerKind.BUSY, count=3), "3 times, first at 10:00:00 UTC: turned away for now"),
    ],
    ids=["taken", "unanswered", "repeated"],
)
def test_says_what_was_sent_and_how_it_was_answered(sent: Sent, sentence: str) -> None:
    assert sentence in told(snapshot(replace(WAITING, sent={"cancel": sent})), "done")


def test_says_that_nothing_was_sent_yet() -> None:
    assert told(snapshot(Progress()), "done") == "nothing was sent to the backend yet"


def test_an_open_intent_is_told() -> None:
    seen = snapshot(replace(WAITING, sent={}, intent=Intent(Action.CANCEL, "300100", T)))

    assert (
        told(seen, "done") == "cancel was begun at 10:00:00 UTC, and has no answer yet; a look comes before any repeat"
    )


def test_says_what_was_seen_and_when() -> None:
    assert told(snapshot(WAITING), "seen") == "cancelling (CANCELLING), 12 s ago, at 10:30:48 UTC; looks: 9"


def test_says_what_comes_next_and_when() -> None:
    assert told(snapshot(WAITING), "next") == "in 45 s (10:31:45 UTC): look again"


def test_asks_for_a_worker_when_the_next_pass_is_late() -> None:
    late = replace(snapshot(WAITING), due_at=NOW - timedelta(minutes=2))

    assert "is a worker running?" in told(late, "next")


def test_says_that_a_worker_is_on_it() -> None:
    assert told(replace(snapshot(WAITING), claimed=True), "next") == "a worker is working on it now"


def test_a_shut_gate_names_its_reason_and_the_way_out() -> None:
    way = told(snapshot(replace(WAITING, held=("300100+remote_stopped",))), "in the way")

    assert "the force step is held: nobody has given their word" in way
    assert "canceller attest c1 --by NAME --reason TEXT" in way


AHEAD = replace(WAITING, next=f"look again; {FORCE_DUE}10:35:00 UTC")


def test_says_what_proof_a_force_step_needs_before_it_is_due() -> None:
    way = told(snapshot(AHEAD), "in the way")

    assert "the force step comes due at 10:35:00 UTC and needs proof that the remote process is gone" in way
    assert "once it is gone: canceller attest c1 --by NAME --reason TEXT" in way


def test_says_that_a_force_step_is_forbidden_before_it_is_due() -> None:
    way = told(snapshot(AHEAD, replace(SPEC, force=Force.NEVER)), "in the way")

    assert 'the force step comes due at 10:35:00 UTC, and force = "never" forbids it' in way


@pytest.mark.parametrize(
    ("progress", "spec"),
    [
        (AHEAD, ATTESTED),
        (AHEAD, replace(SPEC, force=Force.AUTO)),
        (WAITING, SPEC),
    ],
    ids=["attested", "auto", "no force step"],
)
def test_a_force_step_that_wants_nothing_is_not_in_the_way(progress: Progress, spec: Spec) -> None:
    assert "force step" not in told(snapshot(progress, spec), "in the way")


@pytest.mark.parametrize(
    ("words_given", "void"),
    [
        pytest.param({WHOLE: Attestation("ann", T)}, {WHOLE: NOW}, id="a word that was refuted"),
        pytest.param({"300101": Attestation("ann", T)}, {}, id="a word about a child"),
    ],
)
def test_a_word_that_does_not_hold_leaves_the_force_step_in_want_of_proof(
    words_given: dict[str, Attestation], void: dict[str, datetime]
) -> None:
    seen = snapshot(replace(AHEAD, void=void), replace(SPEC, attestations=words_given))

    assert "needs proof that the remote process is gone" in told(seen, "in the way")


@pytest.mark.parametrize(
    ("about", "void", "sentence"),
    [
        pytest.param(WHOLE, {}, "the remote process is gone: the word of ann", id="about the family"),
        pytest.param("300101", {}, "the remote process of job 300101 is gone: the word of ann", id="about a child"),
        pytest.param(WHOLE, {WHOLE: NOW}, "ann; void since 10:31:00 UTC", id="refuted"),
        pytest.param(WHOLE, {"300101": NOW}, "the word of ann", id="another was refuted"),
    ],
)
def test_says_who_gave_their_word_about_what_and_whether_it_counts(
    about: str, void: dict[str, datetime], sentence: str
) -> None:
    seen = snapshot(replace(WAITING, void=void), replace(SPEC, attestations={about: Attestation("ann", T)}))

    assert told(seen, "asked").endswith(sentence)


def test_a_gate_that_an_attestation_opened_is_not_in_the_way() -> None:
    seen = snapshot(replace(WAITING, held=("300100+remote_stopped",)), ATTESTED)

    assert "held" not in told(seen, "in the way")


def test_a_word_about_one_child_leaves_the_gate_of_another_in_the_way() -> None:
    spec = replace(SPEC, attestations={"22": Attestation("ops: seen dead", T)})
    seen = snapshot(replace(WAITING, held=("22+remote_stopped", "23+remote_stopped")), spec)

    assert "the remote process of job 22 is gone: the word of ops: seen dead" in told(seen, "asked")
    assert "canceller attest c1 --child 23 --by NAME --reason TEXT" in told(seen, "in the way")
    assert "job 22" not in told(seen, "in the way")


def test_a_gate_that_was_passed_is_not_in_the_way() -> None:
    progress = replace(WAITING, held=("300100+remote_stopped",), sent={"cancel": SENT, "force:300100": SENT})

    assert list(held(snapshot(progress).record.cancellation)) == []


def test_every_condition_of_the_force_gate_has_its_words() -> None:
    assert set(SHUT) == set(CONDITIONS)


def test_a_job_id_may_hold_a_plus() -> None:
    progress = replace(WAITING, held=("a+remote_stopped+b+asynchronous+policy_allows",))

    assert list(held(snapshot(progress).record.cancellation)) == [
        ("a+remote_stopped+b", ["asynchronous", "policy_allows"])
    ]


@pytest.mark.parametrize(
    ("progress", "obstacle", "sentence"),
    [
        (replace(WAITING, overdue=True), "", "it is overdue"),
        (WAITING, "ess is paused: no calls until 10:40", "ess is paused: no calls until 10:40"),
        (replace(WAITING, failed_looks=3, note="the last look failed: x"), "", "the last look failed: x (3 in a row)"),
        (WAITING, "", "if it has not ended by 2026-11-23 10:00:00 UTC, it is given up"),
    ],
    ids=["overdue", "paused", "failing", "give up"],
)
def test_says_what_stands_in_the_way(progress: Progress, obstacle: str, sentence: str) -> None:
    assert sentence in told(snapshot(progress), "in the way", obstacle=obstacle)


def test_an_end_is_told_with_what_stands_behind_it() -> None:
    child = {"job_id": "300101", "outcome": "cancelled", "raw_state": "CANCELLED"}
    result = Result("c1", "force_cancelled", "unverified", safe_to_rerun=False, detail="d", data={"children": [child]})
    seen = snapshot(WAITING, outcome=Outcome.FORCE_CANCELLED)

    assert told(seen, "outcome", result) == "force_cancelled: seen cancelled after our force call, at 10:31:00 UTC"
    assert told(seen, "evidence", result).startswith("unverified: only the record was closed")
    assert told(seen, "safe to rerun", result).startswith("no")
    assert told(seen, "child", result) == "300101 cancelled (CANCELLED)"
    assert told(seen, "detail", result) == "d"
    assert told(seen, "next", result) == ""


def test_an_end_whose_event_is_gone_says_so() -> None:
    assert "no longer kept" in told(snapshot(WAITING, outcome=Outcome.CANCELLED), "evidence")


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0 s"), (59.6, "1 min"), (1865, "31 min 5 s"), (90_000, "1 d 1 h"), (-5, "0 s")]
)
def test_writes_spans_in_two_units(seconds: float, text: str) -> None:
    assert span(seconds) == text


# Dry runs, expectations, holds


def test_says_what_a_dry_run_and_an_expectation_ask_for() -> None:
    spec = replace(SPEC, dry_run=True, expect=("RUNNING", "WAIT"))
    asked = told(snapshot(Progress(), spec), "asked").splitlines()

    assert "a dry run: look, and send nothing" in asked
    assert "nothing is sent unless the job is in 'RUNNING' or 'WAIT'" in asked


def test_says_what_a_dry_run_has_found() -> None:
    child = {"job_id": "7", "job_state": "active", "raw_state": "RUNNING"}
    plan = {"would": "cancel", "because": "it runs", "job_state": "active", "raw_state": "WAIT", "children": [child]}
    result = Result("c1", "planned", "none", safe_to_rerun=False, detail="", data={"plan": plan})
    seen = snapshot(Progress(), outcome=Outcome.PLANNED)

    assert told(seen, "would send", result) == "cancel: it runs"
    assert told(seen, "it shows", result) == "active (WAIT)"
    assert told(seen, "child", result) == "7 active (RUNNING)"


@pytest.mark.parametrize(
    ("changes", "texts"),
    [
        pytest.param({}, ["held by ann since 10:00:00 UTC: audit"], id="without-an-end"),
        pytest.param({"until": NOW}, ["held by ann since 10:00:00 UTC until 10:31:00 UTC: audit"], id="for-a-while"),
        pytest.param({"announced": False}, [": audit; a call may still be in flight"], id="a-call-in-flight"),
        pytest.param({}, ["it has 1 d left once it goes on: canceller release c1"], id="the-way-on"),
    ],
)
def test_says_that_it_is_held_and_how_it_goes_on(changes: dict[str, object], texts: list[str]) -> None:
    hold = replace(OperatorHold("ann", "audit", T), **changes)
    way = told(snapshot(WAITING, replace(SPEC, hold=hold)), "in the way")

    assert all(text in way for text in texts)
    assert "it is given up" not in way
