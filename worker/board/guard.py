"""Refuses requests from other sites' pages, and says in each answer what a browser may do with it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
"""Nothing inline, and nothing from other sites."""
HEADERS: Mapping[str, str] = {
    "content-security-policy": POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "same-origin",  # with no-referrer, browsers would hide the origin of our own forms
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
SAFE = frozenset({"GET", "HEAD"})
OWN_SITES = frozenset({"", "none", "same-origin"})
"""What `Sec-Fetch-Site` may say: it is absent, a person has typed the address, or the page is one of ours."""
UNKNOWN_HOST = "this board is not known by that name: CANCELLER_BOARD_HOSTS lists the names that it answers to"
FOREIGN = "this request comes from another site"


@dataclass(frozen=True, slots=True)
class Guard:
    """An ASGI app in front of the board's. `hosts` are the host names that requests may use, without a port."""

    app: ASGIApp
    hosts: Collection[str]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request that is turned away; pass any other on to the app."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return

        async def send_marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                if "cache-control" not in headers:
                    headers["cache-control"] = "no-store"
            await send(message)

        problem = self.problem(scope["method"], Headers(scope=scope))
        answer = PlainTextResponse(problem[1] + "\n", problem[0]) if problem else self.app
        await answer(scope, receive, send_marked)

    def problem(self, method: str, headers: Headers) -> tuple[int, str] | None:
        """Return the status and text of the answer to a request that is turned away; None if it may come in.

        A page of another site can make a browser send us requests, under any name that it lets resolve to our address.
        So the host name must be ours, and if the browser names the requesting site, that must be ours too.
        """
        host = headers.get("host", "")
        name, colon, port = host.rpartition(":")
        if (name if colon and port.isdigit() else host).lower().rstrip(".") not in self.hosts:
            return 421, UNKNOWN_HOST
        origin = headers.get("origin")
        if origin is not None and origin.partition("://")[2].lower() != host.lower():
            return 403, FOREIGN
        site = headers.get("sec-fetch-site", "")
        navigates = method in SAFE and headers.get("sec-fetch-mode", "") == "navigate"
        if site not in OWN_SITES and not navigates:  # somebody may follow a link to a page of ours
            return 403, FOREIGN
        return None


def host_names(listens_on: str, more: Iterable[str]) -> frozenset[str]:
    """Return the names of a board that listens on an address: those of loopback, the address, and some more."""
    address = f"[{listens_on}]" if ":" in listens_on else listens_on
    return frozenset(name.lower() for name in (*LOOPBACK, address, *more) if name)
