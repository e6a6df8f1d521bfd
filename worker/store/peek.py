"""A glance at what is open, without a Redis library: loading one takes longer than a shell completion may."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, BinaryIO
from urllib.parse import parse_qs, unquote, urlsplit

from .patterns import literal

PATIENCE = 0.15
"""Seconds that a glance may take in all."""
PAGE = 1000
DRY_RUN, REST = "\x1e", "\x1f"
"""In a field of `:open:BACKEND`, what precedes a dry run's own id, and what precedes the rest of a job's address."""


@dataclass(slots=True)
class Peek:
    """One connection, whose replies are read until the deadline; every error is an OSError or a ValueError.

    Each key of the deployment begins with `base`; `deadline` is by the monotonic clock.
    """

    connection: socket.socket
    replies: BinaryIO
    base: str
    deadline: float = field(default_factory=lambda: time.monotonic() + PATIENCE)

    def backends(self) -> list[str]:
        """Return the names of the backends that ever had a cancellation."""
        return list(self.ask("SMEMBERS", f"{self.base}:backends"))

    def open_jobs(self, backend: str, beginning: str) -> list[str]:
        """Return the ids of jobs with an open cancellation, as many as there is time for."""
        pattern = f"{literal(beginning)}*"
        names = (name for name, _ in self._scan(f"{self.base}:open:{backend}", "MATCH", pattern))
        return list(dict.fromkeys(name.partition(REST)[0] for name in names if DRY_RUN not in name))

    def open_ids(self, backend: str) -> list[str]:
        """Return the ids of open cancellations, as many as there is time for."""
        return [id_ for _, id_ in self._scan(f"{self.base}:open:{backend}")]

    def ask(self, *words: str) -> Any:
        """Send one command and return its reply."""
        self.connection.settimeout(max(0.001, self.deadline - time.monotonic()))
        encoded = [word.encode() for word in words]
        parts = b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in encoded)
        self.connection.sendall(b"*%d\r\n%b" % (len(encoded), parts))
        return self._reply()

    def _scan(self, key: str, *more: str) -> Iterator[tuple[str, str]]:
        cursor = "0"
        while True:
            cursor, page = self.ask("HSCAN", key, cursor, *more, "COUNT", str(PAGE))
            yield from zip(page[::2], page[1::2], strict=True)
            if cursor == "0" or time.monotonic() > self.deadline:
                return

    def _reply(self) -> Any:
        line = self.replies.readline()
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return self.replies.read(int(rest) + 2)[:-2].decode(errors="replace") if rest != b"-1" else ""
        if kind == b"*":
            return [self._reply() for _ in range(int(rest))]
        raise ValueError("Redis refuses, or this is not Redis")


@dataclass(frozen=True, slots=True)
class Place:
    """Where a Redis is, according to its URL; only for plain TCP and for a socket file."""

    address: tuple[str, int] | str
    login: tuple[str, ...]
    db: str

    @classmethod
    def of(cls, url: str) -> Place:
        """Read a URL; raises ValueError for one of another scheme."""
        parts = urlsplit(url)
        login = tuple(unquote(text) for text in (parts.username, parts.password) if text)
        if parts.scheme == "unix":
            return cls(unquote(parts.path), login, parse_qs(parts.query).get("db", ["0"])[0])
        if parts.scheme == "redis":
            return cls((parts.hostname or "localhost", parts.port or 6379), login, parts.path.strip("/") or "0")
        raise ValueError("only redis:// and unix:// can be read without a library")


@contextmanager
def peek(url: str, prefix: str) -> Iterator[Peek]:
    """Connect for a glance.

    Raises:
        OSError: no answer in time.
        ValueError: the URL is of another kind, or Redis refuses.

    """
    place = Place.of(url)
    with _connected(place.address) as connection, connection.makefile("rb") as replies:
        seen = Peek(connection, replies, f"{{{prefix}}}")
        if place.login:
            seen.ask("AUTH", *place.login)
        if place.db != "0":
            seen.ask("SELECT", place.db)
        yield seen


def _connected(address: tuple[str, int] | str) -> socket.socket:
    if not isinstance(address, str):
        return socket.create_connection(address, PATIENCE)
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.settimeout(PATIENCE)
        connection.connect(address)
    except OSError:
        connection.close()
        raise
    return connection
