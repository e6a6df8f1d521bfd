"""PURE: signs what a client sends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from ..errors import InvalidCommand
from ..settings.signing_key import SigningKey
from .signing import sign

LIFETIME: Final = 3000
"""Seconds for which what was sent may wait for a worker: near the longest that workers take, should clocks differ."""
UNSIGNABLE: Final = "it can't be signed: it holds a number that other languages would change, or half of a character"


def signed(key: SigningKey, content: Mapping[str, Any], now: datetime) -> Mapping[str, Any]:
    """Return a command or an order, its verb included, with its token; one that brings a token keeps it.

    Raises:
        InvalidCommand: it has no canonical JSON.

    """
    if content.get("token") is not None:
        return content
    try:
        token = sign(content, producer=key.producer, key=key.key, algorithm=key.algorithm, now=now, lifetime=LIFETIME)
    except (ValueError, TypeError, RecursionError):
        raise InvalidCommand(UNSIGNABLE) from None
    return {**content, "token": token}


def signed_all(key: SigningKey, contents: Sequence[Mapping[str, Any]], now: datetime) -> Sequence[Mapping[str, Any]]:
    """Sign many; raises as `signed` does."""
    return [signed(key, content, now) for content in contents]
