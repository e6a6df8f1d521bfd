"""Hostile texts in commands and in a backend's replies: what reaches a terminal, a pipe and a worker's log."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest
from acceptance.cell import ROOT, Cell, cell
from acceptance.conftest import BACKENDS, QUICK
from unit.hostile import FORGED, deceptions

HOSTILE = {
    "a title and a cleared screen": "x\x1b]0;owned\x07\x1b[2J",
    "a forged line": f"x\n{FORGED}",
    "a tab": "x\tcancelled\treported",
    "C1": "x\x9b31m\x85y",
    "a separator of lines": f"x\u2028{FORGED}",
    "a direction": "x\u202edellecnac",
    "invisible": "x\u200b\u2060\U000e0041y",
    "markup": "[red]x[/] [/bold]",
}
EVIL = "".join(HOSTILE.values())
QUIET = "\u202e\u2066\u200b\u2028"
"""What an admitted name may hold, as it is no control character."""


class Evil(BaseHTTPRequestHandler):
    """Answers as Sahara does, with hostile words wherever there are any."""

    jobs: ClassVar[dict[str, str]] = {"evil-state": EVIL, "evil-end": "KILLED"}

    def do_GET(self) -> None:
        job_id = self.path.rpartition("/")[2]
        state = self.jobs.get(job_id)
        if state is None:
            self._reply(404, {"error_code": 404, "error_name": EVIL, "error_message": EVIL})
        else:
            self._reply(200, {"job": {"id": job_id, "name": EVIL, "info": {"status": state}, "oozie_job_id": EVIL}})

    def do_PATCH(self) -> None:
        self._reply(400, {"error_code": 400, "error_name": EVIL, "error_message": EVIL, "detail": EVIL})

    def _reply(self, status: int, content: object) -> None:
        length = int(self.headers.get("Content-Length", 0))
        self.rfile.read(length)
        body = json.dumps(content).encode()
        self.send_response(status, "No")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@contextmanager
def evil_backend() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Evil) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cell]:
    """A deployment that was told, by producers and by a backend, all that a stranger may say."""
    with evil_backend() as url:
        backends = f'{BACKENDS}\n[backends.evil]\nkind = "sahara"\nbase_url = "{url}/v2"\nproject_id = "p"\n'
        backends += f'dialect = "v2"\n{QUICK}'
        with cell(tmp_path_factory.mktemp("hostile"), backends) as one:
            one.env |= {"CANCELLER_LOG_FORMAT": "console", "TERM": "dumb", "COLUMNS": "200"}
            one.start_worker()
            for text in HOSTILE.values():
                one.sender.send_task(
                    "worker.cancel", (), {"backend": text, "job_id": text, text: text}, task_id=text, queue="commands"
                )
            fields = {"requested_by": QUIET, "batch_id": QUIET, "labels": {QUIET: EVIL}, "reason": EVIL}
            one.send("cancel", backend="ess", job_id="7", command_id=f"quiet{QUIET}", **fields)
            one.send("cancel", backend="evil", job_id="evil-state", **fields)
            one.send("cancel", backend="evil", job_id="evil-end", **fields)
            one.wait_until(lambda: len(one.of("rejected")) == len(HOSTILE))
            one.wait_until(lambda: len(one.of("finished")) == 2)
            one.wait_until(lambda: bool(one.of("cancel_sent")))
            yield one


def piped(cell: Cell, *words: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "worker", *words]
    return subprocess.run(command, cwd=ROOT, env=cell.env, capture_output=True, timeout=60, check=False)


def on_a_terminal(cell: Cell, *words: str) -> str:
    """Return what a command writes to a terminal of 200 columns that knows no colours."""
    ours, theirs = os.openpty()
    written = bytearray()
    with subprocess.Popen(
        [sys.executable, "-m", "worker", *words], cwd=ROOT, env=cell.env, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        deadline = time.monotonic() + 60
        try:
            while time.monotonic() < deadline:
                written += os.read(ours, 65536)
        except OSError:  # so Linux says that nobody holds the other side any more
            pass
        finally:
            os.close(ours)
        process.wait(timeout=10)
    return written.decode().replace("\r\n", "\n")


COMMANDS = {
    "events": ("events",),
    "letters": ("dead-letters", "list"),
    "open": ("list",),
    "finished": ("list", "--finished"),
    "status": ("status", "evil", "evil-state"),
    "the end": ("wait", "evil", "evil-end"),
    "check": ("check",),
    "a reference": ("status", EVIL.replace("\x00", "")),
    "a backend": ("list", "--backend", EVIL),
    "an option": ("list", f"--{EVIL}"),
    "an argument": ("events", EVIL),
    "a value": ("events", "--after", EVIL),
    "a file": ("check", "--backends", EVIL),
    "fields": ("cancel", "ess", EVIL, "--label", f"{EVIL}=x"),
    "a command": (EVIL,),
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_nothing_on_a_terminal_acts_or_hides(command: tuple[str, ...], told: Cell) -> None:
    shown = on_a_terminal(told, *command)

    assert shown
    assert not deceptions(shown)
    assert not [line for line in shown.splitlines() if line.startswith(FORGED[:20])]


@pytest.mark.parametrize("more", [(), ("--json",)], ids=["piped", "json"])
@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_nothing_in_a_pipe_acts_or_hides(command: tuple[str, ...], more: tuple[str, ...], told: Cell) -> None:
    done = piped(told, *command, *more)
    out, err = done.stdout.decode(), done.stderr.decode()
    tabs = "\t" if command in TABLES and not more else ""

    assert out or err
    assert not deceptions(out.replace(tabs, "")) if tabs else not deceptions(out)
    assert not deceptions(err)
    assert not [line for line in (out + err).splitlines() if line.startswith(FORGED[:20])]


TABLES = {COMMANDS[name]: columns for name, columns in (("letters", 4), ("open", 7), ("finished", 8), ("check", 3))}


@pytest.mark.parametrize(("command", "columns"), TABLES.items(), ids=str)
def test_a_row_of_a_table_is_a_line_with_its_columns(command: tuple[str, ...], columns: int, told: Cell) -> None:
    rows = piped(told, *command).stdout.decode().split("\n")[:-1]

    assert rows
    assert {len(row.split("\t")) for row in rows} == {columns}


def test_each_event_is_one_line(told: Cell) -> None:
    told.read(0.1)
    rows = piped(told, "events").stdout.decode().split("\n")[:-1]

    assert len(rows) >= len(told.events)
    assert all(row[:2] == "20" and row[10] == "T" for row in rows)
    assert len(rows) == len(piped(told, "events", "--json").stdout.splitlines())


def test_each_dead_letter_is_one_row(told: Cell) -> None:
    assert len(piped(told, "dead-letters", "list").stdout.decode().split("\n")[:-1]) == len(HOSTILE)


def test_a_workers_log_for_people_holds_nothing_that_acts_or_hides(told: Cell) -> None:
    log = (told.directory / "worker0.log").read_bytes().decode()

    assert "rejected" in log
    assert not deceptions(log)
    assert not [line for line in log.splitlines() if line.startswith(FORGED[:20])]


def test_json_says_what_was_sent(told: Cell) -> None:
    letters = [json.loads(line) for line in piped(told, "dead-letters", "list", "--json").stdout.splitlines()]

    assert set(HOSTILE.values()) == {json.loads(letter["raw"])["backend"] for letter in letters}
