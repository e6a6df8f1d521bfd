"""Serves a few paths over HTTP in the event loop that they report on: a loop that hangs gives no answer."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping

import structlog
from aiohttp import web

from ..settings.errors import ConfigurationError
from ..settings.listen_address import ListenAddress
from .os_errors import in_words

log = structlog.get_logger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
SHUTDOWN = 0.5
"""Seconds that a stop waits for answers on their way."""


class Endpoint:
    """Listens on one address, once, until `stop`; `routes` has what answers a GET of each path."""

    def __init__(self, setting: str, address: ListenAddress, routes: Mapping[str, Handler]) -> None:
        """`setting` names where the address comes from, for errors."""
        self._setting = setting
        self.address = address
        self._paths = sorted(routes)
        app = web.Application()
        for path, handler in routes.items():
            app.router.add_get(path, handler)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=SHUTDOWN)
        self.stop = self._runner.cleanup

    async def start(self) -> None:
        """Listen; from here on `address` has the port in use.

        Raises:
            ConfigurationError: the text says why nobody can listen there.

        """
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self.address.host, self.address.port).start()
        except OSError as error:
            await self.stop()
            problem = f"{self._setting}: can't listen on {self.address}: {in_words(error).lower()}"
            raise ConfigurationError([f"{problem}; set another address, or stop what listens there"]) from None
        self.address = ListenAddress(self.address.host, self._runner.addresses[0][1])
        log.info("endpoint.started", address=str(self.address), paths=self._paths)


def plain(line: str, status: int = 200) -> web.Response:
    """Return a line of text, which no cache keeps."""
    headers = {"Cache-Control": "no-store", "Content-Type": "text/plain; charset=utf-8"}
    return web.Response(body=f"{line}\n".encode(), status=status, headers=headers)
