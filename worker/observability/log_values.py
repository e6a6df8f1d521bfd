"""What JSON has for the values that log lines hold: never Python's own way of writing them."""

import math
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from typing import Any, Final

import msgspec


def plain(value: object) -> Any:
    """Return a value as JSON can carry it. What is inside a mapping or a list is left to the caller."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    for kind, written in _WRITTEN.items():
        if isinstance(value, kind):
            return written(value)
    if isinstance(value, Mapping):
        return {str(plain(key)): item for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return list(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: getattr(value, one.name) for one in fields(value) if one.repr}
    if isinstance(value, msgspec.Struct):
        return {name: getattr(value, name) for name in value.__struct_fields__}
    return str(value)


def _moment(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def _error(value: BaseException) -> str:
    return f"{type(value).__name__}: {value}" if str(value) else type(value).__name__


_WRITTEN: Final[dict[type, Callable[[Any], Any]]] = {
    Enum: lambda value: plain(value.value),
    str: str,
    datetime: _moment,
    date: date.isoformat,
    timedelta: timedelta.total_seconds,
    bytes: lambda value: value.decode("utf-8", "backslashreplace"),
    BaseException: _error,
}
