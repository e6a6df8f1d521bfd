"""`board`: the page for operators, served on this machine."""

from __future__ import annotations

import asyncio
import ipaddress
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from typing import Annotated

import typer

from ...domain.errors import CancellerError
from ...observability.os_errors import in_words
from ...settings.board_access import board_access
from ...settings.environment import Settings
from ...settings.errors import ConfigurationError
from ..options import Json
from ..output import Output

LISTEN = "127.0.0.1:8590"
CLOSE_TIMEOUT = 1
"""Seconds that open requests have to end when the board stops."""
NEEDED = ("jinja2", "starlette", "uvicorn")
INSTALL = "pip install jinja2 starlette uvicorn"
OPEN_TO_ALL = (
    "CANCELLER_BOARD_TOKEN_FILE: is needed to listen beyond this machine: name a file that holds a token, which the "
    "board then asks for"
)


class BoardError(CancellerError):
    """The board can't run as it was asked to."""


def board(
    *,
    listen: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="The address to listen on; port 0 picks a free one.")
    ] = LISTEN,
    json: Json = False,
) -> None:
    """Serve the board: what is open, what is forced next, held gates, backends, dead letters; Ctrl-C ends it.

    It is read-only unless a token (CANCELLER_BOARD_TOKEN_FILE) or a signing key (CANCELLER_KEY_FILE) is configured.
    Beyond this machine it listens only with a token.

    canceller board

    canceller board --listen 127.0.0.1:8600
    """
    if names := missing():
        raise BoardError(f"{', '.join(names)} {'is' if len(names) == 1 else 'are'} not installed: {INSTALL}")
    host, port = address(listen)
    settings = Settings.load().discovered()
    if board_access(settings).token is None and not is_loopback(host):
        raise ConfigurationError([OPEN_TO_ALL])
    with suppress(KeyboardInterrupt):
        try:
            asyncio.run(_serve(settings, host, port, Output(as_json=json)))
        except OSError as error:
            raise BoardError(
                f"the board can't listen on {listen}: {in_words(error).lower()}; port 0 picks a free one"
            ) from None


def missing() -> list[str]:
    """Return the packages of the board's extra that are not installed."""
    return [name for name in NEEDED if find_spec(name) is None]


def address(text: str) -> tuple[str, int]:
    """Read an address with a port; `[::1]:8590` is one of IPv6."""
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdecimal() or int(port) > 65535:  # noqa: PLR2004 - the last port
        raise typer.BadParameter(f"{text!r} is not HOST:PORT", param_hint="--listen")
    return host.removeprefix("[").removesuffix("]"), int(port)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


async def _serve(settings: Settings, host: str, port: int, output: Output) -> None:
    import uvicorn  # noqa: PLC0415 - an extra, and slow to load

    from ...board import app_for  # noqa: PLC0415

    app = app_for(settings, listens_on=host)

    class Server(uvicorn.Server):
        """Shuts down in order on a signal: its streams first, because browsers never end them."""

        @contextmanager
        def capture_signals(self) -> Iterator[None]:
            loop = asyncio.get_running_loop()
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.add_signal_handler(number, self._end)
            yield

        def _end(self) -> None:
            app.close()
            self.should_exit = True

    with socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET) as listener:
        shown = f"[{host}]" if ":" in host else host
        url = f"http://{shown}:{listener.getsockname()[1]}/"
        config = uvicorn.Config(
            app, log_config=None, access_log=False, server_header=False, timeout_graceful_shutdown=CLOSE_TIMEOUT
        )
        if output.json:
            output.object({"url": url})
        else:
            output.line(f"the board listens on {url}")
            output.note("Ctrl-C ends it")
        await Server(config).serve([listener])
