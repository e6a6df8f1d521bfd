"""PURE: the ids under which commands are kept."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from typing import Final

ID_LIMIT: Final = 128
"""The most characters of a command's id."""
_MEMBER: Final = re.compile(r"(.+)(:[0-9]{1,7})", re.DOTALL)
"""The id of one of several commands in a message: `MESSAGE:INDEX`."""


def kept_id(name: str) -> str:
    """Return the id under which the command of a message with this id is kept, and is found by either.

    That is the message's own id, or if that can't be a command's id, one made from it.
    """
    if _usable(name):
        return name
    member = _MEMBER.fullmatch(name)
    message_id, index = member.groups() if member else (name, "")
    if not _usable(message_id):
        message_id = hashlib.sha256(message_id.encode("utf-8", "surrogatepass")).hexdigest()[:32]
    return f"{message_id}{index}"


def _usable(name: str) -> bool:
    if len(name) > ID_LIMIT:
        return False
    return name.isprintable() or not any(unicodedata.category(char) in {"Cc", "Cs"} for char in name)
