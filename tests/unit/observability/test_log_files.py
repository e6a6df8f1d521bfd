from contextlib import closing
from pathlib import Path

import pytest

from worker.observability.log_files import LogFile


def test_a_line_is_on_disk_at_once(tmp_path: Path) -> None:
    with closing(LogFile(tmp_path / "log")) as log:
        log.write("ü 预\n")

    assert "ü 预\n" == (tmp_path / "log").read_text(encoding="utf-8")


def test_what_is_there_already_stays(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("old\n", encoding="utf-8")
    with closing(LogFile(tmp_path / "log")) as log:
        log.write("new\n")

    assert "old\nnew\n" == (tmp_path / "log").read_text(encoding="utf-8")


@pytest.mark.parametrize("moved_to", ["log.1", None], ids=["moved away", "deleted"])
def test_a_rotated_file_is_opened_anew(moved_to: str | None, tmp_path: Path) -> None:
    with closing(LogFile(tmp_path / "log")) as log:
        log.write("before\n")
        if moved_to:
            (tmp_path / "log").rename(tmp_path / moved_to)
        else:
            (tmp_path / "log").unlink()
        log.write("after\n")

    assert "after\n" == (tmp_path / "log").read_text(encoding="utf-8")


def test_half_a_surrogate_pair_is_written_by_its_number(tmp_path: Path) -> None:
    with closing(LogFile(tmp_path / "log")) as log:
        log.write("\udcff\n")

    assert b"\\udcff\n" == (tmp_path / "log").read_bytes()


def test_it_stays_where_it_was_whatever_the_working_directory_becomes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with closing(LogFile("log")) as log:
        (tmp_path / "log").unlink()
        monkeypatch.chdir("/")
        log.write("here\n")

    assert "here\n" == (tmp_path / "log").read_text(encoding="utf-8")


def test_a_file_that_can_not_be_written_is_an_error_at_once(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="absent"):
        LogFile(tmp_path / "absent" / "log")
