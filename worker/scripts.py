"""Loads the Lua scripts: each file under `lua/` is one transition and starts with its own contract."""

from __future__ import annotations

from dataclasses import dataclass, fields
from importlib.resources import files

from redis.asyncio import Redis
from redis.commands.core import AsyncScript


@dataclass(frozen=True, slots=True)
class Scripts:
    """Every transition, ready to be called with keys and arguments."""

    accept: AsyncScript
    claim: AsyncScript
    commit: AsyncScript
    beat: AsyncScript
    abort: AsyncScript
    attest: AsyncScript
    reject: AsyncScript
    recall: AsyncScript
    use: AsyncScript


def load(redis: Redis) -> Scripts:
    """Register the scripts of the store with a client; Redis gets a text only when it does not have it yet."""
    return Scripts(
        **{field.name: redis.register_script(source("lib") + source(field.name)) for field in fields(Scripts)}
    )


def script(redis: Redis, text: str) -> AsyncScript:
    """Register one script."""
    return redis.register_script(text)


def source(name: str) -> str:
    """Return the text of a script."""
    return files("worker.lua").joinpath(f"{name}.lua").read_text() + "\n"
