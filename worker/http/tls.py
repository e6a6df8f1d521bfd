"""TLS of the default wire: always verified, resumed if the server allows it."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Tls:
    """The files of a TLS client; `ca_file` replaces the system's authorities."""

    ca_file: str | None = None
    client_cert: str | None = None
    client_key: str | None = None


SYSTEM = Tls()
"""The system's authorities, and no client certificate."""
SHARED: dict[ssl.DefaultVerifyPaths, ssl.SSLContext] = {}
"""The contexts of `SYSTEM` by where its authorities lie: loading them is the most expensive part of making a client."""


def tls_context(files: Tls) -> ssl.SSLContext:
    """Return a verifying context, never to be changed; raises OSError for files that are missing or do not match."""
    paths = ssl.get_default_verify_paths()
    if files == SYSTEM and paths in SHARED:
        return SHARED[paths]
    context = ssl.create_default_context(cafile=files.ca_file)
    if files.client_cert:
        context.load_cert_chain(files.client_cert, files.client_key, password="")  # else OpenSSL asks on the terminal
    context.sslobject_class = resuming()
    if files == SYSTEM:
        SHARED[paths] = context
    return context


def resuming() -> type[ssl.SSLObject]:
    """Return a class of connections, for one context, that resume the latest session with their host.

    asyncio offers no way to pass a session on, so each new connection would cost a full handshake.
    """
    latest: dict[str | None, ssl.SSLObject] = {}

    class Resuming(ssl.SSLObject):
        _begun = False

        def do_handshake(self) -> Any:
            """Shake hands, in as many calls as it takes."""
            if not self._begun:
                self._begun = True
                before = latest.get(self.server_hostname)
                if before is not None and before.session is not None:  # TLS 1.3 gives it only after the handshake
                    self.session = before.session
            done = super().do_handshake()
            latest[self.server_hostname] = self
            return done

    return Resuming
