"""Commands that are coroutines: each runs in a loop of its own, and ends with the exit code that it returns."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any

import typer

from .exits import Exit


def runnable(command: Callable[..., Any]) -> Callable[..., Any]:
    """Return a command as Typer can run it, under its own name, options and help."""
    if not iscoroutinefunction(command):
        return command

    @wraps(command)
    def run(*args: Any, **options: Any) -> None:
        code: Exit | None = asyncio.run(command(*args, **options))
        if code is not None:
            raise typer.Exit(code)

    return run
