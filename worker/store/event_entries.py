"""Reads the entries of the event stream. Whoever reaches Redis may add some that are no events: they are skipped."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from functools import lru_cache

from pydantic import ValidationError

from ..protocol.messages import Event

# Not structlog: readers live in other people's processes, whose logs are set up by the standard library's means.
log = logging.getLogger(__name__)


def readable(entries: Iterable[tuple[bytes, Mapping[bytes, bytes]]]) -> list[tuple[str, Event]]:
    """Return the events among entries, with their positions."""
    read = ((entry.decode(), _event(entry.decode(), fields)) for entry, fields in entries)
    return [(position, event) for position, event in read if event is not None]


def _event(position: str, fields: Mapping[bytes, bytes]) -> Event | None:
    try:
        return Event.model_validate_json(fields[b"event"])
    except KeyError:
        report(position, "it has no field `event`")
    except ValidationError as error:
        names = {".".join(map(str, one["loc"])) for one in error.errors(include_input=False, include_url=False)}
        report(position, ", ".join(sorted(names - {""})) or "it is no JSON")
    return None


@lru_cache(maxsize=1000)
def report(position: str, why: str) -> None:
    """Say once that an entry is skipped: readers come by it again and again."""
    log.warning("entry %s of the event stream is no event and is skipped: %s", position, why)
