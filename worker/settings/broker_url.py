"""The URLs of brokers: kombu is the judge of those that are not a Redis's; no error text quotes more than a scheme."""

import re
from typing import Final

from .problems import suggestion
from .redis_url import REDIS_SCHEMES, split_url
from .redis_url_files import check_redis_url

_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]{0,63}")
_NO_SCHEME: Final = "must be a URL with a scheme, such as redis://host:6379/0 or amqp://host:5672//"
_SENTINELS: Final = (
    "must be redis+sentinel://host:26379,host:26379/MASTER/DB for sentinels (rediss+sentinel:// with TLS)"
)
_UNREADABLE: Final = (
    "is not a URL that kombu can read: check its port and its options, and percent-encode the special characters of "
    "user and password, such as %2F for a slash"
)


def check_broker_url(url: str) -> None:
    """Check the URL of a broker; raises ValueError, which quotes no more than its scheme."""
    # Alternatives after a `;` are for kombu alone; the first URL says which kind of broker it is.
    first, *others = url.split(";")
    scheme = split_url(first).scheme
    if not scheme or "://" not in url:
        raise ValueError(_NO_SCHEME)
    if scheme == "sentinel":
        raise ValueError(_SENTINELS)
    if scheme in REDIS_SCHEMES:
        check_redis_url(url)
        return
    for one in (first, *(other for other in others if "://" in other)):
        _check_by_kombu(one)


def _check_by_kombu(url: str) -> None:
    from kombu import Connection  # noqa: PLC0415 - it takes a while to load, and a Redis needs none of it
    from kombu.transport import TRANSPORT_ALIASES, get_transport_cls  # noqa: PLC0415

    scheme = url.partition("://")[0]
    if not _SCHEME.fullmatch(scheme):
        raise ValueError(_NO_SCHEME)
    name = scheme.partition("+")[0] if "+" in scheme else scheme.lower()
    if name not in TRANSPORT_ALIASES:
        close = suggestion(name, TRANSPORT_ALIASES)
        raise ValueError(f"has the scheme {scheme}, for which kombu knows no broker{close}")
    try:
        get_transport_cls(name)
    except Exception as error:  # noqa: BLE001 - what is missing shows in more ways than ImportError
        missing = _worded(error)
    else:
        missing = _missing(Connection, url)
    if missing:
        raise ValueError(f"has the scheme {scheme}, for which kombu lacks a package: {missing}")


def _missing(connection: type, url: str) -> str:
    """Return what kombu lacks for a connection, which is not opened; empty if nothing."""
    problem = ""
    try:
        _ = connection(url).transport
    except (ImportError, RuntimeError) as error:
        return _worded(error)
    except Exception:  # noqa: BLE001 - the parsers of transports and of options raise what they like
        problem = _UNREADABLE
    # Raised outside `except`, so that kombu's error, which quotes the URL, is not chained.
    if problem:
        raise ValueError(problem)
    return ""


def _worded(error: Exception) -> str:
    """Return an ImportError's text, which names a package; others say what only the code around them explains."""
    return str(error) if isinstance(error, ImportError) else type(error).__name__
