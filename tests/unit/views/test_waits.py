"""How the time between two events of a cancellation was spent."""

from __future__ import annotations

import pytest
from unit.views.events import ACCEPTED, FINISHED, SENT, SHUT, TAKEN, event, tell, texts

from worker.protocol.messages import Event
from worker.views.waits import AGAIN, TO_THE_END

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
        "1 min: a refusal that may not be the backend's own had to last before it counted",
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
