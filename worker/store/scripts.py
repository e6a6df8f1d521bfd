"""Loads the Lua scripts: each file under `lua/` is one transition and starts with its own contract."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from importlib.resources import files
from typing import Any, cast

from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.exceptions import NoScriptError

from ..protocol.operator_actions import ACTIONS
from . import lua


class Script:
    """One script; Redis gets its text when it does not know it, in the very call that needs it."""

    def __init__(self, redis: Redis, text: str) -> None:
        self._redis = redis
        self._text = text
        self._digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    async def __call__(self, keys: Sequence[Any], args: Sequence[Any]) -> Any:
        """Run the script."""
        parts = (len(keys), *keys, *args)
        try:
            return await cast("Any", self._redis.evalsha(self._digest, *parts))
        except NoScriptError:
            return await cast("Any", self._redis.eval(self._text, *parts))

    def put_into(self, pipe: Pipeline, keys: Sequence[Any], args: Sequence[Any]) -> None:
        """Run the script with a pipeline; where Redis does not know it, its result is a NoScriptError."""
        pipe.evalsha(self._digest, len(keys), *keys, *args)


@dataclass(frozen=True, slots=True)
class Scripts:
    """Every transition, ready to be called with keys and arguments."""

    accept: Script
    claim: Script
    commit: Script
    beat: Script
    reject: Script
    recall: Script
    use: Script
    now: Script
    forget: Script
    actions: Mapping[str, Script]
    """Those of operators' actions, by their names."""


INCLUDES = {"claim": ("holds",), "commit": ("holds",), **dict.fromkeys(ACTIONS, ("holds", "orders"))}
"""What a script shares with some others only."""


def load(redis: Redis) -> Scripts:
    """Register the scripts of the store with a client; Redis gets a text only when it does not have it yet."""
    names = [field.name for field in fields(Scripts) if field.name != "actions"]
    one_by_one = {name: Script(redis, on_store(name)) for name in names}
    return Scripts(**one_by_one, actions={name: Script(redis, on_store(name)) for name in ACTIONS})


@cache
def on_store(name: str) -> str:
    """Return the text of a script of the store, behind what these share."""
    return timed("".join(map(source, ("lib", *INCLUDES.get(name, ()), name))))


def timed(text: str) -> str:
    """Return the text of a script behind the clock that it counts on."""
    return source("clock") + text


def source(name: str) -> str:
    """Return the text of a file under `lua/`."""
    return files(lua).joinpath(f"{name}.lua").read_text(encoding="utf-8") + "\n"
