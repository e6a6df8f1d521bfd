"""How the worker processes of `up` are started."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from celery.platforms import ASSUMING_ROOT, ROOT_DISCOURAGED

from worker.local.child_process import QUIET_ROOT, environment_of

WARN = """
import sys, warnings
from celery.exceptions import SecurityWarning
warnings.warn(SecurityWarning(sys.argv[1]))
"""


def warned(text: str, own: str) -> str:
    command = [sys.executable, "-c", WARN, text]
    env = environment_of(1, {**os.environ, "PYTHONWARNINGS": own})
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False).stderr


@pytest.mark.parametrize("own", ["", "default", "error"])
def test_only_the_warning_about_root_is_silent(own: str) -> None:
    assert warned(ROOT_DISCOURAGED.format(uid=0, euid=0, gid=0, egid=0), own) == ""
    assert "SecurityWarning" in warned(ASSUMING_ROOT, own)


@pytest.mark.parametrize(
    ("shared", "number", "own"),
    [("127.0.0.1:9100", 1, "127.0.0.1:9100"), ("127.0.0.1:9100", 3, "127.0.0.1:9102"), ("[::1]:0", 2, "[::1]:0")],
)
def test_each_worker_serves_its_metrics_on_a_port_of_its_own(shared: str, number: int, own: str) -> None:
    env = environment_of(number, {"CANCELLER_HTTP": shared, "HOME": "/"})

    assert env == {"CANCELLER_HTTP": own, "HOME": "/", "PYTHONWARNINGS": QUIET_ROOT}


@pytest.mark.parametrize("env", [{}, {"CANCELLER_HTTP": ""}], ids=["unset", "empty"])
def test_without_an_address_nothing_is_served(env: dict[str, str]) -> None:
    assert environment_of(2, env) == {**env, "PYTHONWARNINGS": QUIET_ROOT}
