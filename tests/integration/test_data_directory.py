"""The data directory: other people's files are left as they are, and no link is followed."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from worker.domain.errors import EmbeddedError
from worker.local.data_directory import LOCK, make_private, opened, write_whole


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


def made(path: Path, permissions: int, *files: str) -> Path:
    path.mkdir()
    for name in files:
        (path / name).write_text("theirs")
    path.chmod(permissions)
    return path


@pytest.mark.parametrize(
    ("permissions", "files"),
    [
        pytest.param(0o755, [], id="empty"),
        pytest.param(0o777, [], id="an-empty-volume"),
        pytest.param(0o755, [LOCK, "redis.log"], id="ours-from-before"),
        pytest.param(0o700, ["backends.toml"], id="private-already"),
    ],
)
def test_a_directory_of_ours_is_made_private(permissions: int, files: list[str], tmp_path: Path) -> None:
    directory = made(tmp_path / "data", permissions, *files)
    make_private(directory)

    assert mode(directory) == 0o700


def test_one_that_is_not_there_is_made(tmp_path: Path) -> None:
    make_private(tmp_path / "a/b")

    assert mode(tmp_path / "a/b") == 0o700


@pytest.mark.parametrize(
    ("permissions", "files", "why"),
    [
        pytest.param(0o755, ["theirs.txt"], "it holds other data than Canceller's", id="others-data"),
        pytest.param(0o1777, [], "it is open to all users", id="a-temporary-directory"),
        pytest.param(0o1777, [LOCK], "it is open to all users", id="a-temporary-directory-with-a-lock"),
    ],
)
def test_any_other_is_refused_and_left_as_it_is(permissions: int, files: list[str], why: str, tmp_path: Path) -> None:
    directory = made(tmp_path / "data", permissions, *files)

    with pytest.raises(EmbeddedError, match=rf"data can't be used \({why}\): set CANCELLER_DATA_DIR .*data/canceller"):
        make_private(directory)
    assert (mode(directory), {one.name for one in directory.iterdir()}) == (permissions, set(files))


def test_one_of_another_user_is_refused(tmp_path: Path) -> None:
    theirs = Path("/usr")
    if os.geteuid() == 0:
        theirs = made(tmp_path / "data", 0o755)
        os.chown(theirs, 12345, 12345)

    with pytest.raises(EmbeddedError, match=f"it belongs to the user with id {theirs.stat().st_uid}"):
        make_private(theirs)


def linked(directory: Path, target: Path) -> None:
    (directory / "redis.log").symlink_to(target)


def hard_linked(directory: Path, target: Path) -> None:
    (directory / "redis.log").hardlink_to(target)


@pytest.mark.parametrize("plant", [linked, hard_linked], ids=["symbolic", "hard"])
def test_a_link_that_was_planted_is_named(plant: Callable[[Path, Path], None], tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("precious")
    directory = made(tmp_path / "data", 0o777, LOCK)
    plant(directory, target)

    with pytest.raises(EmbeddedError, match=r"redis\.log in it is a link"):
        make_private(directory)
    assert target.read_text() == "precious"


def test_a_directory_that_is_a_link_is_refused(tmp_path: Path) -> None:
    made(tmp_path / "real", 0o700)
    (tmp_path / "data").symlink_to(tmp_path / "real")

    with pytest.raises(EmbeddedError, match="it is a symbolic link"):
        make_private(tmp_path / "data")


def test_a_lock_that_is_a_link_is_not_written_to(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("precious")
    (tmp_path / LOCK).symlink_to(tmp_path / "target")

    with pytest.raises(OSError, match="symbolic link"), opened(tmp_path / LOCK):
        pass
    assert (tmp_path / "target").read_text() == "precious"


def test_what_is_written_whole_replaces_a_link(tmp_path: Path) -> None:
    (tmp_path / "target").write_text("precious")
    for name in ("redis.url", "redis.tmp"):
        (tmp_path / name).symlink_to(tmp_path / "target")
    write_whole(tmp_path / "redis.url", "new")

    assert ((tmp_path / "target").read_text(), (tmp_path / "redis.url").read_text()) == ("precious", "new")
    assert not (tmp_path / "redis.url").is_symlink()
