"""Events of one cancellation, for tests of how they are shown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from worker.protocol.messages import Event
from worker.views.story import Chapter, Known, chapters

T = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
NOW = T + timedelta(hours=1)
EFFECTIVE = {"force": "attested", "force_after": 1800.0, "give_up_after": 86400.0}
TAKEN = {"status": 200, "code": None, "meaning": "accepted"}
SHUT = {
    "time_over": {"met": True, "evidence": "1800 s of 1800 s"},
    "remote_stopped": {"met": False, "evidence": "nobody"},
}
ENDED: dict[str, Any] = {
    "job_state": "cancelled",
    "raw_state": "CANCELLED",
    "evidence": "reported",
    "safe_to_rerun": True,
}


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
