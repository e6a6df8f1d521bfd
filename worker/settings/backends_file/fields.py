"""The kinds of value in the backends file: web addresses, identifiers, statuses."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Final, TypeVar
from urllib.parse import unquote

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, ValidationInfo, WithJsonSchema

from ..paths import expanded
from ..redis_url import port_of, split_url
from ..secret import Secret

SECRETS_AT_ONCE: Final = 2
"""A secret and its successor."""
_SEGMENT: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,127}")
_HOST: Final = re.compile(r"[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63})*\.?")
_IPV4: Final = re.compile(r"[0-9]+(?:\.[0-9]+){3}")
_NO_HOST: Final = "must name a host, or an address (an IPv6 address in brackets)"
_PATH_AND_QUERY: Final = re.compile(r"(?:[A-Za-z0-9._~:/?@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*")
"""What may follow the host (RFC 3986, 3.3 and 3.4)."""
_BROKEN_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_OTHER_THAN_V3: Final = re.compile(r"/v(?!3$)[0-9.]+$|/auth/tokens$")
"""The end of a Keystone address that is of another version, or is the full path for tokens."""
_DOTS: Final = frozenset({".", ".."})
_JOB_ID: Final = "{job_id}"
# These are about the network or the right to ask, and prove nothing about a process.
_NO_PROOF: Final = frozenset({401, 403, 407, 408, 425, 429})


Named = TypeVar("Named", str, Path)
"""What names a secret: a variable, or a file."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What validation needs besides the file's text.

    Attributes:
        environ: Where `*_env` keys look.
        directory: What relative paths in the file are relative to.

    """

    environ: Mapping[str, str] = field(repr=False)
    directory: Path

    @classmethod
    def of(cls, info: ValidationInfo) -> "Surroundings | None":
        """Return what the loader passed along; None if there is no loader."""
        return info.context if isinstance(info.context, cls) else None


class Table(BaseModel):
    """A table of the file: frozen, no unknown keys, no value in an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


def one_or_two(files: tuple[Path, ...], info: ValidationInfo) -> tuple[Path, ...]:
    """Check that one secret is given, or two during a change: in this field, `…_file`, and in `…_env` together.

    Raises:
        ValueError: there are none, or more.

    """
    stem = str(info.field_name).removesuffix("_file")
    variables = info.data.get(f"{stem}_env")
    given = len(variables or ()) + len(files)
    if variables is not None and not 1 <= given <= SECRETS_AT_ONCE:
        several = stem if stem.endswith("s") else f"{stem}s"
        raise ValueError(
            f"{given or 'no'} {several} are given: name one in {stem}_env or {stem}_file, two while they change"
        )
    return files


def secrets_at(variables: Iterable[str], files: Iterable[Path]) -> tuple[Secret, ...]:
    """Return where secrets are: in variables, then in files."""
    return (*(Secret("env", name) for name in variables), *(Secret("file", str(path)) for path in files))


def _web_url(value: str) -> str:
    parts = split_url(value)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("must be http:// or https://, a host, and an optional port and prefix")
    if "@" in parts.netloc:
        raise ValueError("must hold no user or password: a URL ends up in logs; a backend's go into its auth")
    check_host(parts.hostname, bracketed="[" in parts.netloc)
    port_of(parts)
    return value


def check_host(host: str, *, bracketed: bool) -> None:
    """Check that a client can call a host; a name with non-ASCII letters is left to the client to encode."""
    if not bracketed and not host.isascii():
        return
    try:
        if bracketed or _IPV4.fullmatch(host):
            ip_address(host)
            return
        host.encode("ascii").decode("idna")
    except ValueError:
        raise ValueError(_NO_HOST) from None
    if not _HOST.fullmatch(host):
        raise ValueError(_NO_HOST)


def _base_url(value: str) -> str:
    if "?" in value or "#" in value:
        raise ValueError("must end with the host, port or prefix: remove the query and the fragment")
    return _web_url(value).rstrip("/")


def _keystone_url(value: str) -> str:
    url = _base_url(value)
    if _OTHER_THAN_V3.search(url.partition("://")[2]):
        raise ValueError("must be Keystone's address as OS_AUTH_URL holds it, with or without /v3")
    return url


def _probe_url(value: str) -> str:
    """Check a URL that is sent as it is written, except for the job's id."""
    if value.count(_JOB_ID) != 1 or re.search(r"[{}]", value.replace(_JOB_ID, "")):
        raise ValueError("must contain {job_id} once, and no other braces: the job's id goes there")
    if "#" in value:
        raise ValueError("must hold no fragment: it is never sent")
    authority, rest = _split_after_host(value)
    if "{" in authority:
        raise ValueError("must have {job_id} in its path or query: hosts come from configuration alone")
    if not authority.isascii():
        raise ValueError("must be written as it is sent: write a host with non-ASCII letters in its xn-- form")
    _check_written(rest.replace(_JOB_ID, ""))
    _web_url(value)
    path, mark, query = rest.partition("?")
    if not path:
        raise ValueError("must have a path: put a slash before the question mark")
    if mark and not query:
        raise ValueError("has an empty query: remove the question mark")
    _check_path(path)
    return value


