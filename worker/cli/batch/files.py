"""Files that a batch reads and writes."""

from __future__ import annotations

import errno
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
    """Open a file, or standard input for `-`; also yield its name."""
    if place == STANDARD:
        yield sys.stdin.buffer, "standard input"
        return
    try:
        file = Path(place).open("rb")  # noqa: SIM115 - the `with` below closes it
    except OSError as error:
        raise typer.BadParameter(f"{place} can't be read: {error.strerror}") from None
    with file:
        yield file, place


def check_writable(place: Path) -> None:
    """Check that a file can be written, before the work whose result it is for.

    Raises:
        FileError: it can't.

    """
    if str(place) == STANDARD:
        return
    with _beside(place) as new:
        if place.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        new.open("xb").close()


@contextmanager
def writing(place: Path) -> Iterator[BinaryIO]:
    """Open a new file that replaces the one at this place once all of it is on the disk.

    Raises:
        FileError: it can't be written, and what was there before stays.

    """
    with _beside(place) as new:
        with new.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        new.replace(place)


@contextmanager
def _beside(place: Path) -> Iterator[Path]:
    """Yield the path of a temporary file beside another, and remove it; an OSError becomes a FileError."""
    new = place.parent / f".{place.name}.{os.getpid()}"  # `.` and `/` have no name
    try:
        yield new
    except OSError as error:
        raise FileError(f"{place} can't be written ({error.strerror}): name another file with -o") from None
    finally:
        with suppress(OSError):
            new.unlink()
