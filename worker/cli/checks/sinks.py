"""What `check` finds about sinks: whether each can be reached; no event is sent."""

from __future__ import annotations

from ...domain.errors import CancellerError
from ...runtime.sink_wiring import receiver_of
from ...settings.backends_file.sinks import Sink
from .findings import Finding


async def sink_finding(name: str, config: Sink) -> Finding:
    """Try to reach a sink."""
    what = f"sink {name}"
    try:
        receiver = receiver_of(config)
    except (OSError, ValueError) as error:
        return Finding("wrong", what, f"it can't be set up: {error}")
    try:
        return Finding("ok", what, await receiver.reach())
    except CancellerError as error:
        return Finding("wrong", what, str(error))
    finally:
        await receiver.aclose()
