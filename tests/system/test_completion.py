"""What a shell offers when it completes a line: the scripts that `canceller completion` writes, run by their shells."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest
from redis import Redis
from support.cell import ROOT
from support.shell import COMMAND, run

BACKENDS = """
[backends.ess]
[backends.essbase]
[backends.oml]
"""


@pytest.fixture
def env(tmp_path: Path, redis_url: str, sync_redis: Redis) -> dict[str, str]:
    """Return an environment with `canceller` on its path, three backends, and open cancellations on one of them."""
    shim = tmp_path / "canceller"
    shim.write_text(f'#!/bin/sh\nexec {shlex.join(COMMAND)} "$@"\n', encoding="utf-8")
    shim.chmod(0o755)
    (tmp_path / "b.toml").write_text(BACKENDS, encoding="utf-8")
    sync_redis.sadd("{canceller}:backends", "ess")
    opened = {"300101": "0a1b", "300102": "0a2c", "3;reboot": "1", "3$(reboot)": "2", "3`reboot`": "3", "3 '": "4"}
    sync_redis.hset("{canceller}:open:ess", mapping=opened)
    return {
        **os.environ,
        "PATH": f"{tmp_path}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "REDIS_URL": redis_url,
        "CANCELLER_BACKENDS": str(tmp_path / "b.toml"),
    }


@cache
def script_of(shell: str) -> str:
    """Return the script that we write for a shell."""
    return run(os.environ, "completion", shell).stdout


def offered_by_bash(env: dict[str, str], *words: str, strange: dict[str, str] | None = None) -> list[str]:
    """Let bash complete the last word with our script; `strange` variables are set after the script is loaded."""
    changes = " ".join(f"{name}={shlex.quote(value)}" for name, value in (strange or {}).items())
    program = f"""
        {script_of("bash")}
        {f"export {changes}" if changes else ""}
        COMP_WORDS=(canceller {shlex.join(words)}) COMP_CWORD={len(words)}
        _canceller_completion canceller
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(["bash", "-c", program], env=env, capture_output=True, text=True, timeout=60, check=True)
    assert not done.stderr
    return done.stdout.split()


LINES = {
    "a command": (("ca",), ["cancel"]),
    "a backend": (("cancel", "ess"), ["ess", "essbase"]),
    "a backend behind an option": (("list", "--backend", "o"), ["oml"]),
    "an open job, and no text that a shell would run": (("status", "ess", "3"), ["300101", "300102"]),
    "an open job behind an option": (("attest", "--by", "ann", "ess", "300102"), ["300102"]),
    "the id of a cancellation": (("abort", "0a2"), ["0a2c"]),
    "an option": (("cancel", "ess", "1", "--rea"), ["--reason"]),
    "a page": (("guide", "sec"), ["security"]),
    "nothing": (("cancel", "nowhere", "x"), []),
}


@pytest.mark.parametrize(("words", "offered"), LINES.values(), ids=LINES)
def test_bash_offers(words: tuple[str, ...], offered: list[str], env: dict[str, str]) -> None:
    assert offered_by_bash(env, *words) == offered


@pytest.mark.parametrize(
    "strange",
    [
        {"REDIS_URL": "unix:///nowhere"},
        {"REDIS_URL": "nonsense"},
        {"CANCELLER_BACKENDS": "/nowhere"},
        {"CANCELLER_ENV_FILE": "/nowhere"},
    ],
    ids=lambda strange: "{}={}".format(*next(iter(strange.items()))),
)
def test_what_cannot_be_read_is_no_error_while_a_line_is_completed(
    strange: dict[str, str], env: dict[str, str]
) -> None:
    assert offered_by_bash(env, "che", strange=strange) == ["check"]
    assert set(offered_by_bash(env, "status", "", strange=strange)) <= {"ess", "essbase", "oml"}


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_every_shell_has_its_script(shell: str) -> None:
    script = script_of(shell)

    assert f"complete_{shell}" in script
    if shutil.which(shell):
        subprocess.run([shell, "-n"], input=script, text=True, check=True, timeout=60)


def test_another_shell_is_a_mistake(env: dict[str, str]) -> None:
    assert "did you mean fish?" in " ".join(run(env, "completion", "fisch").stderr.replace("│", " ").split())
