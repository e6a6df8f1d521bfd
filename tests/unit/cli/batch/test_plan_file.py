"""Plans as files: what was written is what is read, and anything else is refused."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from worker.cli.batch.files import FileError, writing
from worker.cli.batch.plan_file import NoPlan, first_line, read_plan, write_plan
from worker.cli.batch.spool import spool

HEADER = {"verb": "cancel", "backends": ["ess"], "counts": {"selected": 3, "cancel": 3}, "calls": {}, "seconds": 1}
LINES: list[dict[str, Any]] = [
    {
        "job_id": str(number),
        "backend": "ess",
        "verb": "cancel",
        "raw_state": "RUNNING",
        "would": "cancel",
        "reason": "ö",
    }
    for number in range(3)
]


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    place = tmp_path / "plan.jsonl"
    write_plan(place, first_line(HEADER, LINES), LINES)
    return place


def read(content: bytes) -> tuple[Any, list[dict[str, Any]]]:
    with spool() as lines:
        return read_plan(io.BytesIO(content), "plan", lines), [*lines]


def test_what_was_written_is_read(plan: Path) -> None:
    first, lines = read(plan.read_bytes())

    assert lines == LINES
    assert first == {"plan": 1, "digest": first["digest"], **HEADER}
    assert first["digest"].startswith("sha256:")


@pytest.mark.parametrize(
    "same",
    [
        lambda lines: [line + b"\r" for line in lines],
        lambda lines: [
            json.dumps(json.loads(line), ensure_ascii=False, indent=None, sort_keys=True).encode() for line in lines
        ],
        lambda lines: [*lines, b"", b""],
    ],
    ids=["other-ends-of-lines", "other-spelling", "blank-lines"],
)
def test_how_it_is_spelled_does_not_matter(plan: Path, same: Callable[[list[bytes]], list[bytes]]) -> None:
    assert read(b"\n".join(same(plan.read_bytes().splitlines())))[1] == LINES


@pytest.mark.parametrize(
    "changed",
    [
        lambda lines: lines[:-1],
        lambda lines: [*lines, lines[-1]],
        lambda lines: [lines[0], lines[2], lines[1], lines[3]],
        lambda lines: [*lines[:-1], lines[-1][:-10]],
        lambda lines: [*lines[:-1], lines[-1].replace(b'"job_id": "2"', b'"job_id": "5"')],
        lambda lines: [lines[0].replace(b'"seconds": 1', b'"seconds": 2'), *lines[1:]],
        lambda lines: [lines[0].replace(b'"digest"', b'"digits"'), *lines[1:]],
        lambda lines: [*lines, b"[1]"],
    ],
    ids=["cut", "one-more", "another-order", "half-a-line", "another-job", "another-header", "no-digest", "a-list"],
)
def test_a_plan_that_was_changed_is_refused(plan: Path, changed: Callable[[list[bytes]], list[bytes]]) -> None:
    with pytest.raises(NoPlan, match="was edited or cut"):
        read(b"\n".join(changed(plan.read_bytes().splitlines())))


@pytest.mark.parametrize(
    "content", [b"", b"300100\n", b'{"job_id": 1}\n', b"\xff\n"], ids=["empty", "ids", "commands", "no-text"]
)
def test_what_is_no_plan_is_told_from_one(content: bytes) -> None:
    with pytest.raises(NoPlan, match="plan is not a plan"):
        read(content)


def test_a_plan_of_a_newer_version_is_refused(plan: Path) -> None:
    with pytest.raises(NoPlan, match="another version"):
        read(plan.read_bytes().replace(b'"plan": 1', b'"plan": 2'))


def test_a_file_is_whole_or_as_it_was(plan: Path) -> None:
    before = plan.read_bytes()

    with pytest.raises(TypeError):
        write_plan(plan, first_line(HEADER, LINES), [*LINES, {"job_id": object()}])

    assert plan.read_bytes() == before
    assert [path.name for path in plan.parent.iterdir()] == [plan.name]


def test_a_place_that_can_not_be_written_is_named(tmp_path: Path) -> None:
    place = tmp_path / "nowhere" / "plan.jsonl"

    with pytest.raises(FileError, match=f"{place} can't be written"), writing(place):
        pass
