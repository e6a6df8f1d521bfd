"""Hostile texts in commands and in a backend's replies: what reaches a terminal, a pipe and a worker's log."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest
from support.cell import ROOT, Cell, cell
from support.hostile import FORGED, deceptions
from support.shell import run
from system.conftest import BACKENDS, QUICK

from worker.cli.exits import Exit

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
"""Characters that an accepted name may contain, as they are not control characters."""


class Evil(BaseHTTPRequestHandler):
    """Answers like Sahara, with hostile text in every field that can contain text."""

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
        """Write no log."""


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
    """A deployment that was sent, by producers and by a backend, every hostile text."""
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


def on_a_terminal(cell: Cell, *words: str) -> str:
    """Return what a command writes to a terminal of 200 columns without colours."""
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
        except OSError:  # Linux reports this way that the other side is closed
            pass
        finally:
            os.close(ours)
        process.wait(timeout=60)
    return written.decode().replace("\r\n", "\n")


READING = {
    "events": ("events",),
    "letters": ("dead-letters", "list"),
    "open": ("list",),
    "finished": ("list", "--finished"),
    "status": ("status", "evil", "evil-state"),
    "check": ("check",),
}
MISTAKEN = {
    "a reference": ("status", EVIL),
    "a backend": ("list", "--backend", EVIL),
    "an option": ("list", f"--{EVIL}"),
    "an argument": ("events", EVIL),
    "a file": ("check", "--backends", EVIL),
    "fields": ("cancel", "ess", EVIL, "--label", f"{EVIL}=x"),
}
COLUMNS = {"letters": 4, "open": 7, "finished": 8, "check": 3}


def harmless(text: str) -> bool:
    return not deceptions(text) and not [line for line in text.splitlines() if line.startswith(FORGED[:20])]


@pytest.mark.parametrize("command", [*READING.values(), MISTAKEN["an option"]], ids=" ".join)
def test_nothing_on_a_terminal_acts_or_hides(command: tuple[str, ...], told: Cell) -> None:
    shown = on_a_terminal(told, *command)

    assert shown
    assert harmless(shown)


@pytest.mark.parametrize("command", MISTAKEN.values(), ids=MISTAKEN)
def test_nothing_in_an_error_acts_or_hides(command: tuple[str, ...], told: Cell) -> None:
    done = run(told.env, *command)

    assert done.returncode in {Exit.ERROR, Exit.USAGE}
    assert not done.stdout
    assert harmless(done.stderr)


@pytest.mark.parametrize("name", COLUMNS)
def test_a_row_in_a_pipe_is_a_harmless_line_with_its_columns(name: str, told: Cell) -> None:
    out = run(told.env, *READING[name]).stdout

    assert harmless(out.replace("\t", ""))
    assert {line.count("\t") + 1 for line in out.split("\n")[:-1]} == {COLUMNS[name]}
    assert name != "letters" or out.count("\n") == len(HOSTILE)


def test_a_status_in_a_pipe_is_harmless(told: Cell) -> None:
    assert harmless(run(told.env, *READING["status"]).stdout)


def test_an_event_in_a_pipe_is_a_harmless_line(told: Cell) -> None:
    told.catch_up()
    out = run(told.env, "events").stdout

    assert harmless(out)
    assert len(told.events) <= out.count("\n")
    assert all(re.match(r"20\d\d-\d\d-\d\dT", line) for line in out.split("\n")[:-1])


@pytest.mark.parametrize("command", READING.values(), ids=READING)
def test_json_is_harmless(command: tuple[str, ...], told: Cell) -> None:
    done = run(told.env, *command, "--json")

    assert harmless(done.stdout)
    assert [json.loads(line) for line in done.stdout.splitlines()]


def test_a_workers_log_for_people_is_harmless(told: Cell) -> None:
    log = (told.directory / "worker0.log").read_bytes().decode()

    assert "rejected" in log
    assert harmless(log)


def test_json_says_what_was_sent(told: Cell) -> None:
    letters = [json.loads(line) for line in run(told.env, "dead-letters", "list", "--json").stdout.splitlines()]

    assert set(HOSTILE.values()) == {json.loads(letter["raw"])["backend"] for letter in letters}
