"""Files that a batch writes: mistakes are reported first, and an old file stays until the new one is complete."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from worker.cli.batch.files import FileError, check_writable, writing


@pytest.mark.parametrize("place", [".", "..", "/", "no/such/folder/plan.jsonl", "folder", "file/plan.jsonl"])
def test_what_can_not_be_written_is_told_at_once(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()

    with pytest.raises(FileError, match=r"can't be written .*: name another file with -o"):
        check_writable(Path(place))
    with pytest.raises(FileError), writing(Path(place)) as file:
        file.write(b"x")
    assert {one.name for one in tmp_path.iterdir()} == {"folder", "file"}


def test_a_file_that_can_be_written_is_left_as_it_is(tmp_path: Path) -> None:
    place = tmp_path / "plan.jsonl"
    place.write_text("old")

    check_writable(place)
    check_writable(tmp_path / "new.jsonl")
    check_writable(Path("-"))

    assert [(one.name, one.read_text()) for one in tmp_path.iterdir()] == [("plan.jsonl", "old")]


def linked(place: Path) -> Path:
    place.symlink_to("target")
    return place.parent / "target"


def linked_twice(place: Path) -> Path:
    (place.parent / "folder").mkdir()
    place.symlink_to("between")
    (place.parent / "between").symlink_to("folder/target")
    return place.parent / "folder/target"


@pytest.mark.parametrize("old", [None, b"old"], ids=["to nothing yet", "to a file"])
@pytest.mark.parametrize("link", [linked, linked_twice])
def test_a_link_stays_and_what_it_names_is_replaced(
    link: Callable[[Path], Path], old: bytes | None, tmp_path: Path
) -> None:
    place = tmp_path / "plan.jsonl"
    target = link(place)
    if old is not None:
        target.write_bytes(old)

    check_writable(place)
    with writing(place) as file:
        file.write(b"new")
        assert (target.read_bytes() if target.exists() else None) == old

    assert place.is_symlink()
    assert not target.is_symlink()
    assert target.read_bytes() == b"new"
    assert not list(tmp_path.rglob(".*"))


@pytest.mark.parametrize("named", [str, lambda place: f"{place}.link"], ids=["itself", "by a link"])
def test_a_pipe_is_written_to_and_stays_a_pipe(named: Callable[[Path], str], tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    (tmp_path / "pipe.link").symlink_to(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    try:
        check_writable(Path(named(pipe)))
        with writing(Path(named(pipe))) as file:
            file.write(b"new")
        assert os.read(reader, 100) == b"new"
    finally:
        os.close(reader)

    assert stat.S_ISFIFO(pipe.lstat().st_mode)
    assert {one.name for one in tmp_path.iterdir()} == {"pipe", "pipe.link"}


def test_an_open_file_without_a_name_is_written_to(tmp_path: Path) -> None:
    with (tmp_path / "deleted").open("w+b") as nameless:
        (tmp_path / "deleted").unlink()
        with writing(Path(f"/proc/self/fd/{nameless.fileno()}")) as file:
            file.write(b"new")
        assert nameless.read() == b"new"

    assert not list(tmp_path.iterdir())


def test_an_error_while_writing_to_a_pipe_names_the_place(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)

    def written_to_nobody() -> None:
        with writing(pipe) as file:
            os.close(reader)
            file.write(b"new")

    with pytest.raises(FileError, match=r"pipe can't be written \(Broken pipe\)"):
        written_to_nobody()

    assert stat.S_ISFIFO(pipe.lstat().st_mode)


def test_a_link_to_itself_can_not_be_written(tmp_path: Path) -> None:
    place = tmp_path / "plan.jsonl"
    place.symlink_to(place)

    with pytest.raises(FileError, match="can't be written"):
        check_writable(place)
    with pytest.raises(FileError, match="can't be written"), writing(place) as file:
        file.write(b"new")

    assert place.is_symlink()
