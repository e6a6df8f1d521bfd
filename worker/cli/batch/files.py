"""Files that a batch reads and writes."""

from __future__ import annotations

import errno
import os
import stat
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
    with _told(place):
        target = _replaceable(place)
        if target is not None:
            with _beside(target) as new:
                new.open("xb").close()
        elif place.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        elif not os.access(place, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


@contextmanager
def writing(place: Path) -> Iterator[BinaryIO]:
    """Open a new file that replaces the one at this place, or that a link there names, once all of it is on the disk.

    What is no regular file (a device, a pipe) is never replaced: it is written to.

    Raises:
        FileError: it can't be written; a regular file that was there before stays.

    """
    with _told(place):
        target = _replaceable(place)
        if target is None:
            with place.open("wb") as file:
                yield file
            return
        with _beside(target) as new:
            with new.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            new.replace(target)


def _replaceable(place: Path) -> Path | None:
    """Return the path, without links, at which a regular file is or can be made; None if something else is there."""
    target = Path(os.path.realpath(place))
    try:
        there = place.stat()
    except FileNotFoundError:
        return target
    named = target.exists()  # not if the file was deleted, and a link below /proc leads to what is still open
    return target if stat.S_ISREG(there.st_mode) and named else None


@contextmanager
def _beside(target: Path) -> Iterator[Path]:
    """Yield the path of a temporary file beside another, and remove it."""
    new = target.parent / f".{target.name}.{os.getpid()}"
    try:
        yield new
    finally:
        with suppress(OSError):
            new.unlink()


@contextmanager
def _told(place: Path) -> Iterator[None]:
    """Turn an OSError into a FileError, which names the place."""
    try:
        yield
    except OSError as error:
        raise FileError(f"{place} can't be written ({error.strerror}): name another file with -o") from None
