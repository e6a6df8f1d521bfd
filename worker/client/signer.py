"""Signs what a client sends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Final

from ..domain.errors import InvalidCommand
from ..protocol.signing import sign
from ..settings.signing_key import SigningKey

LIFETIME: Final = 3000
"""Seconds that a sent message may wait for a worker: below the hour that workers accept, as clocks may differ."""
UNSIGNABLE: Final = "it can't be signed: it holds a number that other languages would change, or a lone surrogate"


def signed(key: SigningKey, contents: Sequence[Mapping[str, Any]], now: datetime) -> list[Mapping[str, Any]]:
    """Return commands or orders, their verbs included, with their tokens; one that has a token keeps it.

    Raises:
        InvalidCommand: one can't be written as canonical JSON.

    """
    token = partial(sign, producer=key.producer, key=key.key, algorithm=key.algorithm, now=now, lifetime=LIFETIME)
    try:
        return [one if one.get("token") is not None else {**one, "token": token(one)} for one in contents]
    except (ValueError, TypeError, RecursionError):
        raise InvalidCommand(UNSIGNABLE) from None