def _written_url(value: str) -> str:
    """Check a URL that is sent as it is written."""
    if "#" in value:
        raise ValueError("must hold no fragment: it is never sent")
    authority, rest = _split_after_host(value)
    if not authority.isascii():
        raise ValueError("must be written as it is sent: write a host with non-ASCII letters in its xn-- form")
    _check_written(rest)
    return _web_url(value)


def _split_after_host(url: str) -> tuple[str, str]:
    after_scheme = url.partition("://")[2]
    authority = re.split("[/?]", after_scheme, maxsplit=1)[0]
    return authority, after_scheme.removeprefix(authority)


def _check_written(rest: str) -> None:
    if _BROKEN_ESCAPE.search(rest):
        raise ValueError("has a % that begins no escape: write a percent sign itself as %25")
    if not _PATH_AND_QUERY.fullmatch(rest):
        raise ValueError("holds a character that no URL may hold: percent-encode it, such as a space as %20")


def _check_path(path: str) -> None:
    """Check a path's segments; the last one may be empty."""
    *inner, last = path.removeprefix("/").split("/")
    if "" in inner or not _DOTS.isdisjoint(unquote(segment) for segment in (*inner, last)):
        raise ValueError("must have no empty, '.' or '..' part in its path, which servers read differently: remove it")


def _segment(value: str) -> str:
    if not _SEGMENT.fullmatch(value):
        raise ValueError("must be 1 to 128 of A-Z a-z 0-9 _ - and, not first, a dot")
    return value


def located(path: Path, info: ValidationInfo) -> Path:
    """Resolve a path in the file against the file's directory."""
    around = Surroundings.of(info)
    place = expanded(path)
    return around.directory / place if around else place


def secret_at(named: Named, info: ValidationInfo) -> tuple[Named, Secret]:
    """Return a variable's name, or a file's path as this process uses it, and the secret that is there."""
    if isinstance(named, Path):
        place = located(named, info)
        return place, Secret("file", str(place))
    return named, Secret("env", named)


def content_of(secret: Secret, info: ValidationInfo) -> str | None:
    """Read a secret that the file names; None if there is no loader.

    Raises:
        ValueError: It can't be read; the text quotes nothing of it.

    """
    around = Surroundings.of(info)
    if around is None:
        return None
    problem = secret.problem(around.environ)
    if problem is not None:
        raise ValueError(problem)
    return secret.read(around.environ)


def _statuses(value: object) -> tuple[int, ...]:
    items: list[Any] = list(value) if isinstance(value, list | tuple) else str(value).split(",")
    try:
        statuses = tuple(dict.fromkeys(int(str(item)) for item in items))
    except ValueError:
        statuses = ()
    if not statuses or not all(200 <= status < 500 for status in statuses):  # noqa: PLR2004
        raise ValueError('must be HTTP statuses from 200 to 499, such as "404" or "404,410"')
    if not _NO_PROOF.isdisjoint(statuses):
        raise ValueError("must not hold 401, 403, 407, 408, 425 or 429: they do not prove a process gone")
    return statuses


BaseUrl = Annotated[str, AfterValidator(_base_url)]
"""`http(s)://host[:port][/prefix]`, without a slash at the end."""

KeystoneUrl = Annotated[str, AfterValidator(_keystone_url)]
"""A base URL that may end with `/v3`."""

WebUrl = Annotated[str, AfterValidator(_web_url)]
"""`http(s)://host...` without user or password."""

ProbeUrl = Annotated[str, AfterValidator(_probe_url)]
"""A web URL, encoded as it is to be sent, with `{job_id}` once in its path or query."""

WrittenUrl = Annotated[str, AfterValidator(_written_url)]
"""A web URL, encoded as it is to be sent."""

Segment = Annotated[str, AfterValidator(_segment)]
"""One path segment, such as an OpenStack id."""

_STATUS: Final = r"[2-4][0-9][0-9]"
_AS_WRITTEN: Final = {
    "anyOf": [
        {"type": "string", "pattern": rf"^\s*{_STATUS}\s*(,\s*{_STATUS}\s*)*$"},
        {"type": "integer", "minimum": 200, "maximum": 499},
        {"type": "array", "items": {"type": ["integer", "string"]}, "minItems": 1},
    ]
}

Statuses = Annotated[tuple[int, ...], BeforeValidator(_statuses), WithJsonSchema(_AS_WRITTEN)]
"""HTTP statuses, from `"404"`, `"404,410"`, `404` or `[404, 410]`."""
