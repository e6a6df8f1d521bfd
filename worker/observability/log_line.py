"""A line of JSON in one step, for the events that nearly all lines are: short texts, whole numbers, mappings of them.

The chain of processors takes twice as long, and a pass writes two lines. An event that the chain might change goes
through the chain: its values need translating, it has a traceback, or its line holds what may be a secret. The last is
judged on the finished line, all texts at once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import msgspec
from structlog import DropEvent
from structlog.typing import EventDict, Processor, WrappedLogger

from .log_secrets import is_plain, may_hold_a_secret
from .streams import json_for

_ENCODE: Final = msgspec.json.Encoder().encode


def direct(filtering: type) -> type:
    """Return structlog's logger class for a level, without the copies of the event that it makes for its chains."""

    class Direct(filtering):  # type: ignore[misc]
        def _proxy_to_logger(self, method_name: str, event: str | None = None, **values: Any) -> None:
            shown = {**self._context, **values} if self._context else values
            if event is not None:
                shown["event"] = event
            (short,) = self._processors
            try:
                self._logger.msg(short(self._logger, method_name, shown))
            except DropEvent:  # `structlog.testing.capture_logs` has put itself in the place of our processor
                return

    return Direct


@dataclass(frozen=True, slots=True)
class ShortWay:
    """The only processor of JSON logs: writes an event at once, or hands it to the chain."""

    encoding: str | None
    """The encoding of the stream."""
    chain: Sequence[Processor]

    def __call__(self, logger: WrappedLogger, method: str, event: EventDict) -> Any:
        """Return the line."""
        if is_plain(event) and "exc_info" not in event and "_record" not in event:
            line = self._line(logger, method, event)
            if line is not None:
                return line
        shown: Any = event
        for processor in self.chain:
            shown = processor(logger, method, shown)
        return shown

    def _line(self, logger: WrappedLogger, method: str, event: EventDict) -> str | None:
        # The chain sets the same keys in the same order, so it may still be used after this.
        event["level"] = method
        event["logger"] = logger.name
        event["timestamp"] = datetime.now(UTC)
        try:
            line = _ENCODE(event).decode()
        except (ValueError, TypeError, OverflowError):  # half a surrogate
            return None
        if may_hold_a_secret(line):
            return None
        # Of what a terminal acts on, the encoder leaves only this in ASCII.
        return line if line.isascii() and "\x7f" not in line else json_for(self.encoding, line)
