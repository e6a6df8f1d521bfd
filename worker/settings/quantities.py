"""Amounts as people write them, as numbers: durations in seconds, sizes in bytes."""

import math
import re
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "": 1.0}
_BYTES: Final = {
    "B": 1, "KB": 1000, "MB": 1000**2, "GB": 1000**3,
    "KIB": 1024, "MIB": 1024**2, "GIB": 1024**3, "": 1,
}  # fmt: skip
_BYTES_ANY_CASE: Final = {"[kK]([iI])?[bB]": 1, "[mM]([iI])?[bB]": 1, "[gG]([iI])?[bB]": 1, "[bB]": 1}
"""The units of sizes as patterns."""
_AMOUNT: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)\s*([A-Za-z]*)")

_NO_DURATION: Final = "is not a duration"
_NO_SIZE: Final = "is not a size"
_DURATIONS: Final = (
    ": write a number with the unit ms, s, m, h or d, such as "
    '"250ms", "2s", "30m", "24h" or "7d", or a number of seconds; not negative, not infinite'
)
_SIZES: Final = ': write a whole number of bytes, or text such as "512KB" or "1MB"'
EXPLANATIONS: Final = (_DURATIONS, _SIZES)
"""How a duration and a size are written: the ends of error texts, of which a list of mistakes needs only the first."""


def seconds(value: object) -> float:
    """Read a duration as seconds.

    Args:
        value: Text with a unit (`250ms`, `2s`, `30m`, `24h`, `7d`), or a number of seconds
            (a number or its text, since environment variables are always text).

    Raises:
        ValueError: It is no duration, negative, not finite, or a bool.

    """
    number = _amount(value, _SECONDS)
    if number is None or not math.isfinite(number) or number < 0:
        raise ValueError(_NO_DURATION + _DURATIONS)
    return number


def size(value: object) -> int:
    """Read a size as bytes; `KB`, `MB`, `GB` count by 1000, `KiB`, `MiB`, `GiB` by 1024.

    Raises:
        ValueError: It is no size, negative, not a whole number of bytes, or a bool.

    """
    scaled = _amount(value.upper() if isinstance(value, str) else value, _BYTES)
    if scaled is None or not math.isfinite(scaled) or scaled < 0 or scaled != int(scaled):
        raise ValueError(_NO_SIZE + _SIZES)
    return int(scaled)


def _amount(value: object, units: dict[str, float] | dict[str, int]) -> float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return _number(value)
    match = _AMOUNT.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None or match[2] not in units:
        return None
    # Divided, not multiplied: 0.001 has no exact float, and 250 * 0.001 shows it.
    return float(match[1]) / 1000 if match[2] == "ms" else float(match[1]) * units[match[2]]


def _number(value: float) -> float | None:
    try:
        return float(value)
    except OverflowError:
        return None


SHORTEST, LONGEST = 1.0, 366 * 86400.0
"""Seconds that something may be kept for: Redis counts whole seconds, and looks through the weeks of a command's id."""


def _bounded(value: float) -> float:
    if not SHORTEST <= value <= LONGEST:
        raise ValueError(f"must be from {SHORTEST:g} s to {LONGEST / 86400:g} days")
    return value


def _written(units: dict[str, Any], **number: Any) -> WithJsonSchema:
    """Describe an amount: a number, or text with one of these units."""
    names = "|".join(unit for unit in units if unit)
    pattern = rf"^\s*[0-9]+(\.[0-9]+)?\s*({names})?\s*$"
    return WithJsonSchema({"anyOf": [{"type": "number", **number}, {"type": "string", "pattern": pattern}]})


Duration = Annotated[float, BeforeValidator(seconds), _written(_SECONDS, minimum=0)]
"""Seconds, zero allowed; in text as `seconds` reads it."""

PositiveDuration = Annotated[float, Field(gt=0), BeforeValidator(seconds), _written(_SECONDS, exclusiveMinimum=0)]
"""Seconds, more than zero."""

Retention = Annotated[float, AfterValidator(_bounded), BeforeValidator(seconds)]
"""Seconds, from `SHORTEST` to `LONGEST`."""

Size = Annotated[int, Field(ge=1), BeforeValidator(size), _written(_BYTES_ANY_CASE, minimum=1)]
"""Bytes, at least one; in text as `size` reads it."""
