"""What `check` finds about sinks: whether each can be reached, without an event."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from ...errors import CancellerError
from ...runtime.sink_wiring import receiver_of
from ...settings.backends_file.sinks import Sink
from .findings import Finding


async def sink_findings(sinks: Mapping[str, Sink]) -> list[Finding]:
    """Try all sinks at once."""
    return await asyncio.gather(*(_finding(name, config) for name, config in sinks.items()))


async def _finding(name: str, config: Sink) -> Finding:
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
