"""The wire of the extra `fast`: reqwest, in Rust, by pyreqwest; a thread of its own does the IO of all backends.

pyreqwest (0.15) does not abort a call whose caller is cancelled, so each call carries its deadline along: it ends
there, whoever still waits for it. That is as long as a crashed worker's call may be under way, and a lease outlasts it.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta

from pyreqwest.client import ClientBuilder
from pyreqwest.exceptions import ConnectError, PyreqwestError, RequestTimeoutError
from pyreqwest.http import HeaderMap, Url
from pyreqwest.request import RequestBuilder

from worker.backends.base import Reply
from worker.backends.wire import KEEP_ALIVE, MAX_HEADER, Body, Call, add_header, in_words
from worker.errors import CallUnanswered

UNREADABLE = "\ufffd"
"""Stands for a header that is not ASCII: pyreqwest does not hand it over, and none that we read may be such."""
LINGER = 0.05
"""Seconds for the Rust thread to let go of Python once all is closed: an interpreter that ends meanwhile aborts."""


class FastWire:
    """HTTP/1.1 by reqwest, against the system's authorities.

    It can't be told to trust a `ca_file` instead of them, so it takes none. hyper, below it, sends only those requests
    again of which nothing was written, takes 100 headers at most, and keeps the connection after a reply that states
    its length twice; aiohttp takes 128, and `wire_aiohttp` closes that connection.
    """

    through = ""

    def __init__(self) -> None:
        self._client = (
            ClientBuilder()
            .http1_only()
            .http1_allow_obsolete_multiline_headers_in_responses(True)
            .no_proxy()
            .follow_redirects(False)
            .referer(False)
            .default_cookie_store(False)
            .gzip(False)
            .deflate(False)
            .brotli(False)
            .zstd(False)
            .pool_idle_timeout(timedelta(seconds=KEEP_ALIVE))
            .build()
        )

    async def exchange(self, call: Call, limit: int, deadline: float) -> Reply:
        """Make a call; see `Wire`."""
        left = timedelta(seconds=max(0.0, deadline - asyncio.get_running_loop().time()))
        try:
            async with self._request(call).timeout(left).build_streamed() as response:
                headers = headers_of(response.headers)
                body = Body(limit)
                while (chunk := await response.body_reader.read_chunk()) is not None:
                    body.add(memoryview(chunk))
                return Reply(response.status, headers, body.whole(headers))
        except ConnectError as error:
            raise CallUnanswered(in_words("ConnectError")) from OSError(last_cause(error))
        except RequestTimeoutError:
            raise TimeoutError from None
        except PyreqwestError as error:  # its text quotes the whole URL
            raise CallUnanswered(type(error).__name__) from None

    def _request(self, call: Call) -> RequestBuilder:
        url = Url(call.url)
        if str(url) != call.url:
            raise CallUnanswered("the fast transport would change the URL; use the transport aiohttp")
        headers = call.headers
        if not call.content and call.method != "GET":
            headers = {**headers, "Content-Length": "0"}  # hyper leaves it out, and some servers then answer 411
        request = self._client.request(call.method, url).headers(headers)
        return request.body_bytes(call.content) if call.content else request

    async def aclose(self) -> None:
        """Close all connections."""
        await self._client.close()
        await asyncio.sleep(LINGER)


def headers_of(headers: HeaderMap) -> dict[str, str]:
    """Return a reply's headers, joined where they share a name; raises CallUnanswered for one that is too long."""
    found: dict[str, str] = {}
    try:
        for name, value in headers.items():
            add_header(found, name, value)
    except ValueError:
        found = {name: readable(headers, name) for name in headers.keys()}  # noqa: SIM118 - a HeaderMap's own view
    if any(len(value) > MAX_HEADER for value in found.values()):
        raise CallUnanswered("the reply has a header that is too long")
    return found


def readable(headers: HeaderMap, name: str) -> str:
    """Return one header of a reply in which some are not ASCII."""
    try:
        return ", ".join(headers.getall(name))
    except ValueError:
        return UNREADABLE


def last_cause(error: ConnectError) -> str:
    """Say why there is no connection; the first cause quotes the URL, the last is the system's or TLS's own."""
    causes = error.details["causes"] or []
    return causes[-1]["message"] if len(causes) > 1 else "no connection"
