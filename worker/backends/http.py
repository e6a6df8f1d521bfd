"""The only network IO towards backends: one request, one bounded reply, no repeat but after a 401.

`httpx.AsyncClient` is the seam (auth flows, `MockTransport` in tests), aiohttp does the work below it: stock httpx
spends five times the CPU. Nothing here knows a backend's words; what a reply means is an adapter's to say.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from importlib import metadata
from urllib.parse import quote, urlencode

import aiohttp
import httpx
import yarl

from worker.backends.auth import DEADLINE, Credential
from worker.backends.base import Reply, Request
from worker.errors import CallUnanswered, InvalidCommand

KEEP_ALIVE = 4.0
"""Seconds that an idle connection is kept: less than servers do (Apache and uvicorn: 5), for a request that meets
their closing goes unanswered."""
CHUNK = 4096
"""Bytes read at a time; deflate inflates a chunk at most a thousandfold before its size is checked."""
MAX_HEADER = 65_536
"""Bytes of one header: tokens in `X-Subject-Token` outgrow aiohttp's default of 8,190."""
ENCODINGS = frozenset({"", "identity", "gzip", "deflate"})
"""Content encodings that are undone; stacked ones would inflate without a bound."""
NO_PATH = frozenset({"", ".", ".."})
"""Segments that would change the path around them (RFC 3986, 5.2.4)."""

logging.getLogger("httpx").setLevel(logging.WARNING)  # at INFO it logs each URL with its query


class Http:
    """Calls one backend; lives in one asyncio loop, and so does its credential, which is its alone.

    `timeout` is seconds for one `send` in total, a renewal after a 401 and the second try included: a caller's
    lease is measured by it. `max_reply` is bytes of a body, decoded. `ca_file` replaces the system's authorities;
    it and the client certificate hold for the token endpoint as well.
    Raises ValueError for a `base_url` with credentials, a query or a fragment, OSError for unreadable files.
    """

    def __init__(
        self,
        base_url: str,
        *,
        credential: Credential | None = None,
        timeout: float = 10.0,
        max_reply: int = 1_000_000,
        ca_file: str | None = None,
        client_cert: str | None = None,
        client_key: str | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._base_url = checked_base_url(base_url)
        self._timeout = timeout
        self._headers = {
            "Accept": "application/json",
            "Accept-Encoding": "gzip, deflate",
            "User-Agent": f"canceller/{version()}",
        }
        wire = transport or Wire(tls_context(ca_file, client_cert, client_key))
        self._client = httpx.AsyncClient(transport=Bounded(wire, max_reply), trust_env=False)
        self._credential = credential
        if credential:
            credential.connect(self._fetch)

    async def ready(self) -> None:
        """Make sure that a usable credential is at hand, before an intent is noted; `timeout` seconds at most.

        Raises CredentialUnavailable and CredentialRefused.
        """
        if self._credential:
            await self._credential.ready(self._deadline())

    async def send(self, request: Request, *, traceparent: str | None = None) -> Reply:
        """Make one call; redirects and errors are answers, and a 401 is one after the credential was renewed.

        Raises CallUnanswered when nobody knows what the call did (no reply, half a reply, one over `max_reply`),
        CredentialUnavailable and CredentialRefused when it had no effect for want of a credential,
        InvalidCommand for a path segment that is no name.
        """
        headers = self._headers | dict(request.headers)
        if traceparent:
            headers["traceparent"] = traceparent
        url = self._base_url + target(request.path, request.query)
        return await self._exchange(
            httpx.Request(request.method, url, headers=headers, json=request.json), self._credential
        )

    async def aclose(self) -> None:
        """Close all connections and give up a running renewal."""
        if self._credential:
            await self._credential.aclose()
        await self._client.aclose()

    async def _fetch(self, request: httpx.Request) -> Reply:
        """Make a credential's own call to its token endpoint, under the same limits."""
        for name, value in self._headers.items():
            request.headers.setdefault(name, value)
        return await self._exchange(request, None)

    async def _exchange(self, request: httpx.Request, credential: Credential | None) -> Reply:
        request.extensions[DEADLINE] = self._deadline()
        response = await self._client.send(request, auth=credential or httpx.Auth(), follow_redirects=False)
        reply: Reply = response.extensions["reply"]
        return reply

    def _deadline(self) -> float:
        return asyncio.get_running_loop().time() + self._timeout


class Bounded(httpx.AsyncBaseTransport):
    """Reads each reply whole, within its deadline and size, and translates every foreign exception.

    What it hands up to httpx is a bare status with our `Reply` as an extension: httpx would act on the headers
    (keep cookies, parse a `Location` and fail on a malformed one) and read a 401's body without a limit.
    """

    def __init__(self, wire: httpx.AsyncBaseTransport, max_reply: int) -> None:
        self._wire = wire
        self._max_reply = max_reply

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Make the call; raises CallUnanswered and nothing else."""
        call = f"{request.method} at {request.url.netloc.decode('ascii')}"
        try:
            async with asyncio.timeout_at(request.extensions[DEADLINE]):
                reply = await self._exchange(request)
        except CallUnanswered as error:
            raise CallUnanswered(f"{error}: {call}") from None
        except Exception as error:  # noqa: BLE001 - once a request is under way, none proves that it had no effect
            raise CallUnanswered(f"{kind_of(error)}: {call}") from speakable(error)
        return httpx.Response(reply.status, extensions={"reply": reply}, request=request)

    async def _exchange(self, request: httpx.Request) -> Reply:
        response = await self._wire.handle_async_request(request)
        try:
            return Reply(response.status_code, dict(response.headers), await self._body(response))
        finally:
            await response.aclose()

    async def _body(self, response: httpx.Response) -> bytes:
        if response.headers.get("content-encoding", "").strip().lower() not in ENCODINGS:
            raise CallUnanswered("the reply has an unknown content encoding")
        body = bytearray()
        async with aclosing(response.aiter_bytes()) as chunks:  # type: ignore[type-var] # httpx declares an iterator
            async for chunk in chunks:
                body += chunk
                if len(body) > self._max_reply:
                    raise CallUnanswered(f"the reply is over {self._max_reply} bytes")
        return bytes(body)

    async def aclose(self) -> None:
        """Close the transport below."""
        await self._wire.aclose()


class Wire(httpx.AsyncBaseTransport):
    """HTTP/1.1 by aiohttp, with everything off that it does on its own: repeats, cookies, redirects, proxies.

    aiohttp sends a GET or DELETE again when a kept-alive connection drops, and MRS and Sahara cancel by GET.
    It keeps no time (`Bounded` does: a slow drip outlasts aiohttp's timeouts) and counts no connections (the engine's
    limits hold).
    """

    def __init__(self, tls: ssl.SSLContext) -> None:
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request and read the reply's headers; raises whatever aiohttp does."""
        reply = await self._open().request(
            request.method,
            yarl.URL(str(request.url), encoded=True),  # else yarl would undo escapes: %3D comes out as "="
            headers=request.headers,
            data=request.content or None,
            allow_redirects=False,
        )
        return httpx.Response(reply.status, headers=reply.raw_headers, stream=Body(reply))

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:  # not in __init__: aiohttp wants a running loop
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, ssl=self._tls, keepalive_timeout=KEEP_ALIVE),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(),
                skip_auto_headers=("Content-Type",),  # a POST without a body would claim an octet stream
                auto_decompress=False,
                trust_env=False,
                max_line_size=MAX_HEADER,
                max_field_size=MAX_HEADER,
            )
            self._session._retry_connection = False  # noqa: SLF001 - no public switch; a test counts at the socket
        return self._session

    async def aclose(self) -> None:
        """Close all connections."""
        if self._session:
            await self._session.close()


