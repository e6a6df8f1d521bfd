"""The proxy that a backend's calls go through: named in the file, in a variable, or by the usual environment."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Annotated, Final
from urllib.parse import SplitResult, unquote, urlsplit

from pydantic import AfterValidator, StrictStr, ValidationInfo

from ..env_file import process_environment
from ..redis_url import port_of, split_url
from ..secret import Secret
from .fields import Surroundings, check_host, content_of

ENVIRONMENT: Final = "environment"
"""The value of `proxy` that stands for the usual variables."""
PORTS: Final[Mapping[str, int]] = {"http": 80, "https": 443}

_SHAPE: Final = "must be http:// or https://, the proxy's host and an optional port, nothing else"
_ENCODE: Final = "; percent-encode the special characters of its password"


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy's address, and our credentials for it."""

    url: str
    """`http(s)://host:port`."""
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)

    @classmethod
    def parse(cls, url: str, *, needs_scheme: bool = True) -> "Proxy":
        """Read a proxy's URL; unless it `needs_scheme`, a URL without one is taken as `http://`.

        Raises:
            ValueError: It is not a proxy's URL; the text never quotes it.

        """
        parts = split_url(url if needs_scheme or "://" in url else f"http://{url}")
        port = port_of(parts)
        more = parts.path not in {"", "/"} or "?" in url or "#" in url
        if parts.scheme not in PORTS or not parts.hostname or more:
            raise ValueError(_SHAPE + (_ENCODE if "@" in url else ""))
        bracketed = "[" in parts.netloc.rpartition("@")[2]
        check_host(parts.hostname, bracketed=bracketed)
        host = f"[{parts.hostname}]" if bracketed else parts.hostname
        username, _, password = parts.netloc.rpartition("@")[0].partition(":")
        if ":" in unquote(username):
            raise ValueError("must have no colon in its user name: proxies take what follows for the password")
        return cls(f"{parts.scheme}://{host}:{port or PORTS[parts.scheme]}", unquote(username), unquote(password))


def proxy_for(
    url: str, proxy: str | None, proxy_env: str | None, environ: Mapping[str, str] | None = None
) -> Proxy | None:
    """Return the proxy for calls to a URL, None for none.

    Args:
        url: What is called.
        proxy: A proxy's URL, or `environment`.
        proxy_env: The variable that holds one.
        environ: Where variables are looked up, instead of this process's environment.

    """
    variables = process_environment() if environ is None else environ
    if proxy_env is not None:
        return Proxy.parse(Secret("env", proxy_env).read(variables))
    if proxy == ENVIRONMENT:
        return _usual(urlsplit(url), variables)
    return None if proxy is None else Proxy.parse(proxy)


def _usual(target: SplitResult, environ: Mapping[str, str]) -> Proxy | None:
    _, value = _variable(f"{target.scheme}_proxy", environ)
    _, exceptions = _variable("no_proxy", environ)
    if not value or _bypassed(target, exceptions):
        return None
    return Proxy.parse(value, needs_scheme=False)


def _variable(name: str, environ: Mapping[str, str]) -> tuple[str, str]:
    """Return the name of a variable as it is set, and its value; the lower-case one wins if both are set."""
    found = name if name in environ else name.upper()
    return found, environ.get(found, "").strip()


def _bypassed(target: SplitResult, exceptions: str) -> bool:
    """Whether NO_PROXY names a target, by the rules of urllib and requests.

    An entry is a domain and its subdomains (a leading dot makes no difference), an address or a network; it may name a
    port. `*` alone names everything.
    """
    if exceptions == "*":
        return True
    host = (target.hostname or "").rstrip(".")
    port = target.port or PORTS[target.scheme]
    entries = (entry.strip().lower().lstrip(".") for entry in exceptions.split(","))
    return any(_names(entry, host, port) for entry in entries if entry)


def _names(entry: str, host: str, port: int) -> bool:
    name, colon, wanted = entry.rpartition(":")
    if colon and name and (":" not in name or name.endswith("]")) and wanted.isdecimal():
        return wanted == str(port) and _names(name, host, port)
    entry = entry.strip("[]").rstrip(".")
    if host == entry or host.endswith(f".{entry}"):
        return True
    try:
        return ip_address(host) in ip_network(entry, strict=False)
    except ValueError:
        return False


def _proxy(value: str, info: ValidationInfo) -> str:
    if value == ENVIRONMENT:
        around = Surroundings.of(info)
        if around is not None:
            _check_variables(around.environ)
        return value
    if "@" in value:
        raise ValueError("must hold no user or password: a URL ends up in logs; use proxy_env for them")
    if "://" not in value:
        raise ValueError(f'{_SHAPE}; or "{ENVIRONMENT}" for HTTPS_PROXY, HTTP_PROXY and NO_PROXY')
    Proxy.parse(value)
    return value


def _check_variables(environ: Mapping[str, str]) -> None:
    problems = []
    for scheme in ("https", "http"):
        name, value = _variable(f"{scheme}_proxy", environ)
        try:
            if value:
                Proxy.parse(value, needs_scheme=False)
        except ValueError as error:
            problems.append(f"environment variable {name} {error}")
    if problems:
        raise ValueError("; ".join(problems))


def _proxy_env(value: str, info: ValidationInfo) -> str:
    if info.data.get("proxy") is not None:
        raise ValueError("proxy is given as well: use exactly one of proxy and proxy_env")
    secret = Secret("env", value)
    content = content_of(secret, info)
    try:
        if content is not None:
            Proxy.parse(content)
    except ValueError as error:
        raise ValueError(f"{secret.place} {error}") from None
    return value


ProxyUrl = Annotated[StrictStr, AfterValidator(_proxy)]
"""A proxy's URL without credentials, or `environment`."""

ProxyEnv = Annotated[StrictStr, AfterValidator(_proxy_env)]
"""The name of a variable that holds a proxy's URL with credentials."""
