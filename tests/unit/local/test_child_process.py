"""How the worker processes of `up` are started."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from celery.platforms import ASSUMING_ROOT, ROOT_DISCOURAGED

from worker.local.child_process import quiet

WARN = """
import sys, warnings
from celery.exceptions import SecurityWarning
warnings.warn(SecurityWarning(sys.argv[1]))
"""


def warned(text: str, own: str) -> str:
    command = [sys.executable, "-c", WARN, text]
    env = quiet({**os.environ, "PYTHONWARNINGS": own})
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False).stderr


@pytest.mark.parametrize("own", ["", "default", "error"])
def test_only_the_warning_about_root_is_silent(own: str) -> None:
    assert warned(ROOT_DISCOURAGED.format(uid=0, euid=0, gid=0, egid=0), own) == ""
    assert "SecurityWarning" in warned(ASSUMING_ROOT, own)
