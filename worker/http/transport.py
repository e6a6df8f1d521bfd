"""One call as it goes out and its bounded reply as it comes in: what a wire is, and what all of them share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from ..backends.adapter import Reply
from ..domain.errors import CallUnanswered

KEEP_ALIVE = 4.0
"""Seconds that an idle connection is kept: less than servers keep it (Apache and uvicorn: 5), because a request that
arrives while the server closes the connection goes unanswered."""
MAX_HEADER = 65_536
"""Bytes of one header: tokens in `X-Subject-Token` outgrow the usual 8,190."""
FAILURES: Mapping[str, str] = {
    "ClientConnectorError": "no connection",
    "ClientProxyConnectionError": "no connection",
    "ClientConnectorDNSError": "no such host",
    "ClientConnectorCertificateError": "its certificate is not trusted",
    "ClientConnectorSSLError": "the TLS handshake failed",
    "ClientOSError": "the connection broke",
    "ServerDisconnectedError": "the connection was closed without a reply",
}
"""What the failures of connections mean, by the names of aiohttp's exceptions."""


@dataclass(frozen=True, slots=True)
class Call:
    """A request in full, except for `Host` and `Content-Length`; `url` is encoded and goes out as it is."""

    method: str
    url: str = field(repr=False)
    headers: dict[str, str] = field(repr=False)
    content: bytes = field(default=b"", repr=False)


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy on the way to a backend: `url` is its scheme, host and port, `authorization` the header sent to it."""

    url: str
    authorization: str = field(default="", repr=False)


class Transport(Protocol):
    """Sends each call once, over connections that it keeps, and does nothing else on its own.

    No retries, redirects, cookies or proxies from the environment; HTTP/1.1 only; any number of connections. Only
    `undone` decodes bodies. A call that is cancelled ends at once, with its connection. `through` is the host and port
    of the proxy that it was given, "" for none, and `to_proxy` the secret that this proxy is sent, "" for none.
    """

    through: str
    to_proxy: str

    async def exchange(self, call: Call, limit: int) -> Reply:
        """Make a call and read its reply, `limit` bytes at most, without a time limit: `Http` cancels it in time.

        Raises CallUnanswered or whatever it meets.
        """

    async def aclose(self) -> None:
        """Close all connections."""


@dataclass(slots=True)
class Body:
    """A reply's body while it comes in, never larger than its limit in bytes."""

    limit: int
    raw: bytearray = field(default_factory=bytearray, repr=False)

    def add(self, chunk: bytes | memoryview) -> None:
        """Add what came in; raises CallUnanswered when it is too much."""
        self.raw += chunk
        if len(self.raw) > self.limit:
            raise CallUnanswered(f"the reply is over {self.limit} bytes")


def in_words(name: str) -> str:
    """Say what a failure of a connection means, followed by its name; return any other name as it is."""
    return f"{FAILURES[name]} ({name})" if name in FAILURES else name


def headers_of(pairs: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return headers with lower-case names; those of one name are joined (RFC 9110, 5.2)."""
    found: dict[str, str] = {}
    for raw_name, raw_value in pairs:
        name, value = raw_name.decode("latin-1").lower(), decoded(raw_value)
        found[name] = f"{found[name]}, {value}" if name in found else value
    return found


def decoded(value: bytes) -> str:
    """Read a header as UTF-8, or else as Latin-1, which HTTP once prescribed."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")
