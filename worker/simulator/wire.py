"""A call and its reply as plain values, and the routing between them. Knows no system and no HTTP library."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar
from urllib.parse import parse_qsl, unquote

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from .world import World

JSON_TYPE = "application/json"


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request. `raw` is the path and query exactly as they came; `now` is simulated time."""

    method: str
    raw: str
    now: float
    headers: Mapping[str, str] = field(default_factory=dict)
    """Names in lower case."""
    body: bytes = b""
    origin: str = "http://simulator"
    params: Mapping[str, str] = field(default_factory=dict)

    @property
    def parts(self) -> tuple[str, ...]:
        """The path's segments, split first and unquoted after, so that an encoded slash stays inside its segment."""
        path = self.raw.partition("?")[0]
        return tuple(unquote(part) for part in path.strip("/").split("/"))

    @property
    def query(self) -> dict[str, str]:
        """The query's parameters; the last one wins."""
        return dict(parse_qsl(self.raw.partition("?")[2], keep_blank_values=True))

    @property
    def job_id(self) -> str:
        """The job that the path names, or empty."""
        return self.params.get("id", "")

    def json(self) -> dict[str, Any]:
        """Read the body as a JSON object; anything else reads as an empty one."""
        try:
            value = json.loads(self.body or b"{}")
        except ValueError:
            return {}
        return value if isinstance(value, dict) else {}


@dataclass(frozen=True, slots=True)
class Reply:
    """One HTTP answer. `effect` says whether the call changed anything."""

    http: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    effect: bool = False
    content_type: str = JSON_TYPE


def json_reply(
    http: int,
    value: object,
    *,
    effect: bool = False,
    headers: Mapping[str, str] | None = None,
    content_type: str = JSON_TYPE,
) -> Reply:
    """Build an answer with a JSON body."""
    return Reply(http, json.dumps(value).encode(), headers or {}, effect, content_type)


@dataclass(frozen=True, slots=True)
class Address:
    """A method and a path pattern (`requests/{id}/cancel`)."""

    method: str
    pattern: str


@dataclass(frozen=True, slots=True)
class Route(Address):
    """What an address means to a canceller, and who answers it."""

    verb: str
    handler: Callable[[World, Call], Reply]


class System(NamedTuple):
    """One system's routes and how it words a refusal: (HTTP status, text, call) to a reply."""

    name: str
    routes: Sequence[Route]
    refuse: Callable[[World, Call, int, str], Reply]


R = TypeVar("R", bound=Address)


def match(routes: Sequence[R], method: str, parts: Sequence[str]) -> tuple[R, dict[str, str]] | None:
    """Find the first route for a method and a path's segments, with the values of its placeholders."""
    for route in routes:
        params = _bind(route.pattern.split("/"), parts) if route.method == method else None
        if params is not None:
            return route, params
    return None


def _bind(pattern: Sequence[str], parts: Sequence[str]) -> dict[str, str] | None:
    if len(pattern) != len(parts):
        return None
    pairs = list(zip(pattern, parts, strict=True))
    if any(part != name for name, part in pairs if not name.startswith("{")):
        return None
    params = {name.strip("{}"): part for name, part in pairs if name.startswith("{")}
    return params if all(params.values()) else None
