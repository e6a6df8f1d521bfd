"""pydantic's errors, in the terms of the person who wrote the configuration.

Only keys and rules are ever quoted, never a value: a value may be a misplaced secret.
"""

import difflib
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from .errors import texts_of

_TEXTS: Final[Mapping[str, str]] = {
    "missing": "is required and missing: add it",
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be {ge} or more",
    "less_than_equal": "must be {le} or less",
    "finite_number": "must be a finite number",
    "literal_error": "must be {expected}",
    "union_tag_invalid": "must have {discriminator} = one of {expected_tags}",
    "union_tag_not_found": "must be a table with the key {discriminator}",
    "int_type": "must be a whole number, without quotes",
    "int_from_float": "must be a whole number",
    "int_parsing": "must be a whole number",
    "float_type": "must be a number, without quotes",
    "bool_type": "must be true or false, without quotes",
    "string_type": "must be text in quotes",
    "string_too_short": "must not be empty",
    "model_type": "must be a table, such as {{ key = value }}",
    "model_attributes_type": "must be a table, such as {{ key = value }}",
    "dict_type": "must be a table",
    "frozen_set_type": "must be a list, in [ ]",
    "list_type": "must be a list, in [ ]",
    "tuple_type": "must be a list, in [ ]",
}


def problems_of(
    error: ValidationError,
    place: Callable[[tuple[int | str, ...]], str],
    unknown_key: Callable[[tuple[int | str, ...]], str] | None = None,
) -> list[str]:
    """Turn each error into one text: its place, what is wrong, how to fix it.

    Args:
        error: What pydantic found.
        place: Names the place of an error from pydantic's location.
        unknown_key: Explains a key that does not exist, from its location.

    """
    return [
        f"{place(details['loc'])}: {text}"
        for details in error.errors(include_url=False, include_input=False)
        for text in _explain(details, unknown_key)
    ]


def place_in(header: str, location: tuple[int | str, ...]) -> str:
    """Name a place in a table of the file from pydantic's location, such as `[backends.ess] poll.max`."""
    parts = (f"[{part}]" if isinstance(part, int) else f".{part}" for part in location)
    return f"{header} {''.join(parts).removeprefix('.')}"


def _explain(
    details: ErrorDetails,
    unknown_key: Callable[[tuple[int | str, ...]], str] | None,
) -> tuple[str, ...]:
    context = details.get("ctx", {})
    if details["type"] == "value_error":
        return texts_of(context["error"])
    if details["type"] == "extra_forbidden" and unknown_key is not None:
        return (unknown_key(details["loc"]),)
    text = _TEXTS.get(details["type"])
    if text is None:
        return (details["msg"],)
    if details["type"] == "union_tag_invalid":
        text += suggestion(str(context["tag"]), context["expected_tags"].replace("'", "").split(", "))
    rules = {name: f"{rule:g}" if isinstance(rule, float) else rule for name, rule in context.items()}
    return (text.format(**rules),)


def choices(names: Iterable[str]) -> str:
    """List names for a person: `a, b or c`."""
    *first, last = names
    return f"{', '.join(first)} or {last}" if first else last


def suggestion(word: str, known: Iterable[str]) -> str:
    """Name the closest known word, as the end of a sentence; empty when none is close."""
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""
