"""The data directory of an embedded Redis: private to its user, and without links."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from ..domain.errors import EmbeddedError

LOCK = "lock"
"""The file that marks a data directory as ours: it is always the first one there."""
OTHERS = stat.S_IRWXG | stat.S_IRWXO
OPEN_TO_ALL = stat.S_ISVTX
"""The mark of a directory that many users share, such as /tmp: it must not become private."""


def make_private(directory: Path) -> None:
    """Make a data directory private: create it, or take one that is empty or ours.

    Raises:
        EmbeddedError: it can't be made, belongs to somebody else, or holds data that is not ours.

    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError as error:
        problem = "it is a symbolic link" if directory.is_symlink() else error.strerror
        raise EmbeddedError(_refused(directory, str(problem))) from None
    try:
        if problem := _problem(handle):
            raise EmbeddedError(_refused(directory, problem))
        os.fchmod(handle, 0o700)
        for name in _led_astray(handle):
            raise EmbeddedError(_refused(directory, f"{name} in it is a link, or belongs to somebody else"))
    except OSError as error:
        raise EmbeddedError(_refused(directory, str(error.strerror))) from None
    finally:
        os.close(handle)


def _refused(directory: Path, problem: str) -> str:
    return (
        f"the data directory {directory} can't be used ({problem}): "
        f"set CANCELLER_DATA_DIR to another one, such as {directory / 'canceller'}"
    )


def _problem(handle: int) -> str:
    """Say why an open directory must be left alone; nothing if it may be used."""
    about, names = os.fstat(handle), os.listdir(handle)
    if about.st_uid != os.geteuid():
        return f"it belongs to the user with id {about.st_uid}"
    if about.st_mode & OPEN_TO_ALL:
        return "it is open to all users"
    if names and LOCK not in names and about.st_mode & OTHERS:
        return "it holds other data than Canceller's"
    return ""


def _led_astray(handle: int) -> Iterator[str]:
    """Find what somebody may have planted while the directory was open to others."""
    for name in sorted(os.listdir(handle)):
        about = os.stat(name, dir_fd=handle, follow_symlinks=False)
        planted = stat.S_ISREG(about.st_mode) and about.st_nlink > 1
        if stat.S_ISLNK(about.st_mode) or planted or about.st_uid != os.geteuid():
            yield name


@contextmanager
def opened(file: Path) -> Iterator[IO[str]]:
    """Open a file for reading and appending; create it if it does not exist. No link is followed."""
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "a+", encoding="utf-8") as handle:
        yield handle


def write_whole(file: Path, text: str) -> None:
    """Write a file so that others see all of it or nothing. No link is followed."""
    draft = file.with_suffix(".tmp")
    draft.unlink(missing_ok=True)
    with draft.open("x", encoding="utf-8") as handle:
        handle.write(text)
    draft.replace(file)
