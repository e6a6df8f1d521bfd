"""Loads the Lua scripts: each file under `lua/` is one transition, and its header is its contract.

The header also names the files under `lua/include/` that it needs, and each of those may name others. Redis gets one
text per script. Each call of a script defines all of its functions anew, so whatever most calls do not need is included
on demand: inside a function that only the calls that need it run.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cache
from importlib.resources import files
from typing import Any, cast

from redis.asyncio import Redis
from redis.exceptions import NoScriptError

from ..protocol.operator_actions import ACTIONS
from . import lua
from .script_connection import ScriptConnection


class Script:
    """One script. If Redis does not have its text yet, the call that needs it sends it."""

    def __init__(self, redis: Redis | ScriptConnection, text: str) -> None:
        self._redis = redis
        self._text = text
        self._digest = digest_of(text)

    async def __call__(self, keys: Sequence[Any], args: Sequence[Any]) -> Any:
        """Run the script."""
        parts = (len(keys), *keys, *args)
        try:
            return await cast("Any", self._redis.evalsha(self._digest, *parts))
        except NoScriptError:
            return await cast("Any", self._redis.eval(self._text, *parts))


@dataclass(frozen=True, slots=True)
class Scripts:
    """Every transition, ready to be called with keys and arguments."""

    accept: Script
    accept_and_claim: Script
    start: Script
    claim: Script
    commit: Script
    beat: Script
    reject: Script
    recall: Script
    use: Script
    now: Script
    forget: Script
    feed: Script
    sweep: Script
    batch_part: Script
    batch_order: Script
    sink_claim: Script
    sink_note: Script
    sink_give_up: Script
    watch: Script
    watched: Script
    actions: Mapping[str, Script]
    """The scripts of operators' actions, by name."""


INCLUDES = re.compile(r"^-- Includes (.+)$", re.MULTILINE)
"""The line of a header that names what a file includes."""
ON_DEMAND = re.compile(r"^-- On demand (\w+): (.+)$", re.MULTILINE)
"""A header line that includes a file inside a function named after the file, which returns the functions listed."""
CALLS = re.compile(r"^-- Calls (.+)$", re.MULTILINE)
"""The line of a header that names a script to be called as a function, with its arguments as the parameter."""


def load(redis: Redis | ScriptConnection) -> Scripts:
    """Return the scripts of the store for a client; nothing is sent to Redis yet."""
    names = [field.name for field in fields(Scripts) if field.name != "actions"]
    one_by_one = {name: Script(redis, text_of(name)) for name in names}
    return Scripts(**one_by_one, actions={name: Script(redis, text_of(name)) for name in ACTIONS})


@cache
def text_of(name: str) -> str:
    """Return the text of a script, preceded by the clock and all that it includes."""
    return source("include/clock") + _expanded(name, set())


def _expanded(name: str, included: set[str]) -> str:
    """Return the text of a file, preceded by all that it includes and that is not `included` yet."""
    text, parts = source(name), []
    for names in INCLUDES.findall(text):
        for one in names.split(", "):
            if one not in included:
                included.add(one)
                parts.append(_expanded(f"include/{one}", included))
    for one, functions in ON_DEMAND.findall(text):
        body = _expanded(f"include/{one}", set(included))
        parts.append(f"local function {one}()\n{body}return {functions}\nend -- of {one}\n")
    for one in CALLS.findall(text):
        body = _expanded(one, set(included))
        parts.append(f"local function {one}(ARGV)\n{body}end -- of {one}\n")
    return "".join(parts) + text


@cache
def digest_of(text: str) -> str:
    """Return the digest by which Redis knows a script; cached, because every store in a process needs the same ones."""
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


def source(name: str) -> str:
    """Return the text of a file under `lua/`."""
    return files(lua).joinpath(f"{name}.lua").read_text(encoding="utf-8") + "\n"
