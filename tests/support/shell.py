"""The command line as a user runs it: a process, its output and its exit code."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from support.cell import ROOT
from support.forked import is_possible, run_forked

BACKENDS = """
[backends.ess]
kind = "oracle-ess"
base_url = "http://127.0.0.1:1"
auth = { type = "none" }
"""
"""A backends file for a deployment that never gets an answer."""
COMMAND = [sys.executable, "-m", "worker"]


def run(
    env: Mapping[str, str], *words: str, stdin: str = "", by: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; `by` is the program that starts it."""
    if not by and is_possible(env):
        return run_forked("worker", *words, env=env, cwd=ROOT, stdin=stdin, seconds=120)
    return subprocess.run(
        [*by, *COMMAND, *words],
        cwd=ROOT,
        env=env,
        input=stdin,
        capture_output=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )


def run_program(env: dict[str, str], program: str) -> subprocess.CompletedProcess[str]:
    """Run a user's own program, from a folder of theirs."""
    return subprocess.run(
        [sys.executable, "-c", program], cwd="/", env=env, capture_output=True, text=True, timeout=120, check=False
    )


def lines(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


@contextmanager
def running(
    env: Mapping[str, str], *words: str, by: Sequence[str] = (), seconds: float = 120
) -> Iterator[subprocess.Popen[str]]:
    """Run a command that does not end by itself, for `seconds` at most; `by` is the program that starts it."""
    with subprocess.Popen(
        [*by, *COMMAND, *words],
        cwd=ROOT,
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    ) as process:
        killer = threading.Timer(seconds, process.kill)
        killer.start()
        try:
            yield process
        finally:
            killer.cancel()
            if process.poll() is None:
                process.terminate()
                process.wait(timeout=60)


def read_until(process: subprocess.Popen[str], pattern: str) -> re.Match[str]:
    """Read lines until one matches; `running` kills the process after a while, which ends the lines."""
    assert process.stdout
    read = []
    for line in process.stdout:
        read.append(line)
        found = re.search(pattern, line)
        if found:
            return found
    raise AssertionError(f"no line matched {pattern}:\n{''.join(read)}")
