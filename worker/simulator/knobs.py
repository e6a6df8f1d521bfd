"""The switches: one for each point that the vendors leave open (INFERRED, see `backends/SOURCES.md`)."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .life import PRESETS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping


@dataclass(frozen=True, slots=True)
class AllKnobs:
    """Switches for every system, and for the token service that MRS and Sahara share. Durations in seconds."""

    date_header: bool = True
    submitted_life: str = "runs"
    iam_token_life: float = 86400.0
    iam_username: str = ""
    iam_password: str = ""
    log_lines: int = 500_000


@dataclass(frozen=True, slots=True)
class EssKnobs:
    """Switches of Oracle Enterprise Scheduler. Durations in seconds."""

    auth: str = "none"
    username: str = ""
    password: str = ""
    static_token: str = ""
    token_life: float = 3600.0
    cancel_delay: float = 2.0
    cancel_in_cancelling: int = 400
    cancel_terminal: int = 400
    cancel_unsure: str = "refused"
    force_refused: int = 400
    force_window: float = 1800.0
    force_on_parent: str = "refuse"
    force_allowed_shown: str = "full"
    race_outcome: str = "CANCELLED"
    check_in_every: float = 0.0
    check_in_shown: bool = False
    parent_end: str = "follows"
    times: str = "utc"
    page_size: int = 100
    search_from: int = 0
    count_is_total: bool = False
    heeds_q: bool = True
    or_in_q: bool = True
    ne_in_q: bool = True


@dataclass(frozen=True, slots=True)
class OmlKnobs:
    """Switches of Oracle Machine Learning. Durations in seconds."""

    auth: str = "none"
    username: str = ""
    password: str = ""
    static_token: str = ""
    token_life: float = 3600.0
    refresh_window: float = 28800.0
    get_after_delete: int = 400
    delete_answer: int = 200
    delete_finished: int = 200
    list_running_state: str = "RUNNING"


@dataclass(frozen=True, slots=True)
class MrsKnobs:
    """Switches of MapReduce Service. Durations in seconds."""

    auth: str = "none"
    username: str = ""
    password: str = ""
    static_token: str = ""
    dialect: str = "otc"
    v11_supported: bool = True
    v2_supported: bool = True
    cancel_delay: float = 2.0
    cancel_finished: int = 200
    kill_finished: int = 500
    missing: str = "0176"
    offset_counts: str = "pages"
    batch_delete_answer: int = 204


@dataclass(frozen=True, slots=True)
class SaharaKnobs:
    """Switches of OpenStack Sahara. Durations in seconds."""

    auth: str = "none"
    username: str = ""
    password: str = ""
    static_token: str = ""
    mode: str = "async"
    engine_delay: float = 5.0
    canceling_timeout: float = 300.0
    stale_reads: bool = False
    refresh_every: float = 45.0
    delete_keeps_raced: bool = False


@dataclass(frozen=True, slots=True)
class Knobs:
    """All switches, one group per system."""

    all: AllKnobs = field(default_factory=AllKnobs)
    ess: EssKnobs = field(default_factory=EssKnobs)
    oml: OmlKnobs = field(default_factory=OmlKnobs)
    mrs: MrsKnobs = field(default_factory=MrsKnobs)
    sahara: SaharaKnobs = field(default_factory=SaharaKnobs)

    def changed(self, changes: Mapping[str, Any]) -> Knobs:
        """Return these switches with `changes` applied: `{"ess": {"times": "naive"}}` or `{"ess.times": "naive"}`.

        Raises:
            ValueError: An unknown switch, a value of the wrong type, or one that is not among the choices.

        """
        knobs = self
        for group, name, value in _flat(changes):
            section = _section(knobs, group)
            fresh = dataclasses.replace(section, **{name: _checked(section, group, name, value)})
            knobs = dataclasses.replace(knobs, **{group: fresh})
        return knobs


_AUTH = ("none", "bearer", "basic", "token")
CHOICES: dict[str, tuple[object, ...]] = {
    "all.submitted_life": tuple(PRESETS),
    "ess.auth": _AUTH,
    "oml.auth": _AUTH,
    "mrs.auth": _AUTH,
    "sahara.auth": _AUTH,
    "ess.cancel_in_cancelling": (400, 409, 200),
    "ess.cancel_terminal": (400, 409),
    "ess.cancel_unsure": ("refused", "CANCELLED"),
    "ess.force_refused": (400, 409),
    "ess.force_on_parent": ("refuse", "accept"),
    "ess.force_allowed_shown": ("full", "state", "absent"),
    "ess.race_outcome": ("CANCELLED", "SUCCEEDED", "WARNING", "ERROR"),
    "ess.parent_end": ("follows", "stays"),
    "ess.times": ("utc", "naive"),
    "ess.search_from": (0, 1),
    "oml.get_after_delete": (400, 500, 404),
    "oml.delete_answer": (200, 202, 204),
    "oml.delete_finished": (200, 400),
    "mrs.dialect": ("otc", "huawei"),
    "mrs.cancel_finished": (200, 500),
    "mrs.kill_finished": (500, 202),
    "mrs.missing": ("0176", "404"),
    "mrs.offset_counts": ("pages", "jobs"),
    "mrs.batch_delete_answer": (200, 202, 204),
    "sahara.mode": ("async", "sync"),
}
_POSITIVE = {"all.log_lines", "ess.page_size", "sahara.refresh_every"}


def _flat(changes: Mapping[str, Any]) -> Iterator[tuple[str, str, object]]:
    for key, value in changes.items():
        group, dot, name = key.partition(".")
        if dot:
            yield group, name, value
        elif isinstance(value, dict):
            for inner, setting in value.items():
                yield group, str(inner), setting
        else:
            raise ValueError(f"knob {key!r}: write {{'system': {{'name': value}}}} or 'system.name': value")


def _section(knobs: Knobs, group: str) -> Any:
    if group not in Knobs.__dataclass_fields__:
        raise ValueError(f"no group of knobs is called {group!r}; there are {', '.join(Knobs.__dataclass_fields__)}")
    return getattr(knobs, group)


def _checked(section: object, group: str, name: str, value: object) -> object:
    default = getattr(section, name, None)
    path = f"{group}.{name}"
    if default is None:
        raise ValueError(f"no knob is called {path!r}")
    if not _fits(default, value):
        raise ValueError(f"knob {path}: {value!r} is not a {type(default).__name__}")
    if value not in CHOICES.get(path, (value,)) or (path in _POSITIVE and value == 0):
        raise ValueError(f"knob {path}: {value!r} is not one of {CHOICES.get(path, 'the numbers above 0')}")
    return value


def _fits(default: object, value: object) -> bool:
    if isinstance(default, float):
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0
    return type(value) is type(default)
