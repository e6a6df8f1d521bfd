"""PURE: what is wrong with a message, in its sender's terms: names and rules, never a value."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

PROBLEM_LIMIT: Final = 1000
NAME_LIMIT: Final = 64
"""Characters of a name that are quoted, so that there is room for further problems."""
KEY: Final = "[key]"
"""How pydantic marks that the name of an entry is wrong, not its value."""

TEXTS: Final[Mapping[str, str]] = {
    "missing": "is required but missing",
    "literal_error": "must be {expected}",
    "string_type": "must be a string",
    "string_too_short": "must not be empty",
    "string_too_long": "has more than {max_length} characters",
    "too_short": "must not be empty",
    "bool_type": "must be true or false",
    "int_type": "must be a whole number",
    "int_from_float": "must be a whole number",
    "int_parsing_size": "must be a smaller whole number",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be {ge} or more",
    "less_than_equal": "must be {le} or less",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "list_type": "must be a list",
    "tuple_type": "must be a list",
}
"""By pydantic's names."""
TEXT: Final = "Value"
"""What pydantic calls a text that one of our own readers has read."""


def problems(error: ValidationError, whole: str = "command", known: Iterable[str] = ()) -> str:
    """Write a validation error as one line for a person.

    `whole` is the subject of a problem that no field has, `known` are the names of the fields that exist.
    """
    told, length = [], 0
    for details in error.errors(include_input=False, include_url=False):
        told.append(f"{_place(details, whole)}: {_text(details, known)}")
        length += len(told[-1]) + 2
        if length > PROBLEM_LIMIT:
            break
    return "; ".join(told)[:PROBLEM_LIMIT]


def _place(details: ErrorDetails, whole: str) -> str:
    parts = [str(part)[:NAME_LIMIT] for part in details["loc"]]
    if parts[-1:] == [KEY]:
        return f"a name in {'.'.join(parts[:-2])}"
    return ".".join(parts) or whole


def _text(details: ErrorDetails, known: Iterable[str]) -> str:
    kind, rules = details["type"], details.get("ctx", {})
    if kind == "extra_forbidden":
        close = get_close_matches(str(details["loc"][-1])[:NAME_LIMIT], list(known), n=1)
        return "is not a known field" + (f"; did you mean {close[0]}?" if close else "")
    if kind == "too_long":
        return f"has more than {rules['max_length']} {'characters' if rules['field_type'] == TEXT else 'entries'}"
    if kind in TEXTS:
        return TEXTS[kind].format(**rules)
    return details["msg"].removeprefix("Value error, ")
