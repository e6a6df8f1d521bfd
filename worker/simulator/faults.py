"""Scripted faults: which calls go wrong, how, and how often. How they look on the wire is in delivery.py."""

from __future__ import annotations

import dataclasses
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Kind(NamedTuple):
    """What a kind of fault does unless the rule says otherwise: is the call carried out, and which status is sent."""

    applied: bool
    http: int | None


KINDS: dict[str, Kind] = {
    "error": Kind(applied=False, http=500),
    "error_after": Kind(applied=True, http=500),
    "lost_answer": Kind(applied=True, http=None),
    "reset": Kind(applied=False, http=None),
    "throttled": Kind(applied=False, http=429),
    "expired_token": Kind(applied=False, http=401),
    "html": Kind(applied=False, http=502),
    "gateway": Kind(applied=False, http=404),
    "hang": Kind(applied=False, http=None),
    "truncated": Kind(applied=True, http=None),
    "cut_body": Kind(applied=True, http=None),
    "big_body": Kind(applied=True, http=None),
    "slow_drip": Kind(applied=True, http=None),
}
"""`error` with an `http` of your choice makes any refusal, such as a 409 or a 503.

`gateway` is a reply from a gateway in front of the system that has no route to it; the bodies of `GATEWAYS` take turns.
"""

GATEWAYS: tuple[tuple[str, bytes], ...] = (
    ("text/plain; charset=utf-8", b"default backend - 404"),
    ("text/plain; charset=utf-8", b"404 page not found\n"),
    ("text/plain", b""),
    ("application/json", b'{"message": "no Route matched with those values"}'),
    ("application/problem+json", b'{"type": "about:blank", "title": "Not Found", "status": 404}'),
    ("text/html", b"<html><head><title>404 Not Found</title></head><body><hr>nginx</body></html>"),
)
"""The 404s of ingress controllers, Go's and Java's servers, Kong, RFC 9457 libraries, nginx: content type and body."""

UNANSWERED = frozenset({"lost_answer", "reset", "hang"})


@dataclass(frozen=True, slots=True)
class Fault:
    """One rule. Empty fields match everything; the first rule that fires wins.

    `verb` is `look`, `list`, `result`, `refresh`, `cancel`, `force`, `delete`, `token`, `submit`, `hold`, `release`,
    `update`, `report` or `check_in`; `path` is a part of the raw path.
    `retry_after` and `gap` are real seconds, `size` is bytes.
    """

    kind: str
    system: str = ""
    verb: str = ""
    job_id: str = ""
    path: str = ""
    times: int | None = None
    skip: int = 0
    probability: float = 1.0
    seed: int = 0
    http: int | None = None
    applied: bool | None = None
    retry_after: int | None = 1
    gap: float = 0.05
    size: int = 10_000_000


def fault_from(spec: Mapping[str, Any]) -> Fault:
    """Build a rule from plain values.

    Raises:
        ValueError: An unknown kind or field, or a value that does not fit.

    """
    names = [field.name for field in dataclasses.fields(Fault)]
    unknown = sorted(set(spec) - set(names))
    if unknown:
        raise ValueError(f"a fault has no field {', '.join(unknown)}; it has {', '.join(names)}")
    if spec.get("kind") not in KINDS:
        raise ValueError(f"no fault is called {spec.get('kind')!r}; there are {', '.join(KINDS)}")
    wrong = [name for name, value in spec.items() if not _fits(name, value)]
    if wrong:
        raise ValueError(f"these fields of the fault do not fit: {', '.join(wrong)}")
    return Fault(**spec)


_TEXTS = {"kind", "system", "verb", "job_id", "path"}
_OPTIONAL = {"times", "http", "retry_after", "applied"}
_REAL = {"probability", "gap"}
_HTTP_CODES = range(200, 600)


def _fits(name: str, value: object) -> bool:
    if name in _TEXTS:
        return isinstance(value, str)
    if value is None:
        return name in _OPTIONAL
    if isinstance(value, bool) or name == "applied":
        return isinstance(value, bool) and name == "applied"
    if name == "http":
        return value in _HTTP_CODES
    return isinstance(value, (int, float) if name in _REAL else int) and (name == "seed" or value >= 0)


class Rule:
    """An active fault, with its own counts and its own random numbers."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.met = self.fired = 0
        self.dice = random.Random(fault.seed)  # noqa: S311  # repeatable dice, no secret

    def fires(self) -> bool:
        """Count a call that the fault matches, and return whether it goes wrong."""
        self.met += 1
        spent = self.fault.times is not None and self.fired >= self.fault.times
        if spent or self.met <= self.fault.skip or self.dice.random() >= self.fault.probability:
            return False
        self.fired += 1
        return True


def fault_for(rules: Iterable[Rule], system: str, verb: str, job_id: str, path: str) -> Fault | None:
    """Choose the fault for a call, if any, and count it."""
    for rule in rules:
        fault = rule.fault
        wanted = ((fault.system, system), (fault.verb, verb), (fault.job_id, job_id))
        if all(want in ("", got) for want, got in wanted) and fault.path in path and rule.fires():
            return fault
    return None
