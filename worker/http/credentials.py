"""Credentials: what authenticates our requests. Fetched when first needed, one fetch at a time; renewed on a 401.

Here is what all credentials share, and the static kind; those that ask a token endpoint are in `token_endpoints`. No
secret shows in a repr, a log or an exception. No wall clock is used here, only a monotonic one.
"""

from __future__ import annotations

import asyncio
import base64
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import httpx

from ..backends.adapter import Reply
from ..domain.errors import CredentialUnavailable
from .blanking import parts

Read = Callable[[], str]
"""Returns a secret as it is now; called again after a refusal, since files rotate."""
Fetch = Callable[[httpx.Request], Awaitable[Reply]]
"""Makes one bounded call without a credential; raises CallUnanswered."""
Monotonic = Callable[[], float]
"""A clock in seconds that never goes back."""


@dataclass(frozen=True, slots=True)
class Token:
    """A secret in use. `ends` and `due` (for renewal) are seconds on the credential's monotonic clock.

    `shown` are other secrets that are sent with it, or were sent to get it: no reply may repeat those either.
    """

    value: str = field(repr=False)
    ends: float = math.inf
    due: float = math.inf
    shown: tuple[str, ...] = field(default=(), repr=False)


class Credential(ABC):
    """Serves one `Http`, in its loop.

    Concurrent callers share one fetch, the `_flight`, and its failure: fifty of them must not try a wrong password
    fifty times. It outlives a caller that gives up.
    """

    header = "Authorization"
    """The header that signs a request: `scheme`, then the token."""
    scheme = "Bearer "
    fetch: Fetch
    """Calls the token endpoint; set by `Http`."""

    def __init__(self, *, monotonic: Monotonic = time.monotonic) -> None:
        self._monotonic = monotonic
        self._token: Token | None = None
        self._flight: asyncio.Task[Token] | None = None

    async def token(self, deadline: float) -> Token:
        """Return a token that needs no renewal, by `deadline` on the loop's clock.

        Raises CredentialUnavailable and CredentialRefused.
        """
        if self._token and self._monotonic() < self._token.due:
            return self._token
        if not self._flight or self._flight.done():
            self._flight = asyncio.create_task(self._renew())
            self._flight.add_done_callback(lambda flight: flight.cancelled() or flight.exception())  # all may be gone
        return await token_of_flight(self._flight, deadline)

    def refused(self, token: Token) -> None:
        """Forget a token after a 401, unless a newer one has taken its place."""
        if self._token is token:
            self._token = None

    async def aclose(self) -> None:
        """Give up a fetch that is under way."""
        if self._flight and self._flight.cancel():
            await asyncio.wait({self._flight})

    async def _renew(self) -> Token:
        """Get a new token; if none can be had now, the old one is used until its end."""
        old = self._token
        try:
            self._token = await self._obtain(old)
        except CredentialUnavailable:
            if old is None or old is not self._token or self._monotonic() >= old.ends:
                raise
            return old
        return self._token

    @abstractmethod
    async def _obtain(self, old: Token | None) -> Token:
        """Get a new token; `old` is the one due for renewal, None if there was none or it was refused."""


async def token_of_flight(flight: asyncio.Task[Token], deadline: float) -> Token:
    """Wait for a fetch without cancelling it; raises CredentialUnavailable if it does not end in time."""
    await asyncio.wait({flight}, timeout=max(0.0, deadline - asyncio.get_running_loop().time()))
    if not flight.done():
        raise CredentialUnavailable("no credential was obtained in time")
    if flight.cancelled():
        raise CredentialUnavailable("the credential was closed")
    return flight.result()


class StaticCredential(Credential):
    """A given token, or a password with its user name by HTTP Basic (RFC 7617, UTF-8); read again on a 401.

    A token is sent as `Authorization: Bearer`, or by itself in the given `header`.
    """

    def __init__(self, read: Read, *, username: Read | None = None, header: str = "") -> None:
        super().__init__()
        self._read = read
        self._username = username
        if username:
            self.scheme = "Basic "
        elif header:
            self.header, self.scheme = header, ""

    async def _obtain(self, old: Token | None) -> Token:  # noqa: ARG002 - nothing to renew it from
        if not self._username:
            return Token(header_text(secret(self._read)))
        pair = basic(secret(self._username), secret(self._read))
        return Token(pair, shown=parts(self.scheme + pair))


def basic(username: str, password: str) -> str:
    """Encode the pair for an `Authorization: Basic` header."""
    return base64.b64encode(f"{username}:{password}".encode()).decode("ascii")


def secret(read: Read) -> str:
    """Read a secret without its line end; raises CredentialUnavailable if there is none."""
    try:
        text = read().rstrip("\r\n")
    except Exception as error:  # noqa: BLE001 - whatever a reader meets, there is no secret now
        cause = error if isinstance(error, OSError | LookupError) else None  # a decoding error carries the secret along
        raise CredentialUnavailable(f"a secret can't be read: {type(error).__name__}") from cause
    if not text:
        raise CredentialUnavailable("a secret is empty")
    return text


def header_text(text: str) -> str:
    """Return the text; raises CredentialUnavailable, without quoting it, if no header can carry it."""
    if not text or not text.isascii() or not text.isprintable():
        raise CredentialUnavailable("a token is empty or has characters that no HTTP header can carry")
    return text
