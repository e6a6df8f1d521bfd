from __future__ import annotations

import errno
import socket

import pytest

from worker.observability.os_errors import in_words


@pytest.mark.parametrize(
    ("error", "text"),
    [
        pytest.param(OSError(errno.EADDRINUSE, "x (while …)"), "Address already in use", id="the system's number"),
        pytest.param(socket.gaierror(-2, "Name unknown"), "[Errno -2] Name unknown", id="a number of the resolver"),
        pytest.param(OSError("no number"), "no number", id="no number"),
    ],
)
def test_what_the_system_refuses_is_said_without_its_number(error: OSError, text: str) -> None:
    assert in_words(error) == text
