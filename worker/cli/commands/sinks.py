"""`sinks`: how far the deliveries of events have come."""

from __future__ import annotations

from ...domain.event_drafts import text
from ...store.sink_state import SinkState
from ..options import Json
from ..output import Output
from ..session import connected


async def sinks(*, json: Json = False) -> None:
    """List the sinks: how far each has come in the events, what is owed to it, and what went wrong last.

    The lag is the age of the oldest event that is not delivered yet. Owed events lie before the position and have not
    arrived: each is tried again, or waits for an earlier one. A sink that you remove from the backends file stays here.

    canceller sinks

    canceller sinks --json
    """
    output = Output(as_json=json)
    async with connected() as session:
        found = await session.store.sinks.states()
    if output.json:
        for state in found:
            output.object(state)
    elif found:
        output.rows(("sink", "kind", "worker", "position", "lag", "owed", "last error"), [_row(one) for one in found])
    else:
        output.note("no worker has delivered to a sink yet: add a table such as [sinks.log] to the backends file")


def _row(state: SinkState) -> tuple[str, ...]:
    owed = f"{state.owed}, and {state.replays} to replay" if state.replays else str(state.owed)
    error = f"{text(state.error_at)} {state.error}" if state.error else ""
    return state.sink, state.kind, state.worker or "none", state.position, f"{state.lag:.1f} s", owed, error
