"""The only network IO to backends: one request, one bounded reply, no retry except after a 401.

A `Transport` does the IO: aiohttp's by default. httpx's own client is not used: it costs more than all the rest of a
call. Nothing here knows a backend's words; its adapter decides what a reply means.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache, partial
from importlib import metadata
from types import MappingProxyType
from urllib.parse import quote

import httpx
from msgspec.structs import replace

from ..backends.adapter import UNAUTHORIZED, Reply, Request
from ..domain.errors import CallUnanswered, InvalidCommand
from .blanking import blanked, parts
from .credentials import Credential, Token
from .transport import Call, Transport, in_words
from .transport_aiohttp import AiohttpTransport

NO_PATH = frozenset({"", ".", ".."})
"""Segments that would change the path around them (RFC 3986, 5.2.4)."""
JSON_BODY: Mapping[str, str] = MappingProxyType({"Content-Type": "application/json"})
OLD = re.compile(r"""(?:^|,)[\s"'+]*0*[1-9]""")
"""An `Age` with any value of a second or more (RFC 9111, 5.1): the reply is not to this request, which may not have
arrived."""
FRAMING = frozenset({"host", "content-length", "transfer-encoding"})
"""Headers that a wire writes itself."""


@dataclass(frozen=True, slots=True)
class ExtraHeaders:
    """Headers that are added to every call to an API; those in `secret` have secret values."""

    plain: Mapping[str, str] = field(default_factory=dict)
    secret: Mapping[str, str] = field(default_factory=dict, repr=False)


NO_EXTRA_HEADERS = ExtraHeaders()


