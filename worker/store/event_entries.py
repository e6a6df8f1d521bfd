"""Reads the entries of the event stream. Entries that others have written and that are no events are skipped."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from pydantic import ValidationError

from ..protocol.messages import Event

# Not structlog: readers run in users' processes, whose logs are set up with the standard library.
log = logging.getLogger(__name__)


def readable(entries: Iterable[tuple[bytes, Mapping[bytes, bytes]]]) -> list[tuple[str, Event]]:
    """Return the events among entries, with their positions."""
    events: list[tuple[str, Event]] = []
    for entry, fields in entries:
        position = entry.decode()
        try:
            events.append((position, Event.model_validate_json(fields[b"event"])))
        except KeyError:
            report(position, "it has no field `event`")
        except ValidationError as error:
            names = {".".join(map(str, one["loc"])) for one in error.errors(include_input=False, include_url=False)}
            report(position, ", ".join(sorted(names - {""})) or "it is not JSON")
    return events


def body(fields: Sequence[bytes]) -> bytes:
    """Return the event of an entry, given as alternating field names and values; empty if it has none."""
    if fields[0] == b"event":
        return fields[1]
    return dict(zip(fields[::2], fields[1::2], strict=True)).get(b"event", b"")


@lru_cache(maxsize=1000)
def report(position: str, why: str) -> None:
    """Log once that an entry is skipped, however often readers come across it."""
    log.warning("entry %s of the event stream is not an event and is skipped: %s", position, why)
