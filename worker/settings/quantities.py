"""Amounts as people write them, as numbers: durations in seconds, sizes in bytes."""

import math
import re
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

_SECONDS: Final = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
"""The units of durations, in the order in which a text may combine them."""
_BYTES: Final = {
    "B": 1, "KB": 1000, "MB": 1000**2, "GB": 1000**3,
    "KIB": 1024, "MIB": 1024**2, "GIB": 1024**3, "": 1,
}  # fmt: skip
_BYTES_ANY_CASE: Final = {"[kK]([iI])?[bB]": 1, "[mM]([iI])?[bB]": 1, "[gG]([iI])?[bB]": 1, "[bB]": 1}
"""The units of sizes as patterns."""
_NUMBER: Final = r"[0-9]+(?:\.[0-9]+)?"
_AMOUNT: Final = re.compile(rf"({_NUMBER})\s*([A-Za-z]*)")
_DURATION: Final = r"(?=[0-9])" + "".join(rf"(?:{_NUMBER}\s*{unit}\s*)?" for unit in _SECONDS)
"""One or more numbers with units, such as `1h30m`."""

_NO_DURATION: Final = "is not a duration"
_NO_SIZE: Final = "is not a size"
_DURATIONS: Final = (
    ": write numbers with the units d, h, m, s or ms, such as "
    '"250ms", "2s", "30m", "1h30m", "24h" or "7d", or a number of seconds; not negative, not infinite'
)
_SIZES: Final = ': write a whole number of bytes, or text such as "512KB" or "1MB"'
EXPLANATIONS: Final = (_DURATIONS, _SIZES)
"""How a duration and a size are written: the ends of error texts, each of which a list of mistakes needs only once."""


def seconds(value: object) -> float:
    """Read a duration as seconds.

    Args:
        value: Text with units (`250ms`, `2s`, `30m`, `1h30m`, `24h`, `7d`), or a number of seconds
            (a number or its text, since environment variables are always text).

    Raises:
        ValueError: It is no duration, negative, not finite, or a bool.

    """
    if isinstance(value, str) and re.fullmatch(_DURATION, value.strip()):
        # Divided, not multiplied: 0.001 has no exact float, and 250 * 0.001 shows it.
        number: float | None = sum(
            float(one) / 1000 if unit == "ms" else float(one) * _SECONDS[unit]
            for one, unit in re.findall(rf"({_NUMBER})\s*([a-z]+)", value)
        )
    else:
        number = _amount(value, {"": 1.0})
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
    return float(match[1]) * units[match[2]]


def _number(value: float) -> float | None:
    try:
        return float(value)
    except OverflowError:
        return None


SHORTEST, LONGEST = 1.0, 366 * 86400.0
"""The bounds of a retention in seconds: Redis counts whole seconds, and searches every week for a command's id."""


def _bounded(value: float) -> float:
    if not SHORTEST <= value <= LONGEST:
        raise ValueError(f"must be from {SHORTEST:g} s to {LONGEST / 86400:g} days")
    return value


def _written(pattern: str, **number: Any) -> WithJsonSchema:
    """Describe an amount: a number, or text of this pattern."""
    text = {"type": "string", "pattern": rf"^\s*({pattern})\s*$"}
    return WithJsonSchema({"anyOf": [{"type": "number", **number}, text]})


_DURATION_TEXT: Final = rf"{_NUMBER}|{_DURATION}"
_SIZE_TEXT: Final = rf"{_NUMBER}\s*({'|'.join(_BYTES_ANY_CASE)})?"

Duration = Annotated[float, BeforeValidator(seconds), _written(_DURATION_TEXT, minimum=0)]
"""Seconds, zero allowed; in text as `seconds` reads it."""

PositiveDuration = Annotated[float, Field(gt=0), BeforeValidator(seconds), _written(_DURATION_TEXT, exclusiveMinimum=0)]
"""Seconds, more than zero."""

Retention = Annotated[float, AfterValidator(_bounded), BeforeValidator(seconds)]
"""Seconds, from `SHORTEST` to `LONGEST`."""

Size = Annotated[int, Field(ge=1), BeforeValidator(size), _written(_SIZE_TEXT, minimum=1)]
"""Bytes, at least one; in text as `size` reads it."""
