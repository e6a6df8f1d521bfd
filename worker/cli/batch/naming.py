"""Finds a batch by its id, by the beginning of its id, or by the plan that it has applied."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Final

from ...client.batches import AsyncBatch
from ...domain.errors import CancellerError, UnknownBatch
from ...views.batches import DIGEST, short
from ..session import Session
from .plan_file import LONGEST_LINE

SEARCHED: Final = 1000
"""How many batches are searched for an id with a given beginning."""
LEAST: Final = 4
"""The fewest characters that are taken as the beginning of an id; `sha256:` does not count."""
SHOWN: Final = 5


class NoBatch(CancellerError):
    """No batch has this name, or several have; the text says which batches there are."""


async def batch_named(session: Session, reference: str) -> AsyncBatch:
    """Find a batch by its id, by the beginning of its id, or by its plan's file; `sha256:` may be left out.

    Raises:
        NoBatch: there is none, or several match.

    """
    reference = _digest_in(Path(reference)) or reference
    try:
        await session.client.batch_by_id(reference).status()
    except UnknownBatch:
        pass
    else:
        return session.client.batch_by_id(reference)
    known = [one.id for one in await session.client.batches(SEARCHED)]
    found = [one for one in known if begins(one, reference)]
    if len(found) == 1:
        return session.client.batch_by_id(found[0])
    if found:
        raise NoBatch(f"{reference} is the beginning of several batches' ids: {', '.join(found[:SHOWN])}")
    if any(begins(one, reference, least=1) for one in known):
        raise NoBatch(f"{reference} is too short for the beginning of a batch's id: give {LEAST} characters or more")
    last = f"; the last ones are {', '.join(map(short, known[:SHOWN]))}" if known else ""
    raise NoBatch(
        f"no batch is known as {reference or repr(reference)}: `canceller batch list` shows those that are kept{last}"
    )


def begins(batch_id: str, reference: str, *, least: int = LEAST) -> bool:
    """Whether a batch's id, with or without `sha256:`, begins with a reference of at least `least` characters."""
    if len(reference.removeprefix(DIGEST)) < least:
        return False
    return batch_id.startswith(reference) or batch_id.removeprefix(DIGEST).startswith(reference)


def new_id(kind: str) -> str:
    """Return an id for a batch that has no digest: one that people can copy."""
    return f"{kind}-{uuid.uuid4().hex[:12]}"


def _digest_in(place: Path) -> str:
    """Return the digest that a plan begins with; empty if there is no such file, or it is no plan."""
    try:
        with place.open("rb") as file:
            first = json.loads(file.readline(LONGEST_LINE))
    except (OSError, ValueError, RecursionError):
        return ""
    return str(first.get("digest") or "") if isinstance(first, dict) and "plan" in first else ""
