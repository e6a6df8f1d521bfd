"""A job's scripted life: what it does by itself and how it takes a cancel. Values only."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Life:
    """One script. Durations in simulated seconds; words are general (`succeeded`, `failed`) or the system's own."""

    state: str = ""
    """The state at the start; the system's running state when empty."""
    starts_after: float | None = None
    """When a job that waits at the start begins to run."""
    ends_after: float | None = None
    """When it ends by itself, counted from its creation; None for never."""
    ends_as: str = "succeeded"
    """What it ends as by itself."""
    cancels_after: float | None = None
    """How long an accepted cancel takes; None for the system's own delay."""
    stuck: bool = False
    """An accepted cancel never completes by itself."""
    race: str = ""
    """What the job ends as after an accepted cancel, in place of cancelled."""
    checks_in_every: float = 0.0
    """While cancelling, the job checks in at this interval and so resets the force clock (SEED S3)."""
    check_ins: int | None = None
    """How many check-ins before it falls silent; None for check-ins without end."""
    falls_back_after: float | None = None
    """The cancel fails after this long and the job runs on (SRC H3)."""
    fall_backs: int | None = None
    """How many cancels fail that way; None for all."""
    killed_after: float | None = None
    """How long after falling back the job dies of the cancel after all."""
    absent: bool = False
    """Unknown to its system, yet its requests are logged."""
    forbidden: bool = False
    """Calls that change the job are refused for lack of rights; reads work."""
    protected: bool = False
    """Sahara's is_protected flag."""
    sync: bool = False
    """ESS: isAsynchronous is false, so that force is never allowed."""


PRESETS: dict[str, dict[str, Any]] = {
    "runs": {},
    "stuck": {"stuck": True},
    "finished": {"state": "succeeded"},
    "failed": {"state": "failed"},
    "succeeds": {"ends_after": 60.0},
    "waits": {"state": "waiting"},
    "race": {"race": "succeeded"},
    "checks_in": {"stuck": True, "checks_in_every": 600.0},
    "falls_back": {"falls_back_after": 300.0},
    "absent": {"absent": True},
    "forbidden": {"forbidden": True},
    "protected": {"protected": True},
    "sync": {"stuck": True, "sync": True},
}
"""Preset lives by name; fields that are given besides the name take precedence."""

_SUGAR = {"succeeds_after": "succeeded", "fails_after": "failed"}
_WORDS = {"state", "ends_as", "race"}
_FLAGS = {"stuck", "absent", "forbidden", "protected", "sync"}
_COUNTS = {"check_ins", "fall_backs"}
FIELDS = tuple(field.name for field in dataclasses.fields(Life)) + tuple(_SUGAR)


def life_from(preset: str, script: Mapping[str, Any]) -> Life:
    """Build a life from a preset's name and single fields; `succeeds_after` and `fails_after` are short forms.

    Raises:
        ValueError: An unknown preset or field, or a value that does not fit.

    """
    if preset not in PRESETS:
        raise ValueError(f"no life is called {preset!r}; there are {', '.join(PRESETS)}")
    settings = dict(PRESETS[preset])
    for key, value in script.items():
        settings.update(_setting(key, value))
    return Life(**settings)


def _setting(key: str, value: object) -> dict[str, object]:
    if key not in FIELDS:
        raise ValueError(f"a life has no field {key!r}; it has {', '.join(FIELDS)}")
    if not _fits(key, value):
        raise ValueError(f"{key}: {value!r} does not fit")
    if key in _SUGAR:
        return {"ends_after": value, "ends_as": _SUGAR[key]}
    return {key: value}


def _fits(key: str, value: object) -> bool:
    if key in _WORDS:
        return isinstance(value, str)
    if key in _FLAGS:
        return isinstance(value, bool)
    if value is None:
        return key != "checks_in_every"
    if key in _COUNTS:
        return isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0
