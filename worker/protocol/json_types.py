"""PURE: what JSON Schema says of the values in commands. Patterns are in the syntax that ECMA-262 and Python share."""

from __future__ import annotations

from typing import Any, Final

Schema = dict[str, Any]

CONTROL: Final = r"[\u0000-\u001f\u007f-\u009f\ud800-\udfff]"
"""Control characters and halves of surrogate pairs."""
UNPRINTABLE: Final = (
    r"[\u0000-\u001f\u007f-\u00a0\u00ad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u1680\u180e"
    r"\u2000-\u200f\u2028-\u202f\u205f-\u206f\u3000\ud800-\uf8ff\ufeff\ufff9-\ufffb\ufffe\uffff]"
)
"""Control, format and private characters and all spaces but the usual one, as far as the basic plane has them."""
_LEAP: Final = r"([0-9][0-9](0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)"
_DATE: Final = (
    r"(([0-9]{4}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)"
    r"|02-(0[1-9]|1[0-9]|2[0-8])))|" + _LEAP + r"-02-29)"
)
_HOUR: Final = r"([01][0-9]|2[0-3]):[0-5][0-9]"
MOMENT: Final[Schema] = {
    "type": "string",
    "format": "date-time",
    "pattern": rf"^(?!0000){_DATE}[Tt ]{_HOUR}:[0-5][0-9](\.[0-9]+)?([Zz]|[+-]{_HOUR})(?!\n)$",
}
"""RFC 3339, with a space in place of the T as it allows; no leap second."""


def clean(limit: int, at_least: int = 0) -> Schema:
    """Describe a text without control characters."""
    shortest = {"minLength": at_least} if at_least else {}
    return {"type": "string", **shortest, "maxLength": limit, "not": {"pattern": CONTROL}}


def job_id(limit: int) -> Schema:
    """Describe a backend's own id: a whole number is as good as its digits."""
    text = {"type": "string", "minLength": 1, "maxLength": limit}
    unfit = [{"pattern": UNPRINTABLE}, {"enum": [".", ".."]}]
    return {"anyOf": [{"type": "integer"}, {**text, "not": {"anyOf": unfit}}]}
