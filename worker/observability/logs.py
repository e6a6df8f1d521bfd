"""Logs: one structlog pipeline for our events and everybody else's, without secrets."""

import json
import logging
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TextIO

import msgspec
import structlog
from structlog.typing import EventDict, Processor

from .log_line import ShortWay, direct
from .log_queue import LogQueue
from .log_secrets import redact, without_secrets
from .log_visible import visible_event
from .streams import json_for

# Each logs every request at INFO, with its whole URL.
_CHATTY: Final = ("httpx", "httpcore", "aiohttp.access")


def configure(
    fmt: Literal["auto", "json", "console"] = "auto",
    level: str | int = "info",
    stream: TextIO | LogQueue | None = None,
) -> None:
    """Send all logs of this process, structlog's and the standard library's, to one stream.

    Args:
        fmt: `json`: a line of JSON each, with timestamp (ISO, UTC), level, event and logger.
            `console`: for people. `auto`: `console` when the stream is a terminal.
        level: The least level shown: debug, info, warning, error, critical, or its number.
        stream: Where to write; None: standard error.

    """
    out = sys.stderr if stream is None else stream
    threshold = level if isinstance(level, int) else logging.getLevelNamesMapping()[level.upper()]
    console = out.isatty() if fmt == "auto" else fmt == "console"
    renderer = _renderer(out, console=console)
    filtering = structlog.make_filtering_bound_logger(threshold)
    # Tracebacks are formatted before the redaction, which then sees their text; as text, they show no locals.
    last: list[Processor] = [structlog.processors.format_exc_info, redact, renderer]
    processors = [*_STAMPS, *last]
    structlog.configure(
        processors=processors if console else [ShortWay(out.encoding, processors)],
        wrapper_class=filtering if console else direct(filtering),
        logger_factory=lambda name="": Lines(name, out),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(_formatter(last))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(threshold)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(threshold, logging.WARNING))


@dataclass(frozen=True, slots=True)
class Lines:
    """Where our own events go: straight to the stream. The standard library's way there costs four times as much."""

    name: str
    stream: TextIO | LogQueue

    def msg(self, line: str) -> None:
        """Write one line; like the standard library's handler it lets no closed stream stop the work."""
        try:
            self.stream.write(line + "\n")
            self.stream.flush()
        except (OSError, ValueError):  # not `suppress`, which takes longer than both calls
            return

    debug = info = warning = error = critical = exception = msg


def _formatter(last: Sequence[Processor]) -> logging.Formatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*_STAMPS, structlog.processors.StackInfoRenderer(), structlog.stdlib.ExtraAdder()],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
    )


def _renderer(stream: TextIO | LogQueue, *, console: bool) -> Processor:
    if not console:
        return lambda _logger, _method, event: json_for(stream.encoding, _json(event))
    for_people = structlog.dev.ConsoleRenderer(
        colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback
    )
    return lambda logger, method, event: for_people(logger, method, visible_event(event))


def _json(event: EventDict) -> str:
    try:
        return _WRITER.encode(event).decode()
    except (ValueError, TypeError, OverflowError):  # half a surrogate, a key that is no text, a huge number
        return json.dumps(event, default=_written, skipkeys=True)


def _written(value: object) -> str:
    return without_secrets(str(value))


_STAMPS: Final[tuple[Processor, ...]] = (
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
)
_WRITER: Final = msgspec.json.Encoder(enc_hook=_written)
