"""PURE: what Celery writes around the arguments of a task: its options, and how it writes values that JSON lacks."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

from ..domain.errors import InvalidCommand

CANVAS: Mapping[str, str] = {
    "callbacks": "link",
    "errbacks": "link_error",
    "chain": "chain",
    "chord": "chord",
    "group": "group",
}
"""The fields of a message for tasks that are to run after it, and the options with which a producer asks for them."""
WAY_OUT = (
    "Celery can't run anything after a command: wait for its end (`result.get()` or `Client.wait`) or follow the "
    "events, then send the next task"
)
TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-[!-~]{0,72})?")
"""As W3C's Trace Context has it; a later version may add to it."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """What a message says about all that is in it.

    `eta` is the earliest time to act; `expires` is the time from which on nobody wants it any more.
    """

    eta: datetime | None = None
    expires: datetime | None = None
    traceparent: str | None = None


ETA_LIMIT = 100
"""Characters that are kept of a time that can't be read."""
BARE = Envelope()
"""What a message without options says."""


def envelope_of(options: Mapping[str, Any]) -> Envelope:
    """Read what Celery's own options ask for, as a message carries them.

    Raises:
        InvalidCommand: they ask for what a command can't do, or hold a time that can't be read.

    """
    asked = [name for key, name in CANVAS.items() if options.get(key)]
    if asked:
        raise InvalidCommand(f"{', '.join(asked)}: {WAY_OUT}")
    traceparent = options.get("traceparent")
    usable = isinstance(traceparent, str) and TRACEPARENT.fullmatch(traceparent)
    return Envelope(
        eta=_moment("eta", options.get("eta")),
        expires=_moment("expires", options.get("expires")),
        traceparent=traceparent if usable else None,
    )


def _moment(name: str, value: object) -> datetime | None:
    """Read one of Celery's times; one without a zone is in UTC."""
    if value is None or value == "":
        return None
    try:
        found = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise InvalidCommand(f"{name}: can't be read as a time") from None


def eta_of(options: Mapping[str, Any]) -> datetime | str | None:
    """Return the `eta` of a message; its text, if it can't be read as a time."""
    try:
        return _moment("eta", options.get("eta"))
    except InvalidCommand:
        return str(options["eta"])[:ETA_LIMIT]


TEXTS: Mapping[str, Callable[[Any], object]] = {
    "uuid": lambda value: str(UUID(value["hex"] if isinstance(value, dict) else value)),
    "datetime": str,
    "date": str,
    "time": str,
    "decimal": float,
    "bytes": str,
}
"""How to read what kombu writes as `{"__type__": ..., "__value__": ...}`."""


def untagged(found: dict[str, Any]) -> object:
    """Read a value that kombu has written with its type, as its text or number; leave anything else as it is."""
    if found.keys() != {"__type__", "__value__"}:
        return found
    try:
        return TEXTS[found["__type__"]](found["__value__"])
    except (LookupError, TypeError, ValueError, AttributeError):
        return found


def plain(value: object) -> Any:
    """Return a value as `untagged` reads it after it was sent: with JSON's own types only."""
    if isinstance(value, Mapping):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value)
    return value
