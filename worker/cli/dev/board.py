"""The board as a child process of `dev`, with a token of its own."""

from __future__ import annotations

import json
import secrets
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from ...local.child_process import first_line, start, stop_all
from ...settings.place import PACKAGE
from ..commands.board import missing

START_SECONDS = 20.0
STOP_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class BoardProcess:
    """A board that is being started."""

    process: subprocess.Popen[bytes]
    token: str = field(repr=False)

    def address(self) -> Mapping[str, str]:
        """Return its address once it listens, and its token; nothing if it does not start to listen."""
        line = first_line(self.process, START_SECONDS)
        if not line:
            return {}
        return {"board": str(json.loads(line)["url"]), "board_token": self.token}


@contextmanager
def board_process(env: Mapping[str, str], port: int) -> Iterator[BoardProcess | None]:
    """Run the board of the deployment that an environment leads to; None if its extra is not installed."""
    if missing():
        yield None
        return
    token = secrets.token_hex(16)
    arguments = ["-m", PACKAGE, "board", "--listen", f"127.0.0.1:{port}", "--json"]
    process = start(arguments, {**env, "CANCELLER_BOARD_TOKEN": token}, subprocess.PIPE, None)
    try:
        yield BoardProcess(process, token)
    finally:
        stop_all([process], STOP_SECONDS)
        if process.stdout:
            process.stdout.close()
