"""The corpus of hostile texts in every field that strangers can fill: nothing acts or hides, and an entry is a row."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import typer
from msgspec.structs import replace
from rich.console import Console
from support.hostile import LEGITIMATE, corpus, deceptions

from worker.cli import waiting
from worker.cli.app import command_line
from worker.cli.checks.attendance import Attendance
from worker.cli.checks.findings import Finding
from worker.cli.commands import check, events, show
from worker.cli.demo.board import Board
from worker.cli.output import Output
from worker.client.async_client import Rejected, Result
from worker.domain.cancellation import WHOLE, Attestation, Cancellation, Intent, Progress, Sent, Spec
from worker.domain.errors import UnknownCancellation
from worker.domain.model import Action, AnswerKind, Force, JobState, Outcome, Verb
from worker.observability.streams import complain
from worker.protocol.messages import Event
from worker.store.codec import Record, Snapshot
from worker.views.explain import words

TEXTS = corpus()
T = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
THERE = Attendance(1, 0, ("ess",), "commands", frozenset({"ess"}))
WIDE = 12_000
MODES = ["terminal", "pipe", "json"]


class Written:
    """What a command writes to a terminal without colours, to a pipe, or as JSON."""

    def __init__(self, mode: str, width: int = WIDE) -> None:
        self._stream = io.StringIO()
        console = Console(file=self._stream, force_terminal=mode == "terminal", width=width, color_system=None)
        self.output = Output(as_json=mode == "json", out=console)

    @property
    def text(self) -> str:
        return self._stream.getvalue()

    @property
    def lines(self) -> list[str]:
        assert self.text.endswith("\n")
        return self.text.split("\n")[:-1]


def event(name: str, data: dict[str, Any], **attributes: Any) -> Event:
    """Build an event as it may be in the stream, where not even the types of its attributes are certain."""
    type_ = f"canceller.cancellation.{name}.v1"
    whole = {"id": "1", "source": "/canceller/ess", "type": type_, "time": "2026-11-22T10:00:00.000Z", **attributes}
    return Event.model_construct(**whole, data=data)


EVENTS: dict[str, Callable[[str], Event]] = {
    "backend": lambda text: event("rejected", {"error": "backend: no"}, backend=text),
    "job_id": lambda text: event("rejected", {"error": "job_id: no"}, subject=text),
    "source": lambda text: event("rejected", {}, source=text),
    "an unknown attribute": lambda text: event("rejected", {}, extension=text),
    "command_id": lambda text: event("rejected", {"command_id": text, "command_ids": [text]}),
    "an unknown field's name": lambda text: event("rejected", {"error": f"{text}: is not a known field"}),
    "requested_by": lambda text: event("accepted", {"verb": "cancel", "requested_by": text}),
    "reason": lambda text: event("accepted", {"verb": "cancel", "reason": text}),
    "batch_id": lambda text: event("accepted", {"batch_id": text}),
    "lane": lambda text: event("accepted", {"lane": text, "verb": text}),
    "a label's key": lambda text: event("accepted", {"labels": {text: "x"}}),
    "a label's value": lambda text: event("accepted", {"labels": {"x": text}}),
    "params": lambda text: event("accepted", {"params": {text: text}}),
    "a joined command": lambda text: event("joined", {"verb": text, "joined": {"command_id": text}}),
    "a word": lambda text: event("attested", {"action": {"by": text, "reason": text}, "child": text}),
    "an answer": lambda text: event("cancel_sent", {"answer": {"status": 400, "code": text, "meaning": "busy"}}),
    "an answer's detail": lambda text: event("cancel_sent", {"answer": "unanswered", "detail": text}),
    "a condition": lambda text: event("force_held", {"gate": {text: {"met": False, "evidence": text}}}),
    "a state": lambda text: event("overdue", {"raw_state": text, "detail": text}),
    "an end": lambda text: event("finished", {"outcome": text, "evidence": text, "detail": text}),
    "facts": lambda text: event("finished", {"backend_facts": {text: text}}),
    "a child": lambda text: event("finished", {"children": [{"job_id": text, "raw_state": text}]}),
    "a pause": lambda text: event("paused", {"until": text, "failures": text}),
    "an event's name": lambda text: event(text, {}),
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("about", EVENTS.values(), ids=EVENTS)
def test_each_event_is_a_harmless_line(about: Callable[[str], Event], mode: str) -> None:
    written = Written(mode)
    for text in TEXTS:
        events.show(about(text), "0-0", written.output)

    assert not deceptions(written.text)
    assert len(written.lines) == len(TEXTS)


def seen(text: str, *, at: str) -> Snapshot:
    """Return a cancellation with a given text in one place."""
    sent = {f"cancel:{text}": Sent(T, T, AnswerKind.BUSY, detail=text)} if at == "an answer" else {}
    progress = Progress(sent=sent, looks=1, looked_at=T, state=JobState.UNKNOWN, next="look again")
    spec = Spec(Verb.CANCEL, Force.ATTESTED, 1800.0, T + timedelta(days=1))
    one = Cancellation("c1", "ess", "300100", T, spec, progress)
    changes: dict[str, Callable[[], Cancellation]] = {
        "backend": lambda: replace(one, backend=text),
        "job_id": lambda: replace(one, job_id=text),
        "a state": lambda: replace(one, progress=replace(progress, raw=text)),
        "a failure": lambda: replace(one, progress=replace(progress, note=text, failed_looks=1)),
        "an intent": lambda: replace(one, progress=replace(progress, intent=Intent(Action.CANCEL, text, T))),
        "a held step": lambda: replace(one, progress=replace(progress, held=(f"{text}+remote_stopped",))),
        "a word": lambda: replace(
            one, spec=replace(spec, attestations={WHOLE: Attestation(text, T), text: Attestation(text, T)})
        ),
        "an abort": lambda: replace(one, spec=replace(spec, aborted=text)),
    }
    command = {"requested_by": text, "reason": text, "labels": {text: text}} if at == "a comment" else {}
    ids = (text,) if at == "command_id" else ("k-1",)
    return Snapshot(Record(changes.get(at, lambda: one)(), None, None), ids, command, T)


PLACES = [
    "backend",
    "job_id",
    "command_id",
    "a comment",
    "a state",
    "a failure",
    "an answer",
    "an intent",
    "a held step",
    "a word",
    "an abort",
]


@pytest.mark.parametrize("place", PLACES)
def test_each_sentence_of_a_status_is_a_harmless_line(place: str) -> None:
    written, sentences = Written("pipe"), 0
    for text in TEXTS:
        told = words(seen(text, at=place), T, None, [text])
        written.output.sheet(told)
        sentences += len(told)

    assert not deceptions(written.text)
    assert len(written.lines) == sentences


def test_a_sheet_on_a_terminal_is_harmless() -> None:
    written = Written("terminal", 1000)
    written.output.sheet([(text[:100], text) for text in TEXTS])

    assert not deceptions(written.text)


@pytest.mark.parametrize("place", PLACES)
def test_a_status_in_json_is_a_harmless_line_that_says_all(place: str) -> None:
    written = Written("json")
    for text in TEXTS:
        written.output.object(show.described(seen(text, at=place), None, THERE))

    assert not deceptions(written.text)
    assert len([json.loads(line) for line in written.lines]) == len(TEXTS)


@pytest.mark.parametrize("place", PLACES)
def test_each_open_cancellation_is_a_harmless_row(place: str) -> None:
    rows = [show._open_row(seen(text, at=place), T, THERE) for text in TEXTS]
    written = Written("pipe")
    written.output.rows((), rows)

    assert not deceptions(written.text.replace("\t", ""))
    assert [len(line.split("\t")) for line in written.lines] == [len(rows[0])] * len(TEXTS)


@pytest.mark.parametrize("column", [0, 1, 2], ids=["first", "middle", "last"])
@pytest.mark.parametrize("width", [80, WIDE], ids=["narrow", "wide"])
def test_each_row_of_a_table_is_harmless_and_begins_once(width: int, column: int) -> None:
    rows = [["id", "ess", "detail"] for _ in TEXTS]
    for row, text in zip(rows, TEXTS, strict=True):
        row[column] = f"-{text}" if column == 0 else text  # a text without a known beginning can't be counted
    written = Written("terminal", width)
    written.output.rows(("id", "backend", "detail"), rows)

    assert not deceptions(written.text)
    assert len([line for line in written.lines if not line.startswith(" ")]) == 1 + len(TEXTS)


ENDS: dict[str, Callable[[str], Any]] = {
    "a result": lambda text: Result(text, text, text, safe_to_rerun=False, detail=text, data={"backend": text}),
    "rejected": Rejected,
    "unknown": UnknownCancellation,
}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("known", [True, False], ids=["of a job", "of an id"])
@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_each_end_is_a_harmless_line(end: Callable[[str], Any], mode: str, *, known: bool) -> None:
    written = Written(mode)
    for text in TEXTS:
        command = {"backend": text, "job_id": text, "verb": text} if known else {}
        told = end(text)
        if isinstance(told, Result) and not known:
            told.data["job_id"] = text
        waiting.write_end(text, command, told, written.output)
        waiting.write_open(text, command, written.output, known=known)

    assert not deceptions(written.text)
    assert len(written.lines) == 2 * len(TEXTS)


@pytest.mark.parametrize("mode", MODES)
def test_each_finding_is_harmless(mode: str) -> None:
    findings = [Finding("ok", text, text, text) for text in TEXTS]
    written = Written(mode, 200)
    check._write(findings, written.output)

    assert not deceptions(written.text.replace("\t", "" if mode == "pipe" else "\t"))
    assert mode != "pipe" or len(written.lines) == len(TEXTS)


def batched(texts: list[str]) -> list[list[str]]:
    size = len(Board().rows)
    return [texts[start : start + size] for start in range(0, len(texts), size)]


def test_the_demos_screens_are_harmless() -> None:
    written = Written("terminal", 120)
    for texts in batched(TEXTS):
        board = Board()
        for row, text in zip(board.rows, texts, strict=False):
            row.take(event("accepted", {"verb": text, "reason": text}))
        written.output.draw(board.now)
        for row, text in zip(board.rows, texts, strict=False):
            row.take(event("finished", {"evidence": text}, outcome=text))
        written.output.draw(board.result)

    assert not deceptions(written.text)


def test_each_note_and_each_error_is_a_harmless_line(capsys: pytest.CaptureFixture[str]) -> None:
    for text in TEXTS:
        Output().note(text)
        complain(f"canceller: {text}", text)
    told = capsys.readouterr()

    assert not deceptions(told.err)
    assert len(told.err.split("\n")[:-1]) == 3 * len(TEXTS)
    assert not told.out


def typeable(text: str) -> str:
    """Leave out characters that no process argument can contain, and on which older versions of typer fail."""
    return text.replace("\x00", "").encode(errors="ignore").decode()


USAGE: dict[str, Callable[[str], list[str]]] = {
    "a command": lambda text: [f"x{text}"],
    "a command of dead letters": lambda text: ["dead-letters", f"x{text}"],
    "an option": lambda text: ["list", f"--{text}"],
    "an argument": lambda text: ["events", f"x{text}"],
    "a position": lambda text: ["events", "--after", f"x{text}"],
    "a duration": lambda text: ["wait", "x", "--timeout", f"x{text}"],
    "a choice": lambda text: ["cancel", "ess", "1", "--force", f"x{text}"],
    "a job id": lambda text: ["cancel", "ess", f"x{text}\x00"],
    "a label": lambda text: ["cancel", "ess", "1", "--label", f"x{text}\x00=y"],
    "no label": lambda text: ["cancel", "ess", "1", "--label", text.replace("=", "")],
    "a file": lambda text: ["simulator", "--jobs", f"/nowhere/{typeable(text)}"],
}


@pytest.fixture(scope="module")
def canceller() -> Any:
    """Build the whole command line once: it is the same for each text."""
    return typer.main.get_command(command_line())


@pytest.mark.parametrize("typed", USAGE.values(), ids=USAGE)
def test_an_error_of_usage_quotes_nothing_harmful(
    typed: Callable[[str], list[str]],
    canceller: Any,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("COLUMNS", "100")
    for text in TEXTS[::7]:
        with pytest.raises(SystemExit) as ended:
            canceller.main(typed(text), prog_name="canceller")
        told = "".join(capsys.readouterr())

        assert ended.value.code == 2
        assert not deceptions(told)
        assert not [line for line in told.split("\n") if line.startswith("2026")]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("text", LEGITIMATE.values(), ids=LEGITIMATE)
def test_what_only_looks_strange_is_told_as_it_is(text: str, mode: str) -> None:
    written = Written(mode)
    events.show(event("accepted", {"reason": text}, backend=text), "0-0", written.output)

    assert text in (json.loads(written.text)["data"]["reason"] if mode == "json" else written.text)
    assert mode != "json" or "\\u" not in written.text


def test_markup_is_text(capsys: pytest.CaptureFixture[str]) -> None:
    text = "[red]x[/] [link=http://evil.example]y[/link] :warning:"
    for mode in ("terminal", "pipe"):
        written = Written(mode)
        written.output.line(text, text)
        written.output.rows(("a", "b"), [(text, text)])
        written.output.sheet([(text, text)])
        assert written.text.count(text) == 6
    Output().note(text)

    assert capsys.readouterr().err == f"{text}\n"


def test_an_outcome_keeps_its_colour() -> None:
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, color_system="standard", width=100)
    Output(out=console).line("ess 1  ", "cancelled; reported")

    assert stream.getvalue() == "ess 1  \x1b[32mcancelled; reported\x1b[0m\n"
    assert Outcome.CANCELLED == "cancelled"
