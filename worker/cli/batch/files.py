"""Files that a batch reads and writes."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

import typer

from ...domain.errors import CancellerError

STANDARD = "-"
"""In the place of a file: standard input, or standard output."""


class FileError(CancellerError):
    """A file can't be written; the text says why."""


@contextmanager
def reading(place: str) -> Iterator[tuple[BinaryIO, str]]:
    """Open a file, or standard input for `-`; also say what it is called."""
    if place == STANDARD:
        yield sys.stdin.buffer, "standard input"
        return
    try:
        file = Path(place).open("rb")  # noqa: SIM115 - the `with` below closes it
    except OSError as error:
        raise typer.BadParameter(f"{place} can't be read: {error.strerror}") from None
    with file:
        yield file, place


@contextmanager
def writing(place: Path) -> Iterator[BinaryIO]:
    """Open a file that takes the place of another once all of it is on the disk.

    Raises:
        FileError: it can't be written, and what was there before stays.

    """
    new = place.with_name(f".{place.name}.{os.getpid()}")
    try:
        with new.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        new.replace(place)
    except OSError as error:
        raise FileError(f"{place} can't be written ({error.strerror}): name another file with -o") from None
    finally:
        with suppress(OSError):
            new.unlink()
