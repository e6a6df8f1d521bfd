"""Where the board listens, and that it needs a token to be reachable by everybody."""

from __future__ import annotations

import pytest
import typer

from worker.cli.commands.board import address, board, is_loopback
from worker.settings.errors import ConfigurationError


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("127.0.0.1:8590", ("127.0.0.1", 8590)),
        ("[::1]:0", ("::1", 0)),
        ("localhost:80", ("localhost", 80)),
    ],
)
def test_an_address_is_a_host_and_a_port(text: str, found: tuple[str, int]) -> None:
    assert address(text) == found


@pytest.mark.parametrize("text", ["", "8590", ":8590", "localhost", "localhost:", "localhost:http", "localhost:65536"])
def test_anything_else_is_no_address(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        address(text)


@pytest.mark.parametrize(
    ("host", "inside"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("ops", False)],
)
def test_only_loopback_stays_on_this_machine(host: str, inside: bool) -> None:  # noqa: FBT001 - a column
    assert is_loopback(host) is inside


def test_beyond_this_machine_it_needs_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CANCELLER_BOARD_TOKEN", raising=False)

    with pytest.raises(ConfigurationError, match="CANCELLER_BOARD_TOKEN_FILE"):
        board(listen="0.0.0.0:0")
