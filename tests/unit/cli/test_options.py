import codecs
import io
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from worker.cli.commands.send import commands_of, job_command
from worker.cli.exits import Exit
from worker.cli.options import duration, job_ids, pairs, position


def stdin(data: bytes, encoding: str = "utf-8") -> io.TextIOWrapper:
    return io.TextIOWrapper(io.BytesIO(data), encoding)


@pytest.mark.parametrize(("text", "seconds"), [("90", 90.0), ("250ms", 0.25), ("30m", 1800.0), ("1.5h", 5400.0)])
def test_reads_durations_with_and_without_a_unit(text: str, seconds: float) -> None:
    assert duration(text) == seconds


@pytest.mark.parametrize("text", ["", "-1", "3 weeks", "1e400"])
def test_says_what_a_duration_looks_like(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="is not a duration"):
        duration(text)


def test_reads_pairs_at_the_first_equals_sign() -> None:
    assert pairs(["team=a=b", "empty="], "--label") == {"team": "a=b", "empty": ""}


@pytest.mark.parametrize("texts", [["team"], ["=x"], ["a=1", "a=2"]], ids=["no value", "no key", "twice"])
def test_refuses_what_is_no_pair(texts: list[str]) -> None:
    with pytest.raises(typer.BadParameter):
        pairs(texts, "--label")


@pytest.mark.parametrize("text", ["0", "1763899200000", "1763899200000-12"])
def test_takes_stream_positions(text: str) -> None:
    assert position(text) == text


@pytest.mark.parametrize("text", ["", "now", "$", "12-", "1-2-3"])
def test_refuses_what_is_no_position(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="is not a position"):
        position(text)


def test_a_dash_stands_for_the_lines_of_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", stdin(b"2\n\n 3 \n"))

    assert job_ids(["1", "-", "4"]) == ["1", "2", "3", "4"]


@pytest.mark.parametrize("encoding", ["utf-8", "gbk", "latin-1", "ascii"])
@pytest.mark.parametrize(
    "data",
    ["\ufeff2\r\nü\r\n".encode(name) for name in ("utf-8", "utf-16-le", "utf-16-be")],
    ids=["UTF-8", "UTF-16, little end first", "UTF-16, big end first"],
)
def test_a_byte_order_mark_is_no_part_of_the_first_id(
    data: bytes, encoding: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", stdin(data, encoding))

    assert ["2", "ü"] == job_ids(["-"])


def test_a_lone_byte_order_mark_is_no_id(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", stdin(codecs.BOM_UTF8))

    with pytest.raises(typer.BadParameter, match="no job id"):
        job_ids(["-"])


def test_what_is_no_text_is_a_mistake_of_usage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", stdin(b"1\n\xff\xfa\n"))

    with pytest.raises(typer.BadParameter, match="is not utf-8 text"):
        job_ids(["-"])


def test_a_closed_standard_input_holds_no_id(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)

    with pytest.raises(typer.BadParameter, match="no job id"):
        job_ids(["-"])


def test_an_empty_standard_input_is_a_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", stdin(b""))

    with pytest.raises(typer.BadParameter, match="no job id"):
        job_ids(["-"])


def commands_sent(*options: str) -> list[Mapping[str, Any]]:
    """Return what a command line that makes one cancel would send."""
    found: list[Mapping[str, Any]] = []

    async def send(commands: Sequence[Mapping[str, Any]], *_: object) -> Exit:
        found.extend(commands)
        return Exit.DONE

    app = typer.Typer()
    app.command()(job_command("cancel", send, "Stop jobs."))
    done = CliRunner().invoke(app, ["ess", "1", *options])
    assert done.exit_code == Exit.DONE, done.output
    return found


def test_only_what_was_given_goes_into_a_command() -> None:
    assert commands_sent() == [{"verb": "cancel", "backend": "ess", "job_id": "1", "lane": "interactive"}]


def test_every_option_finds_its_field() -> None:
    options = {
        "--reason": "r",
        "--by": "b",
        "--command-id": "c",
        "--force": "never",
        "--force-after": "1s",
        "--give-up-after": "2s",
        "--lane": "batch",
        "--batch-id": "n",
        "--label": "k=v",
        "--param": "cluster_id=x",
        "--not-before": "2026-11-22T10:00:00Z",
        "--expect": "raw_state=RUNNING",
        "--traceparent": "t",
    }

    (command,) = commands_sent(*chain(*options.items()), "--remote-stopped", "--dry-run")

    assert command == {
        "verb": "cancel",
        "backend": "ess",
        "job_id": "1",
        "reason": "r",
        "requested_by": "b",
        "command_id": "c",
        "force": "never",
        "force_after": 1.0,
        "give_up_after": 2.0,
        "remote_stopped": True,
        "lane": "batch",
        "batch_id": "n",
        "labels": {"k": "v"},
        "params": {"cluster_id": "x"},
        "not_before": "2026-11-22T10:00:00Z",
        "dry_run": True,
        "expect": {"raw_state": "RUNNING"},
        "traceparent": "t",
    }


def test_expect_state_is_short_for_an_expected_raw_state() -> None:
    (command,) = commands_sent("--expect-state", "RUNNING")

    assert command["expect"] == {"raw_state": "RUNNING"}


def test_all_wrong_jobs_are_named_at_once() -> None:
    with pytest.raises(typer.BadParameter) as caught:
        commands_of("cancel", "ess", ["1", "..", "a\nb"], {})

    assert caught.value.message.count("job_id:") == 2


def test_one_command_id_names_one_command() -> None:
    with pytest.raises(typer.BadParameter, match="give one JOB_ID"):
        commands_of("cancel", "ess", ["1", "2"], {"command_id": "c"})
