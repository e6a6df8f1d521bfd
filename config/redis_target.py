"""Redis URLs: which server or which sentinels, and nothing of them in an error text."""

import re
from dataclasses import dataclass, field
from typing import Final, Literal
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

SENTINEL_PORT: Final = 26379
"""Where a sentinel listens when the URL names no port."""

REDIS_SCHEMES: Final = ("redis", "rediss", "unix", "redis+sentinel")
"""The schemes `RedisTarget.parse` reads."""

_LISTED: Final = re.compile(r"(redis\+sentinel://)([^/?#]+)", re.IGNORECASE)
"""What begins a URL that may name several hosts."""
_NO_URL: Final = "is not a URL: check its port, and percent-encode the special characters of a password"
_SHAPES: Final = (
    "must be redis://host:6379/0, rediss://..., unix:///path.sock?db=0 "
    "or redis+sentinel://:password@host:26379,host:26379/MASTER/DB"
)
_SENTINEL: Final = (
    "must be redis+sentinel://[:password@]host:26379,host:26379/MASTER/DB "
    "(a sentinel's own password as ?sentinel_password=...)"
)


@dataclass(frozen=True, slots=True)
class RedisTarget:
    """Where Redis is. The repr shows no URL and no password.

    Attributes:
        kind: `url`: hand `url` to redis-py. `sentinel`: ask `sentinels` for `master`.
        url: The URL as given; None for `sentinel`.
        sentinels: Host and port of each; empty for `url`.
        master: The name the sentinels know; None for `url`.
        db: The database number.
        username: The user at Redis, where one is named.
        password: The password at Redis.
        sentinel_password: The password at the sentinels, where they want one.

    """

    kind: Literal["url", "sentinel"]
    url: str | None = field(default=None, repr=False)
    sentinels: tuple[tuple[str, int], ...] = ()
    master: str | None = None
    db: int = 0
    username: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    sentinel_password: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, url: str) -> "RedisTarget":
        """Read a Redis URL.

        Raises:
            ValueError: It is none of the shapes above; the text never quotes the URL.

        """
        parts = split_url(url)
        if parts.scheme not in REDIS_SCHEMES or "://" not in url or parts.fragment:
            raise ValueError(_SHAPES)
        return _sentinel(parts) if parts.scheme == "redis+sentinel" else _single(url, parts)


def split_url(url: str) -> SplitResult:
    """Split a URL whose errors stay silent about it.

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
    """Give the port of a split URL.

    Raises:
        ValueError: It is no port, which may well be half a password: it is not quoted.

    """
    try:
        return parts.port
    except ValueError:
        raise ValueError(_NO_URL) from None


def _single(url: str, parts: SplitResult) -> RedisTarget:
    port_of(parts)
    query = _query(parts)
    if parts.scheme == "unix":
        if len(parts.path) < len("/x") or parts.hostname:
            raise ValueError(_SHAPES)
        db = _database(query.get("db", ""))
    else:
        db = _database(query.get("db") or parts.path.removeprefix("/"))
    username, password = _credentials(parts.netloc)
    return RedisTarget("url", url, db=db, username=username, password=password)


def _sentinel(parts: SplitResult) -> RedisTarget:
    master, _, db = parts.path.removeprefix("/").partition("/")
    query = _query(parts)
    if not master or query.keys() - {"sentinel_password"}:
        raise ValueError(_SENTINEL)
    username, password = _credentials(parts.netloc)
    return RedisTarget(
        "sentinel",
        sentinels=tuple(_host(host) for host in parts.netloc.rpartition("@")[2].split(",")),
        master=unquote(master),
        db=_database(db),
        username=username,
        password=password,
        sentinel_password=query.get("sentinel_password"),
    )


def _host(text: str) -> tuple[str, int]:
    parts = split_url(f"//{text}")
    if not parts.hostname:
        raise ValueError(_SENTINEL)
    return parts.hostname, port_of(parts) or SENTINEL_PORT


def _credentials(netloc: str) -> tuple[str | None, str | None]:
    username, _, password = netloc.rpartition("@")[0].partition(":")
    return unquote(username) or None, unquote(password) or None


def _database(text: str) -> int:
    if text and not (text.isascii() and text.isdigit()):
        raise ValueError("must name the database by a number, such as .../0")
    return int(text or 0)


def _query(parts: SplitResult) -> dict[str, str]:
    return {key: values[-1] for key, values in parse_qs(parts.query).items()}
