"""Files that a batch writes: mistakes are reported first, and an old file stays until the new one is complete."""

from __future__ import annotations

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
