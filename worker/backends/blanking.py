"""Blanks what a backend was shown in secret wherever its reply repeats it, so that no text can carry it further."""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Collection
from functools import lru_cache
from urllib.parse import quote, quote_plus

from msgspec.structs import replace

from worker.backends.base import Reply

BLANK = "[secret]"
SHORTEST = 7
"""Characters: a shorter secret is also a word that a reply may hold for other reasons, and stays."""


def blanked(reply: Reply, secrets: Collection[str]) -> Reply:
    """Return a reply without the secrets, however they are encoded in it."""
    for secret in secrets:
        for form in forms(secret):
            if form.encode() in reply.body:
                reply = replace(reply, body=reply.body.replace(form.encode(), BLANK.encode()))
            if any(form in value for value in reply.headers.values()):
                headers = {name: value.replace(form, BLANK) for name, value in reply.headers.items()}
                reply = replace(reply, headers=headers)
    return reply


@lru_cache(maxsize=64)
def forms(secret: str) -> tuple[str, ...]:
    """Return how a secret may be written in a reply, the longest first; none for one that is too short."""
    if len(secret) < SHORTEST:
        return ()
    written = {
        secret,
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        html.escape(secret),
        quote(secret, safe=""),
        quote_plus(secret),
        base64.b64encode(secret.encode()).decode(),
    }
    return tuple(sorted(written, key=len, reverse=True))
