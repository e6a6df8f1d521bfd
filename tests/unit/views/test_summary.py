from __future__ import annotations

from typing import Any

import pytest

from worker.client.async_client import Rejected, Result
from worker.domain.errors import UnknownCancellation
from worker.protocol.messages import Event
from worker.views.summary import end_line, gist


def event(name: str, **data: Any) -> Event:
    type_ = f"canceller.cancellation.{name}.v1"
    return Event(id="1", source="/canceller/ess", type=type_, time="2026-11-22T10:00:00.000Z", data=data)


@pytest.mark.parametrize(
    ("seen", "text"),
    [
        (event("accepted", verb="cancel", requested_by="billing", reason="budget"), "cancel; by billing; budget"),
        (event("joined", verb="delete", joined={"command_id": "k-2"}), "command k-2; the verb is delete"),
        (event("rejected", error="backend: no"), "backend: no"),
        (event("cancel_sent", answer={"status": 200, "meaning": "accepted"}, detail="x"), "accepted (200)"),
        (event("delete_sent", answer={"status": 409, "code": "E1", "meaning": "busy"}, detail="x"), "busy (409 E1); x"),
        (event("force_sent", answer="unanswered", detail="no reply"), "went unanswered; no reply"),
        (
            event("force_held", gate={"remote_stopped": {"met": False, "evidence": "nobody"}, "earliest_at": "t"}),
            "remote_stopped: nobody",
        ),
        (event("attested", action={"name": "attest", "by": "ann", "reason": "dead"}), "by ann; dead"),
        (event("held", action={"name": "hold", "by": "ann", "reason": "audit"}, until="t"), "by ann; audit; until t"),
        (event("released", action={"name": "release", "by": "canceller", "reason": "over"}), "by canceller; over"),
        (
            event("attestation_void", attested_by="ann", child=None, detail="it checked in"),
            "the word of ann no longer counts; it checked in",
        ),
        (event("overdue", raw_state="RUNNING"), "not confirmed stopped, last seen RUNNING"),
        (event("finished", outcome="cancelled", evidence="reported", detail=""), "cancelled; reported"),
        (event("paused", until="t", failures=10), "no calls until t after 10 failures in a row"),
        (event("resumed"), "it answers again"),
        (event("something_newer", x=1), ""),
    ],
    ids=lambda value: value.name if isinstance(value, Event) else "",
)
def test_each_event_has_its_gist(seen: Event, text: str) -> None:
    assert gist(seen) == text


SIGNED = {
    "accepted": (
        event("accepted", verb="cancel", requested_by="ann", signed_by="ops"),
        "cancel; by ops (signed) as ann",
    ),
    "nameless": (event("accepted", verb="cancel", signed_by="ops"), "cancel; by ops (signed)"),
    "joined": (
        event("joined", verb="cancel", joined={"command_id": "k-2", "requested_by": "bob", "signed_by": "ops"}),
        "command k-2; by ops (signed) as bob; the verb is cancel",
    ),
    "rejected": (event("rejected", error="not allowed", signed_by="ops"), "not allowed; by ops (signed)"),
    "attested": (
        event("attested", action={"name": "attest", "by": "the boss", "signed_by": "ops", "reason": "dead"}),
        "by ops (signed) as the boss; dead",
    ),
}


@pytest.mark.parametrize(("seen", "text"), SIGNED.values(), ids=SIGNED.keys())
def test_the_gist_of_what_was_signed_names_the_producer_first(seen: Event, text: str) -> None:
    assert gist(seen) == text


def test_a_word_about_a_child_says_so() -> None:
    seen = event("attested", action={"name": "attest", "by": "ann", "reason": "dead"}, child="7")

    assert gist(seen) == "by ann; dead; job 7 alone"


def test_an_end_says_whether_the_job_may_run_again() -> None:
    safe = Result("c", "cancelled", "reported", safe_to_rerun=True, detail="", data={})

    unseen = Result("c", "not_found", "none", safe_to_rerun=False, detail="no 7", data={})

    planned = Result("c", "planned", "none", safe_to_rerun=False, detail="would send nothing: gone", data={})

    assert end_line(planned) == "planned; would send nothing: gone"
    assert end_line(safe) == "cancelled; reported; safe to run again"
    assert end_line(unseen) == "not_found; no evidence; not known to be safe to run again; no 7"
    assert end_line(Rejected("backend: no")) == "rejected; backend: no"
    assert end_line(UnknownCancellation("no such id")) == "not known; no such id"


COUNTS = {"selected": 9, "waiting": 4, "open": 2, "rejected": 1, "finished": {"cancelled": 2}}
FAR = "4 of 9 wait, 2 are open; 2 cancelled; 1 rejected"


@pytest.mark.parametrize(
    ("name", "more", "text"),
    [
        ("started", {}, FAR),
        ("progress", {}, FAR),
        ("paused", {"by": "ann", "reason": "look"}, f"by ann; look; {FAR}"),
        ("resumed", {"by": "ann", "reason": "fine"}, f"by ann; fine; {FAR}"),
        ("finished", {}, FAR),
    ],
    ids=["started", "progress", "paused", "resumed", "finished"],
)
def test_an_event_of_a_batch_says_how_far_it_is(name: str, more: dict[str, Any], text: str) -> None:
    about = event(name, counts=COUNTS, **more).model_copy(update={"type": f"canceller.batch.{name}.v1"})

    assert gist(about) == text
