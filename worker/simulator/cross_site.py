"""Detects requests from other sites' web pages, which could otherwise make jobs and read about them."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

REFUSED: Final = "the simulator refuses requests from web pages: {}\n"


def foreign(headers: Mapping[str, str], hosts: Collection[str] | None) -> str:
    """Say what shows that a request comes from another site; empty if nothing does.

    `headers` have names in lower case. `hosts` are the host names that requests may use besides those of the loopback,
    None for any. If the simulator listens only on the loopback, any other name was pointed there by somebody's DNS
    server (DNS rebinding).
    """
    host = headers.get("host", "")
    site = headers.get("sec-fetch-site", "none")
    if site not in {"none", "same-origin"}:
        return f"Sec-Fetch-Site is {site[:40]}"
    origin = headers.get("origin")
    if origin is not None and origin != f"http://{host}":
        return "Origin is not its own"
    if hosts is not None and host and not is_loopback(_name(host)) and _name(host) not in hosts:
        return "Host is not a loopback address"
    return ""


def is_loopback(name: str) -> bool:
    """Whether a host name or an address means this machine alone."""
    try:
        return name == "localhost" or ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _name(host: str) -> str:
    """Return the name in a `Host` header; empty if it can't be read."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
