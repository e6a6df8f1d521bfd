"""How a cancellation ended, given what was sent and what is seen."""

from __future__ import annotations

from typing import Any

from worker.domain.decision import Finish
from worker.domain.model import Action
from worker.domain.outcome import ended


def finish(build: Any, seen: Any, *, kind: str = "ess", policy: Any = None, **changes: Any) -> Finish:
    return ended(build.cancellation(**changes), seen, build.policy(kind, **(policy or {})))


def asked(build: Any, cancel: str = "accepted", force: str = "", delete: str = "") -> dict[str, Any]:
    """Fields of a cancellation whose job was seen alive, and for which these calls were sent."""
    calls = {Action.CANCEL: cancel, "force:1": force, Action.DELETE: delete}
    return {"seen_alive": True, "sent": {key: build.sent(last) for key, last in calls.items() if last}}
