"""Operators' actions as forms, sent through the client like those of the command line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct, field

from ..client import AsyncClient, InvalidCommand
from ..settings.quantities import seconds

LIMITS: Mapping[str, int] = {"by": 128, "reason": 1000}


class Problem(Exception):
    """A form can't be sent in the way it is filled in; the text says why."""


class Form(Struct, frozen=True):
    """What the page says about an action: its button, its effect, and the label and hint of its extra field, if any.

    `kind` is the type of that extra field.
    """

    button: str
    meaning: str
    extra: str = ""
    label: str = ""
    hint: str = ""
    kind: str = "text"


class Given(Struct, frozen=True):
    """An action as somebody gives it."""

    action: str
    by: str
    reason: str
    more: Mapping[str, Any] = field(default_factory=dict)


FORMS: Mapping[str, Form] = {
    "attest": Form(
        "Attest",
        "You give your word that the remote process of the job has stopped. "
        "A force gate that waits for that opens, and the job may be forced.",
        "child",
        "Only this child",
        "the id of one child of the job; leave it empty for the whole family",
    ),
    "hold": Form(
        "Hold",
        "Nothing is sent that changes the job until it is released. It is still looked at.",
        "for",
        "For",
        "such as 30m or 2h; leave it empty to hold until somebody releases it",
    ),
    "release": Form("Release", "A hold ends, and the cancellation goes on at once."),
    "abort": Form("Abort", "The cancellation is withdrawn: nothing more is sent, and the job is left as it is."),
}
"""The actions that pages offer, in their order."""


def given(form: Form, action: str, fields: Mapping[str, str]) -> Given:
    """Read a filled-in form.

    Raises:
        Problem: who, why, or the time of a hold is missing or wrong.

    """
    texts = {name: fields.get(name, "").strip() for name in LIMITS}
    for name, text in texts.items():
        if not text:
            raise Problem("Say who you are: it is kept." if name == "by" else "Say why: it is kept.")
        if len(text) > LIMITS[name]:
            raise Problem(f"This is too long: {LIMITS[name]} characters at most.")
    extra = fields.get(form.extra, "").strip() if form.extra else ""
    return Given(action, texts["by"], texts["reason"], FIELDS[form.extra](extra) if extra else {})


def _hold_time(text: str) -> Mapping[str, Any]:
    try:
        return {"seconds": seconds(text)}
    except ValueError as error:
        raise Problem(f"For: {text!r} {error}") from None


FIELDS: Mapping[str, Callable[[str], Mapping[str, Any]]] = {
    "child": lambda text: {"child": text},
    "for": _hold_time,
    "hold": lambda _: {"hold": True},
}
"""The client's arguments for the extra fields of forms."""


async def send(client: AsyncClient, cancellation_id: str, one: Given) -> str:
    """Send an action; return the order's id, by which a rejection can be found.

    Raises:
        Problem: the client does not send it; the text says why.

    """
    try:
        order: str = await getattr(client, one.action)(cancellation_id, by=one.by, reason=one.reason, **one.more)
    except InvalidCommand as error:
        raise Problem(str(error)) from None
    return order
