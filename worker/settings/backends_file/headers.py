"""Extra headers of a backend's calls: `headers` as they are written, `headers_env` from variables."""

import re
from collections.abc import Mapping
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, StrictStr, ValidationInfo

from ..secret import Secret
from .fields import content_of

_TOKEN: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,128}")
"""A header's name (RFC 9110, 5.6.2)."""
_WRITTEN: Final = "is set by the HTTP client itself: remove it"
_REFUSED: Final[Mapping[str, str]] = {
    "host": "is taken from base_url: remove it",
    "content-length": _WRITTEN,
    "transfer-encoding": _WRITTEN,
    "connection": _WRITTEN,
    "keep-alive": _WRITTEN,
    "te": _WRITTEN,
    "trailer": _WRITTEN,
    "upgrade": _WRITTEN,
    "expect": _WRITTEN,
    "proxy-connection": _WRITTEN,
    "proxy-authorization": "is for the proxy alone: remove it, and put user and password into the URL of proxy_env",
    "accept-encoding": "is set by the HTTP client, to what it can decode: remove it",
    "traceparent": "comes with each command: remove it",
}
_OF_AUTH: Final[Mapping[str, str]] = {
    "bearer": "authorization",
    "basic": "authorization",
    "oauth2_client_credentials": "authorization",
    "oml": "authorization",
    "token": "x-auth-token",
    "keystone": "x-auth-token",
}
"""The header that each `auth.type` writes."""
_ALWAYS_SECRET: Final = frozenset({"authorization", "x-auth-token", "cookie"})


def _name(value: str, info: ValidationInfo) -> str:
    if not _TOKEN.fullmatch(value):
        raise ValueError("is not a header name: use letters, digits and !#$%&'*+-.^_`|~, 128 at most")
    lower = value.lower()
    auth = info.data.get("auth")
    if isinstance(auth, BaseModel) and _OF_AUTH.get(getattr(auth, "type", "")) == lower:
        raise ValueError("is set by auth: remove it, or change auth")
    if lower in _REFUSED:
        raise ValueError(_REFUSED[lower])
    return value


def _value(value: str) -> str:
    if not (value.isascii() and value.isprintable()):
        raise ValueError("must be printable ASCII without line breaks: no header can carry anything else")
    return value


def _variable(value: str, info: ValidationInfo) -> str:
    secret = Secret("env", value)
    content = content_of(secret, info)
    if content is not None and not (content.isascii() and content.isprintable()):
        raise ValueError(
            f"{secret.place} must hold printable ASCII without line breaks: no header can carry anything else"
        )
    return value


def _once(value: dict[str, str], info: ValidationInfo) -> dict[str, str]:
    """Check that no two names mean the same header; those in `headers`, which is read first, count too."""
    seen = {name.lower() for name in info.data.get("headers", ())}
    for name in value:
        if name.lower() in seen:
            raise ValueError(f"{name} is given twice, since case makes no difference: remove one of them")
        seen.add(name.lower())
    return value


def _no_secret(value: dict[str, str]) -> dict[str, str]:
    secret = [name for name in value if name.lower() in _ALWAYS_SECRET]
    if secret:
        raise ValueError(f"a secret is never written here: use headers_env for {', '.join(secret)}")
    return value


_Name = Annotated[StrictStr, AfterValidator(_name)]

Headers = Annotated[
    dict[_Name, Annotated[StrictStr, AfterValidator(_value)]], AfterValidator(_once), AfterValidator(_no_secret)
]
"""Headers and their values."""

HeadersFromEnv = Annotated[dict[_Name, Annotated[StrictStr, AfterValidator(_variable)]], AfterValidator(_once)]
"""Headers and the names of the variables that hold their values."""
