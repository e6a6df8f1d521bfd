"""Redis URLs: the server or the sentinels that they name; no error text quotes a URL."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final, Literal
from urllib.parse import SplitResult, unquote, urlsplit

from .errors import Mistakes
from .redis_url_options import NO_TLS, Place, read_options

SENTINEL_PORT: Final = 26379
"""A sentinel's port if the URL names none."""

SENTINEL_TIMEOUT: Final = 1.0
"""Seconds that one sentinel may take to be reached, and then to answer."""

_PLACES: Final[Mapping[str, Place]] = {
    "redis": "tcp",
    "rediss": "tls",
    "unix": "unix",
    "redis+sentinel": "sentinel",
    "rediss+sentinel": "sentinel",
}
REDIS_SCHEMES: Final = tuple(_PLACES)
"""The schemes `RedisTarget.parse` reads."""

_LISTED: Final = re.compile(r"(rediss?\+sentinel://)([^/?#]+)", re.IGNORECASE)
"""The beginning of a URL that may name several hosts."""
_NO_URL: Final = "is not a URL: check its port, and percent-encode the special characters of a password"
_SHAPES: Final = (
    "must be redis://host:6379/0, rediss://..., unix:///path.sock?db=0 "
    "or redis+sentinel://:password@host:26379,host:26379/MASTER/DB (rediss+sentinel:// with TLS)"
)
_SENTINEL: Final = (
    "must be redis+sentinel://[[user]:password@]host:26379,host:26379/MASTER/DB, or rediss+sentinel:// with TLS "
    "(the sentinels' own user and password as ?sentinel_username=...&sentinel_password=...)"
)


@dataclass(frozen=True, slots=True)
class RedisTarget:
    """Where Redis is. The repr shows no URL and no password.

    Attributes:
        kind: `url`: Redis itself is at `url`. `sentinel`: ask `sentinels` for `master`.
        url: The URL as given; None for `sentinel`.
        sentinels: Host and port of each; empty for `url`.
        master: The name the sentinels know; None for `url`.
        db: The database number.
        username: The user at Redis, if one is named.
        password: The password at Redis.
        tls: Whether Redis is talked to over TLS.
        sentinel_username: The user at the sentinels, if they require one.
        sentinel_password: The password at the sentinels, if they require one.
        sentinel_tls: Whether the sentinels are talked to over TLS.
        options: What the URL says about connections, by redis-py's names.
        tls_options: What it says about TLS, to Redis and to sentinels, by redis-py's names.

    """

    kind: Literal["url", "sentinel"]
    url: str | None = field(default=None, repr=False)
    sentinels: tuple[tuple[str, int], ...] = ()
    master: str | None = None
    db: int = 0
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    tls: bool = False
    sentinel_username: str | None = field(default=None, repr=False)
    sentinel_password: str | None = field(default=None, repr=False)
    sentinel_tls: bool = False
    options: dict[str, object] = field(default_factory=dict, hash=False)
    tls_options: dict[str, object] = field(default_factory=dict, hash=False)

    @classmethod
    def parse(cls, url: str) -> "RedisTarget":
        """Read a Redis URL.

        Raises:
            ValueError: It is none of the shapes above, or has options that are wrong (`Mistakes`, one text for each);
                no text quotes the URL.

        """
        parts = split_url(url)
        if parts.scheme not in REDIS_SCHEMES or "://" not in url or parts.fragment:
            raise ValueError(_SHAPES)
        if "@" in parts.query:  # a question mark in a password ends the host early
            raise ValueError(_NO_URL)
        target = _sentinel(parts) if _PLACES[parts.scheme] == "sentinel" else _single(url, parts)
        username, _, password = parts.netloc.rpartition("@")[0].partition(":")
        return replace(
            target, username=unquote(username) or target.username, password=unquote(password) or target.password
        )

    @property
    def address(self) -> str:
        """The URL down to host and port, or the socket's path: without database and options."""
        parts = split_url(self.url or "")
        return f"{parts.scheme}://{parts.netloc}{parts.path if parts.scheme == 'unix' else ''}"

    def sentinel_arguments(self) -> dict[str, object]:
        """Return the arguments for a connection to a sentinel, by redis-py's names.

        A sentinel that hangs is given up soon, because the others know as much.
        """
        timeouts = {"socket_timeout": SENTINEL_TIMEOUT, "socket_connect_timeout": SENTINEL_TIMEOUT}
        user = {"username": self.sentinel_username, "password": self.sentinel_password}
        return {**timeouts, **user, **({"ssl": True, **self.tls_options} if self.sentinel_tls else {})}


def split_url(url: str) -> SplitResult:
    """Split a URL; no error quotes it.

    Raises:
        ValueError: It cannot be split. The standard library's own text quotes the URL.

    """
    if any(character.isspace() or not character.isprintable() for character in url):
        raise ValueError(_NO_URL)
    try:
        if not (listed := _LISTED.match(url)):
            return urlsplit(url)
        # Since CVE-2025-0938 (Python 3.11.12, 3.12.10, 3.13.3) urlsplit takes no IPv6 address in a list of hosts.
        return urlsplit(listed[1] + url[listed.end() :])._replace(netloc=listed[2])
    except ValueError:
        raise ValueError(_NO_URL) from None


def port_of(parts: SplitResult) -> int | None:
    """Return the port of a split URL.

    Raises:
        ValueError: It is no port. It is not quoted, because it may be a part of a password.

    """
    try:
        return parts.port
    except ValueError:
        raise ValueError(_NO_URL) from None


def _single(url: str, parts: SplitResult) -> RedisTarget:
    port_of(parts)
    place = _PLACES[parts.scheme]
    if place == "unix" and (len(parts.path) < len("/x") or parts.hostname):
        raise ValueError(_SHAPES)
    given = read_options(parts.query, place)
    path = "" if place == "unix" else parts.path.removeprefix("/")
    return RedisTarget(
        "url",
        url,
        db=_database(str(given.others.get("db", path))),
        username=given.others.get("username"),
        password=given.others.get("password"),
        tls=place == "tls",
        options=given.connections,
        tls_options=given.tls,
    )


def _sentinel(parts: SplitResult) -> RedisTarget:
    master, _, db = parts.path.removeprefix("/").partition("/")
    if not master:
        raise ValueError(_SENTINEL)
    given = read_options(parts.query, "sentinel")
    tls = parts.scheme == "rediss+sentinel"
    sentinel_tls = given.others.get("sentinel_tls", tls)
    if not (tls or sentinel_tls) and given.tls:
        raise Mistakes(f"option {name} {NO_TLS}" for name in given.tls)
    return RedisTarget(
        "sentinel",
        sentinels=tuple(_host(host) for host in parts.netloc.rpartition("@")[2].split(",")),
        master=unquote(master),
        db=_database(db),
        tls=tls,
        sentinel_username=given.others.get("sentinel_username"),
        sentinel_password=given.others.get("sentinel_password"),
        sentinel_tls=sentinel_tls,
        options=given.connections,
        tls_options=given.tls,
    )


def _host(text: str) -> tuple[str, int]:
    parts = split_url(f"//{text}")
    if not parts.hostname:
        raise ValueError(_SENTINEL)
    return parts.hostname, port_of(parts) or SENTINEL_PORT


def _database(text: str) -> int:
    if text and not (text.isascii() and text.isdigit()):
        raise ValueError("must name the database by a number, such as .../0")
    return int(text or 0)
