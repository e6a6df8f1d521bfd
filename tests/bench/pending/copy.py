"""A shortcut for the benchmark `pending` (`--copy`): open cancellations that are copies of a real one, made in Redis.

This takes a minute for a million instead of an hour. Only the figures about taking in and about the stream are missing.
"""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Sequence
from typing import Any

import redis

from tests.bench.kit.send import chunks
from tests.bench.pending.redis import BASE, DUE, OPEN, week

CHUNK = 2000
SOONEST, SPREAD = 50_000, 20_000
"""Seconds from now at which the first copy comes due, and over which the others follow."""


def copy(client: redis.Redis, jobs: Sequence[int]) -> None:
    """Copy one open cancellation to further jobs, whose ids have the same length."""
    found: Any = client.hrandfield(OPEN, 1, withvalues=True)
    job, id_ = found
    texts: dict[str, Any] = {kind: client.get(f"{BASE}{kind}:{id_.decode()}") for kind in ("hot", "cold")}
    start = time.time() + SOONEST
    for some in chunks(jobs, CHUNK):
        ids: dict[Any, str] = {str(one): uuid.uuid4().hex for one in some}
        pipe = client.pipeline(transaction=False)
        for one, new in ids.items():
            for kind, text in texts.items():
                pipe.set(f"{BASE}{kind}:{new}", text.replace(job, one.encode()).replace(id_, new.encode()))
            slot, field, value = _command_id(new)
            pipe.hset(slot, field, value)
        pipe.hset(OPEN, mapping=ids)
        pipe.zadd(DUE, {new: int((start + int(one) * 7919 % SPREAD) * 1000) for one, new in ids.items()})
        pipe.execute()


def _command_id(new: str) -> tuple[str, str, str]:
    """Return the key and the field under which a command id like the real ones would be kept."""
    digest = hashlib.sha1(new.encode(), usedforsecurity=False).hexdigest()
    return f"{BASE}cmd:{week()}:{digest[:4]}", digest[4:28], digest[:16] + new