class Http:
    """Calls one backend; belongs to one asyncio loop, as does its credential, which nothing else uses.

    `timeout` is seconds for one `send` in total, a renewal after a 401 and the second try included: callers choose
    their leases by it. `max_reply` is bytes of a body, on the wire and decoded. `wire` (by default aiohttp, trusting
    the system's authorities) serves this backend alone; so does `token_wire` (by default `wire`), which makes the calls
    to the token endpoint.
    `headers` are added to every call to the API. They replace our defaults, and a request's own headers replace them;
    only their `Accept` also replaces a request's. The secret ones, the credential, and the secrets sent to a token
    endpoint or a proxy are blanked in replies, because a proxy may pass them on.
    `now` is this host's wall clock: it dates replies.
    Raises ValueError for a `base_url` with credentials, a query or a fragment.
    """

    def __init__(
        self,
        base_url: str,
        *,
        credential: Credential | None = None,
        timeout: float = 10.0,
        max_reply: int = 1_000_000,
        wire: Transport | None = None,
        token_wire: Transport | None = None,
        headers: ExtraHeaders = NO_EXTRA_HEADERS,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._base_url = checked_base_url(base_url)
        self._timeout = timeout
        self._max_reply = max_reply
        self._defaults = {
            "Accept": "application/json",
            "Accept-Encoding": "gzip, deflate",
            "Cache-Control": "no-cache",
            "User-Agent": f"canceller/{version()}",
        }
        extra = {**headers.plain, **headers.secret}
        self._headers = merged(self._defaults, extra)
        self._json_headers = merged(self._headers, JSON_BODY)
        self._accept = {name: value for name, value in extra.items() if name.lower() == "accept"}
        self._wire = wire or AiohttpTransport()
        self._token_wire = token_wire or self._wire
        shown = (*headers.secret.values(), self._wire.to_proxy, self._token_wire.to_proxy)
        self._secrets = tuple(part for value in shown for part in parts(value))
        self._now = now
        self._credential = credential
        if credential:
            credential.fetch = self._fetch

    async def ready(self) -> None:
        """Make sure that a usable credential is at hand, before an intent is noted; `timeout` seconds at most.

        Raises CredentialUnavailable and CredentialRefused.
        """
        if self._credential:
            await self._credential.token(self._deadline())

    async def send(self, request: Request, *, traceparent: str | None = None) -> Reply:
        """Make one call; redirects and errors are answers, and so is a 401 once the credential has been renewed.

        Raises CallUnanswered when the call's effect is unknown (no reply, half of one, an old one, one over
        `max_reply`), CredentialUnavailable and CredentialRefused when it had no effect for want of a credential,
        InvalidCommand for a path segment that is no name.
        """
        url = self._base_url + target(request.path, request.query)
        if not request.path:
            url = written(httpx.URL(url))  # a host alone is asked for "/"
        content = b""
        if request.json is not None:
            content = json.dumps(request.json, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
        given = self._json_headers if content else self._headers
        headers = merged(given, request.headers, self._accept) if request.headers else dict(given)
        if traceparent:
            headers["traceparent"] = traceparent
        call = Call(request.method, url, headers, content)
        if self._credential is None:
            return await self._exchange(call, self._deadline())
        return await self._signed(call, self._credential, self._deadline())

    async def get(self, target: str) -> Reply:
        """Make a GET, without a credential, of an encoded path and query that are used as they are written.

        Raises CallUnanswered.
        """
        return await self._exchange(Call("GET", self._base_url + target, dict(self._defaults)), self._deadline())

    async def aclose(self) -> None:
        """Close all connections and give up a running renewal."""
        if self._credential:
            await self._credential.aclose()
        for wire in {self._wire, self._token_wire}:
            await wire.aclose()

    async def _signed(self, call: Call, credential: Credential, deadline: float) -> Reply:
        """Make a call with a credential, and once more with a renewed one after a 401; a second 401 is the answer."""
        token = await credential.token(deadline)
        reply = await self._shown(call, credential, token, deadline)
        if reply.status != UNAUTHORIZED:
            return reply
        credential.refused(token)
        return await self._shown(call, credential, await credential.token(deadline), deadline)

    async def _shown(self, call: Call, credential: Credential, token: Token, deadline: float) -> Reply:
        headers = {**call.headers, credential.header: credential.scheme + token.value}
        reply = await self._exchange(Call(call.method, call.url, headers, call.content), deadline)
        return blanked(reply, (token.value, *token.shown))

    async def _fetch(self, request: httpx.Request) -> Reply:
        """Make a credential's own call to its token endpoint, under the same limits."""
        for name, value in self._defaults.items():
            request.headers.setdefault(name, value)
        headers = {name: value for name, value in request.headers.items() if name not in FRAMING}
        call = Call(request.method, written(request.url), headers, request.content)
        return await self._exchange(call, self._deadline(), self._token_wire)

    async def _exchange(self, call: Call, deadline: float, wire: Transport | None = None) -> Reply:
        """Make a call within its deadline; raises CallUnanswered and nothing else."""
        wire = wire or self._wire
        try:
            async with asyncio.timeout_at(deadline):
                reply = fresh(await wire.exchange(call, self._max_reply))
                return replace(blanked(reply, self._secrets), received=self._now())
        except Exception as error:  # noqa: BLE001 - once a request is under way, none proves that it had no effect
            # Named without its text, which may quote a URL or a token; aiohttp's protocol errors quote headers too.
            why = "no reply in time" if isinstance(error, TimeoutError) else in_words(type(error).__name__)
            cause: BaseException | None = error if isinstance(error, OSError | httpx.HTTPError) else None
            if isinstance(error, CallUnanswered):
                why, cause = str(error), error.__cause__
            place = f"{call.method} at {httpx.URL(call.url).netloc.decode('ascii')}"
            through = f", through the proxy at {wire.through}" if wire.through else ""
            raise CallUnanswered(f"{why}: {place}{through}") from cause

    def _deadline(self) -> float:
        return asyncio.get_running_loop().time() + self._timeout


def fresh(reply: Reply) -> Reply:
    """Return a reply to this request; raises CallUnanswered for an old one, from a cache."""
    if OLD.search(reply.headers.get("age", "")):
        raise CallUnanswered("a cache answered with an old reply")
    return reply


def merged(*layers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers of all layers; of those with the same name, in whatever case, the last layer's wins."""
    found = {name.lower(): (name, value) for layer in layers for name, value in layer.items()}
    return dict(found.values())


encode: Callable[[str], str] = lru_cache(maxsize=1024)(partial(quote, safe=""))
"""Percent-encodes all but letters, digits and `_.-~`; cached, because path segments and query fields recur."""


def target(path: tuple[str, ...], query: Mapping[str, str]) -> str:
    """Encode what follows the base URL: each segment as a whole, so an id can neither add nor leave a folder.

    Raises InvalidCommand for "", "." and "..", which no encoding protects.
    """
    if not NO_PATH.isdisjoint(path):
        raise InvalidCommand("a path segment may not be empty, '.' or '..'")
    encoded = "".join("/" + encode(segment) for segment in path)
    return (
        f"{encoded}?{'&'.join(f'{encode(name)}={encode(value)}' for name, value in query.items())}"
        if query
        else encoded
    )


def checked_base_url(text: str) -> str:
    """Return the URL, encoded, without its last slash; raises ValueError, without quoting it, if it can't be a base."""
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        raise ValueError("a base URL can't be read as one") from None
    if url.scheme not in {"http", "https"} or not url.host or url.userinfo or url.query or url.fragment:
        raise ValueError("a base URL is http(s), a host, an optional port and prefix, nothing else")
    return written(url).rstrip("/")


def written(url: httpx.URL) -> str:
    """Write a URL as a wire takes it: encoded, with a path, without a user or a fragment."""
    return f"{url.scheme}://{url.netloc.decode('ascii')}{url.raw_path.decode('ascii')}"


def version() -> str:
    """Return the installed version, or "0" in a tree that was never installed."""
    try:
        return metadata.version("canceller")
    except metadata.PackageNotFoundError:
        return "0"