class Body(httpx.AsyncByteStream):
    """The raw bytes of a reply; closing it early closes the connection."""

    def __init__(self, reply: aiohttp.ClientResponse) -> None:
        self._reply = reply

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._reply.content.iter_chunked(CHUNK):
            yield chunk

    async def aclose(self) -> None:
        """Give the connection back if the body was read to its end, else close it."""
        self._reply.close()


def target(path: tuple[str, ...], query: Mapping[str, str]) -> str:
    """Encode what follows the base URL: each segment as a whole, so an id can neither add nor leave a folder.

    Raises InvalidCommand for "", "." and "..", which no encoding protects.
    """
    if not NO_PATH.isdisjoint(path):
        raise InvalidCommand("a path segment may not be empty, '.' or '..'")
    encoded = "".join("/" + quote(segment, safe="") for segment in path)
    return f"{encoded}?{urlencode(query, quote_via=quote, safe='')}" if query else encoded


def checked_base_url(text: str) -> str:
    """Return the URL without its last slash; raises ValueError, without quoting it, if it can't be a base."""
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        raise ValueError("a base URL can't be read as one") from None
    if url.scheme not in {"http", "https"} or not url.host or url.userinfo or url.query or url.fragment:
        raise ValueError("a base URL is http(s), a host, an optional port and prefix, nothing else")
    return text.rstrip("/")


def tls_context(ca_file: str | None, client_cert: str | None, client_key: str | None) -> ssl.SSLContext:
    """Build a verifying context; raises OSError for files that are missing or do not fit."""
    context = ssl.create_default_context(cafile=ca_file)
    if client_cert:
        context.load_cert_chain(client_cert, client_key, password="")  # without one, OpenSSL asks on the terminal
    return context


def kind_of(error: Exception) -> str:
    """Name a failure without its text, which may quote a URL or a token."""
    return "no reply in time" if isinstance(error, TimeoutError) else type(error).__name__


def speakable(error: Exception) -> Exception | None:
    """Return the error if its text may be shown: aiohttp's protocol errors quote headers and whole URLs."""
    return error if isinstance(error, OSError | httpx.HTTPError) else None


def version() -> str:
    """Return the installed version, or "0" in a tree that was never installed."""
    try:
        return metadata.version("canceller")
    except metadata.PackageNotFoundError:
        return "0"
