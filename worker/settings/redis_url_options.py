"""The options in a Redis URL's query: which there are, and what each may be. No error quotes a value."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal
from urllib.parse import parse_qsl

from .errors import Mistakes
from .problems import choices, suggestion

Place = Literal["tcp", "tls", "unix", "sentinel"]
"""What a URL leads to: a host, one with TLS, a socket file, or sentinels (who may use TLS as well)."""

Read = Callable[[str], object]

SHORTEST_READ: Final = 3.0
"""The shortest `socket_timeout`: waits for a command or an event last a second, and their replies may take a while."""

_BOOLEANS: Final[Mapping[str, bool]] = {
    **dict.fromkeys(("true", "yes", "on", "1"), True),
    **dict.fromkeys(("false", "no", "off", "0"), False),
}
_CERT_REQS: Final = ("none", "optional", "required")
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,39}")


def _boolean(text: str) -> bool:
    if text.lower() not in _BOOLEANS:
        raise ValueError("must be true or false")
    return _BOOLEANS[text.lower()]


def _number(least: int, most: int) -> Read:
    def read(text: str) -> int:
        if not (text.isascii() and text.isdigit() and len(text) < len("9" * 10) and least <= int(text) <= most):
            raise ValueError(f"must be a whole number from {least} to {most}")
        return int(text)

    return read


def _seconds(least: float, most: float, why: str = "") -> Read:
    def read(text: str) -> float:
        try:
            seconds = float(text)
        except ValueError:
            seconds = math.nan
        if not least <= seconds <= most:  # always false for NaN, so that is refused too
            raise ValueError(f"must be a number of seconds from {least:g} to {most:g}{why}")
        return seconds

    return read


def _client_name(text: str) -> str:
    if not (text.isascii() and text.isprintable() and text.strip() and " " not in text):
        raise ValueError("must be ASCII characters without spaces")
    return text


def _cert_reqs(text: str) -> str:
    word = text.lower().removeprefix("cert_")
    if word not in _CERT_REQS:
        raise ValueError(f"must be {choices(_CERT_REQS)} (or CERT_NONE, CERT_OPTIONAL, CERT_REQUIRED)")
    return word


def _text(text: str) -> str:
    if not text:
        raise ValueError("must not be empty")
    return text


TLS_OPTIONS: Final[Mapping[str, Read]] = {
    "ssl_cert_reqs": _cert_reqs,
    "ssl_ca_certs": _text,
    "ssl_certfile": _text,
    "ssl_keyfile": _text,
    "ssl_check_hostname": _boolean,
}
_CONNECTIONS: Final[Mapping[str, Read]] = {
    "socket_timeout": _seconds(SHORTEST_READ, 300, ": a wait for the next command alone lasts a second"),
    "socket_connect_timeout": _seconds(0.1, 300),
    "health_check_interval": _number(0, 3600),
    "client_name": _client_name,
}
_WITHOUT_EFFECT: Final[Mapping[str, Read]] = {"protocol": _number(2, 3), "retry_on_timeout": _boolean}
"""Accepted because other applications may need them; our clients choose the protocol, and retry nothing unseen."""
_TCP: Final[Mapping[str, Read]] = {"socket_keepalive": _boolean}
_POOL: Final[Mapping[str, Read]] = {"max_connections": _number(10, 100_000)}
OF_CONNECTIONS: Final = frozenset((*_CONNECTIONS, *_TCP, *_POOL))
"""The options of connections."""
_DIRECT: Final[Mapping[str, Read]] = {"db": _number(0, 999_999_999), "username": _text, "password": _text}
_SENTINELS: Final[Mapping[str, Read]] = {
    "sentinel_username": _text,
    "sentinel_password": _text,
    "sentinel_tls": _boolean,
}

OPTIONS: Final[Mapping[Place, Mapping[str, Read]]] = {
    "tcp": {**_CONNECTIONS, **_WITHOUT_EFFECT, **_TCP, **_POOL, **_DIRECT},
    "tls": {**_CONNECTIONS, **_WITHOUT_EFFECT, **_TCP, **_POOL, **_DIRECT, **TLS_OPTIONS},
    "unix": {**_CONNECTIONS, **_WITHOUT_EFFECT, **_POOL, **_DIRECT},
    "sentinel": {**_CONNECTIONS, **_WITHOUT_EFFECT, **_TCP, **_SENTINELS, **TLS_OPTIONS},
}
"""Every option, by what the URL leads to."""

_REPLIES: Final = "would change how replies are read, and Canceller reads bytes: leave it out"
_REFUSED: Final[Mapping[str, str]] = {
    **dict.fromkeys(("decode_responses", "encoding", "encoding_errors", "charset", "legacy_responses"), _REPLIES),
    "ssl": "is set by the scheme: rediss:// is with TLS, redis:// without",
    "retry": "does not belong in a URL: Canceller retries by itself, after a look",
    "retry_on_error": "does not belong in a URL: Canceller retries by itself, after a look",
}
_WHERE: Final[Mapping[Place, str]] = {
    "tcp": "redis://",
    "tls": "rediss://",
    "unix": "unix://",
    "sentinel": "redis+sentinel://",
}
NO_TLS: Final = "is for TLS: begin the URL with rediss, or leave it out"
"""The mistake of an option for TLS in a URL without TLS."""


@dataclass(frozen=True, slots=True)
class Given:
    """What a query gives, each option read by its type: those of connections, those of TLS, and the others.

    Names are redis-py's.
    """

    connections: dict[str, object] = field(default_factory=dict)
    tls: dict[str, object] = field(default_factory=dict)
    others: dict[str, Any] = field(default_factory=dict, repr=False)


def read_options(query: str, place: Place) -> Given:
    """Read a URL's query.

    Raises:
        Mistakes: Some options are unknown, or are not what they must be.

    """
    pairs = parse_qsl(query, keep_blank_values=True)
    names = [name for name, _ in pairs]
    repeated = (name for at, name in enumerate(names) if name in names[:at])
    problems = [f"option {name} is given twice" for name in repeated if name in OPTIONS[place]]
    given = Given()
    for name, text in pairs:
        read = OPTIONS[place].get(name)
        if read is None:
            problems.append(_unknown(name, place))
            continue
        group = given.connections if name in OF_CONNECTIONS else given.tls if name in TLS_OPTIONS else given.others
        try:
            group[name] = read(text)
        except ValueError as error:
            problems.append(f"option {name} {error}")
    if given.tls.keys() & {"ssl_certfile", "ssl_keyfile"} == {"ssl_keyfile"}:
        problems.append("option ssl_keyfile is given without ssl_certfile")
    if problems:
        raise Mistakes(dict.fromkeys(problems))
    return given


def _unknown(name: str, place: Place) -> str:
    if not _NAME.fullmatch(name):
        return "holds an option without a name: write ?NAME=VALUE&NAME=VALUE"
    if name in _REFUSED:
        return f"option {name} {_REFUSED[name]}"
    if name in TLS_OPTIONS:
        return f"option {name} {NO_TLS}"
    elsewhere = [_WHERE[other] for other, known in OPTIONS.items() if name in known]
    if elsewhere:
        return f"option {name} does not exist for {_WHERE[place]}; it is for {choices(elsewhere)}"
    return f"option {name} does not exist{suggestion(name, OPTIONS[place])}"
