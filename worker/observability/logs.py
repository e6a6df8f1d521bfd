"""Logs: one structlog pipeline for our events and everybody else's, without secrets."""

import json
import logging
import re
import sys
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final, Literal, TextIO

import msgspec
import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from .log_queue import LogQueue
from .log_values import plain
from .log_visible import visible_event
from .streams import json_for

_HIDDEN: Final = "***"
_SECRET_KEY: Final = re.compile(
    r"token|passw|secret|authorization|cookie|api[_-]?key|private[_-]?key|credential", re.IGNORECASE
)
_SECRET_TEXT: Final = (
    (re.compile(r"\b([a-z][a-z0-9+.-]*://)[^\s/?#\"']*@", re.IGNORECASE), rf"\1{_HIDDEN}@"),
    (re.compile(r"([?&][^=&\s]*(?:token|passw|secret)[^=&\s]*=)[^&\s\"']+", re.IGNORECASE), rf"\1{_HIDDEN}"),
    (re.compile(r"\b(bearer\s+)[A-Za-z0-9._~+/=-]{16,}", re.IGNORECASE), rf"\1{_HIDDEN}"),
)
_WITHOUT_TEXT: Final = frozenset({bool, int, type(None)})
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
    structlog.configure(
        processors=[*_STAMPS, *_last(renderer)],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=lambda name="": Lines(name, out),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(_formatter(renderer))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(threshold)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(max(threshold, logging.WARNING))


class Lines:
    """Where our own events go: straight to the stream. The standard library's way there costs four times as much."""

    def __init__(self, name: str, stream: TextIO | LogQueue) -> None:
        self.name = name
        self._stream = stream

    def msg(self, line: str) -> None:
        """Write one line; like the standard library's handler it lets no closed stream stop the work."""
        with suppress(OSError, ValueError):
            self._stream.write(line + "\n")
            self._stream.flush()

    debug = info = warning = error = critical = exception = msg


def _add_time(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    event["timestamp"] = msgspec.to_builtins(datetime.now(UTC))
    return event


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Blank what looks like a secret: values by their key, userinfo in URLs, at any depth."""
    return event if _is_harmless(event) else {key: _clean(value, key) for key, value in event.items()}


def _is_harmless(event: EventDict) -> bool:
    """Whether it plainly holds nothing secret, as nearly each line does: a copy takes half a line's time."""
    texts = []
    for key, value in event.items():
        kind = type(value)
        if kind is str:
            texts.append(value)
        elif kind not in _WITHOUT_TEXT and not (kind is dict and _is_harmless(value)):
            return False
        if type(key) is not str:
            return False
    return not _name_a_secret(tuple(event)) and not _may_hold_a_secret("\n".join(texts))


def _clean(value: Any, key: object = "") -> Any:
    if isinstance(key, str) and _names_a_secret(key) and value is not None:
        return _HIDDEN
    shown = value if type(value) is str else plain(value)
    if isinstance(shown, str):
        return _without_secrets(shown)
    if isinstance(shown, dict):
        return {inner: _clean(item, inner) for inner, item in shown.items()}
    if isinstance(shown, list):
        return [_clean(item) for item in shown]
    return shown


@lru_cache(maxsize=1024)
def _names_a_secret(key: str) -> bool:
    return _SECRET_KEY.search(key) is not None


@lru_cache(maxsize=1024)
def _name_a_secret(keys: tuple[str, ...]) -> bool:
    return any(map(_names_a_secret, keys))


def _may_hold_a_secret(text: str) -> bool:
    """Whether the text has what any of the patterns needs."""
    return "@" in text or "=" in text or "bearer" in text.lower()


def _without_secrets(text: str) -> str:
    if not _may_hold_a_secret(text):
        return text
    for pattern, replacement in _SECRET_TEXT:
        text = pattern.sub(replacement, text)
    return text


def _formatter(renderer: Processor) -> logging.Formatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*_STAMPS, structlog.processors.StackInfoRenderer(), structlog.stdlib.ExtraAdder()],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            *_last(renderer),
        ],
    )


def _last(renderer: Processor) -> list[Processor]:
    # A traceback comes before the redaction, which then sees its text; and as text, which shows no locals.
    return [structlog.processors.format_exc_info, redact, renderer]


def _renderer(stream: TextIO | LogQueue, *, console: bool) -> Processor:
    if not console:
        return lambda _logger, _method, event: json_for(stream, _json(event))
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
    return _without_secrets(str(value))


_STAMPS: Final[tuple[Processor, ...]] = (
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    _add_time,
)
_WRITER: Final = msgspec.json.Encoder(enc_hook=_written)
