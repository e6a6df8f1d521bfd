"""What log lines never show: values of keys that are named like secrets, and texts that look like one."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

from structlog.typing import EventDict, WrappedLogger

from .log_values import plain

_HIDDEN: Final = "***"
_SECRET_KEY: Final = re.compile(
    r"token|passw|secret|authorization|cookie|api[_-]?key|private[_-]?key|credential", re.IGNORECASE
)
_SECRET_TEXT: Final = (
    (re.compile(r"\b([a-z][a-z0-9+.-]*://)[^\s/?#\"']*@", re.IGNORECASE), rf"\1{_HIDDEN}@"),
    (re.compile(r"([?&][^=&\s]*(?:token|passw|secret)[^=&\s]*=)[^&\s\"']+", re.IGNORECASE), rf"\1{_HIDDEN}"),
    (re.compile(r"\b(bearer\s+)[A-Za-z0-9._~+/=-]{16,}", re.IGNORECASE), rf"\1{_HIDDEN}"),
)
_AS_THEY_ARE: Final = frozenset({str, int, bool, type(None)})


def redact(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Blank what looks like a secret: values by their key, userinfo in URLs, at any depth."""
    if is_plain(event) and not may_hold_a_secret(repr(event)):
        return event
    return {key: _clean(value, key) for key, value in event.items()}


def is_plain(values: Mapping[str, Any]) -> bool:
    """Whether JSON can carry all values as they are, and no key is named like a secret."""
    if not _keys_are_harmless(tuple(values)):
        return False
    for value in values.values():  # a generator takes twice as long
        kind = type(value)
        if kind not in _AS_THEY_ARE and not (kind is dict and is_plain(value)):
            return False
    return True


@lru_cache(maxsize=1024)
def _keys_are_harmless(keys: tuple[object, ...]) -> bool:
    return all(type(key) is str and not names_a_secret(key) for key in keys)


def _clean(value: Any, key: object = "") -> Any:
    if isinstance(key, str) and names_a_secret(key) and value is not None:
        return _HIDDEN
    shown = value if type(value) is str else plain(value)
    if isinstance(shown, str):
        return without_secrets(shown)
    if isinstance(shown, dict):
        return {inner: _clean(item, inner) for inner, item in shown.items()}
    if isinstance(shown, list):
        return [_clean(item) for item in shown]
    return shown


@lru_cache(maxsize=1024)
def names_a_secret(key: str) -> bool:
    """Whether a key is named like a secret."""
    return _SECRET_KEY.search(key) is not None


def may_hold_a_secret(text: str) -> bool:
    """Whether a text has what a match of any of the patterns needs."""
    return "@" in text or "=" in text or "bearer" in text.lower()


def without_secrets(text: str) -> str:
    """Blank what looks like a secret within a text."""
    if not may_hold_a_secret(text):
        return text
    for pattern, replacement in _SECRET_TEXT:
        text = pattern.sub(replacement, text)
    return text
