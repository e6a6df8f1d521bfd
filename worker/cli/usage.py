"""Usage errors: they quote what was typed, which may come from anywhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import typer
from typer.core import TyperGroup

from ..observability.visible import visible

UsageError: Final[type[Any]] = typer.BadParameter.__bases__[0]
"""The base class of all usage errors. Which package it comes from depends on the version of Typer."""


class BadParameters(typer.BadParameter):
    """Several mistakes, each on a line of its own."""

    def __init__(self, mistakes: Iterable[str]) -> None:
        super().__init__("\n".join(map(visible, mistakes)))


@contextmanager
def _visible_errors() -> Iterator[None]:
    try:
        yield
    except UsageError as error:
        if not isinstance(error, BadParameters):
            error.message = visible(error.message)
        raise


class Commands(TyperGroup):
    """Commands whose usage errors are safe to show: errors before any command, and a command's own."""

    make_context = _visible_errors()(TyperGroup.make_context)
    invoke = _visible_errors()(TyperGroup.invoke)
