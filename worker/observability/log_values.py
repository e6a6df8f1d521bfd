"""Turns the values in log lines into what JSON can carry, rather than into Python's own notation."""

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime, timedelta
from enum import Enum
from typing import Any

import msgspec


def plain(value: object) -> Any:
    """Return a value as JSON can carry it. What is inside a mapping or a list is left to the caller."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, Mapping):
        return {str(plain(key)): item for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return list(value)
    if is_dataclass(value) and not isinstance(value, type | BaseException):
        return {one.name: getattr(value, one.name) for one in fields(value) if one.repr}
    if isinstance(value, msgspec.Struct):
        return {name: getattr(value, name) for name in value.__struct_fields__}
    return _single(value)


def _single(value: object) -> float | str:
    """Write a value that holds no others."""
    match value:
        case datetime():
            return value.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"
        case date():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case bytes():
            return value.decode("utf-8", "backslashreplace")
        case BaseException():
            return f"{type(value).__name__}: {value}" if str(value) else type(value).__name__
        case _:
            return str(value)
