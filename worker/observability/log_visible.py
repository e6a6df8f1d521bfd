"""Log events as a terminal may show them: one line each, and below it a traceback, indented."""

from collections.abc import Mapping
from typing import Any, Final

from .visible import visible

_OF_SEVERAL_LINES: Final = ("exception", "stack")


def visible_event(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return an event with nothing in it that a terminal acts on or hides."""
    shown = {}
    for key, value in event.items():
        if isinstance(value, str) and key in _OF_SEVERAL_LINES:
            # Each line indented: an exception's text of several lines can't pass for an event of its own.
            shown[visible(key)] = "\n".join(f"  {visible(line)}" for line in value.split("\n"))
        elif isinstance(value, str) and (key == "event" or visible(value) == value):
            shown[visible(key)] = visible(value)
        else:
            shown[visible(key)] = _Written(visible(repr(value)))
    return shown


class _Written(str):
    """A text that is its own `repr`: another one would double the backslashes."""

    __slots__ = ()
    __repr__ = str.__str__
