"""Wire shapes: the `Command` that comes in and the `Event` that goes out. `canceller guide` names every field."""

from __future__ import annotations

import hashlib
import json
import re
import sys
import unicodedata
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from math import isfinite
from typing import Annotated, Any, Literal, TypedDict, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StringConstraints,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
)

from ..domain.errors import InvalidCommand
from . import json_types
from .problem_words import problems

SUBMIT_LIMIT = 1000
TEN_YEARS = 10 * 365 * 86400
EXACT = 2**53
"""Up to here every whole number is exact as a floating-point number."""
RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:[0-5]\d)", re.ASCII)
LINES = frozenset("\n\r\t")
NUMBER = "a number"
JSON_NAMES = {type(None): "null", bool: "a boolean", int: NUMBER, float: NUMBER, str: "a string", list: "a list"}
ESCAPES = re.compile(r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[ -/]*[0-~]")
"""What terminals act on instead of showing it: colours, titles, links."""

T = TypeVar("T")


def _job_id(value: object) -> object:
    """Turn a whole number, also one that was written as 1.0, into its digits if none can be lost."""
    if isinstance(value, float) and value.is_integer() and abs(value) <= EXACT:
        return str(int(value))
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _printable(value: str) -> str:
    if not value.isprintable():
        raise ValueError("holds a character that can't be printed")
    return value


def _no_dots(value: str) -> str:
    if value in {".", ".."}:
        raise ValueError("'.' and '..' are not job ids: a URL would drop them")
    return value


def _no_control(value: str) -> str:
    if not value.isprintable() and any(unicodedata.category(char) in {"Cc", "Cs"} for char in value):
        raise ValueError("holds a control character or half of a surrogate pair")
    return value


def _tidied(value: T) -> T | str:
    """Remove what can't be shown, such as terminal colours, from a comment, which is no reason to reject a command."""
    if not isinstance(value, str) or value.isprintable():
        return value
    return "".join(map(_shown, ESCAPES.sub("", value)))


def order_texts(by: str, reason: str) -> tuple[str, str]:
    """Return who gives an order and why, as both are kept."""
    by, reason = (text.encode("utf-8", "replace").decode() for text in (by, reason))
    return _tidied(by)[:128], _tidied(reason)[:1000]


def _shown(char: str) -> str:
    category = unicodedata.category(char)
    if category == "Cs":
        return "\ufffd"
    return "" if category == "Cc" and char not in LINES else char


def _label(value: object) -> object:
    """Turn a number or a boolean into its text, as JSON writes it."""
    if isinstance(value, bool | int) or (isinstance(value, float) and isfinite(value)):
        return json.dumps(value)
    return _tidied(value)


def _header(value: str) -> str:
    if not all("!" <= char <= "~" for char in value):
        raise ValueError("holds a character that no HTTP header may carry")
    return value


def _number(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("is not a number of seconds")  # noqa: TRY004 - pydantic wants a ValueError
    return value


def _moment(value: object) -> datetime:
    try:
        found = value
        if isinstance(value, str) and RFC_3339.fullmatch(value):
            found = datetime.fromisoformat(value.upper())
        if isinstance(found, datetime) and found.tzinfo is not None:
            return found.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise ValueError("is not an RFC 3339 time with a zone, such as 2026-11-22T10:00:00Z")


def _readable_time(value: str) -> str:
    datetime.fromisoformat(value)
    return value


def _clean(limit: int, at_least: int = 0) -> tuple[Any, ...]:
    constraints = StringConstraints(min_length=at_least, max_length=limit)
    return constraints, AfterValidator(_no_control), WithJsonSchema(json_types.clean(limit, at_least))


Name = Annotated[str, *_clean(64, 1)]
Id = Annotated[str, *_clean(128, 1)]
Short = Annotated[str, *_clean(128)]
Label = Annotated[
    str,
    BeforeValidator(_label),
    StringConstraints(max_length=256),
    WithJsonSchema({"type": ["string", "number", "boolean"], "maxLength": 256}),
]
Param = Annotated[str, *_clean(512)]
Reason = Annotated[str, BeforeValidator(_tidied), StringConstraints(max_length=1000)]
Token = Annotated[str, *_clean(8192)]
Trace = Annotated[
    str,
    *_clean(128),
    AfterValidator(_header),
    WithJsonSchema({"type": "string", "maxLength": 128, "not": {"pattern": "[^!-~]"}}),
]
JobId = Annotated[
    str,
    BeforeValidator(_job_id),
    StringConstraints(min_length=1, max_length=512),
    AfterValidator(_printable),
    AfterValidator(_no_dots),
    WithJsonSchema(json_types.job_id(512)),
]
CHILD: TypeAdapter[str] = TypeAdapter(JobId, config=ConfigDict(hide_input_in_errors=True))
Wait = Annotated[
    float,
    BeforeValidator(_number),
    Field(ge=0, le=TEN_YEARS, allow_inf_nan=False),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": TEN_YEARS}),
]
Limit = Annotated[
    float,
    BeforeValidator(_number),
    Field(gt=0, allow_inf_nan=False),
    WithJsonSchema({"type": "number", "exclusiveMinimum": 0, "maximum": sys.float_info.max}),
]
Moment = Annotated[datetime, BeforeValidator(_moment), WithJsonSchema(json_types.MOMENT)]
State = Annotated[str, *_clean(300, 1)]
HOLD_TIME: TypeAdapter[float] = TypeAdapter(
    Annotated[
        float,
        BeforeValidator(_number),
        Field(gt=0, le=TEN_YEARS, allow_inf_nan=False),
        WithJsonSchema({"type": "number", "exclusiveMinimum": 0, "maximum": TEN_YEARS}),
    ],
    config=ConfigDict(hide_input_in_errors=True),
)


SORTED = json.JSONEncoder(sort_keys=True, default=str)


class Expectation(BaseModel):
    """The state in which a job must be to be touched, in the backend's own words."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    raw_state: State


class Command(BaseModel):
    """One producer's wish that a job be stopped, or stopped and its record removed."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    verb: Literal["cancel", "delete"]
    backend: Name
    job_id: JobId
    command_id: Id | None = None
    reason: Reason | None = None
    requested_by: Short | None = None
    force: Literal["auto", "attested", "never"] | None = None
    force_after: Wait | None = None
    give_up_after: Limit | None = None
    remote_stopped: StrictBool = False
    lane: Literal["interactive", "batch"] = "interactive"
    batch_id: Short | None = None
    labels: Annotated[dict[Name, Label], Field(max_length=16, default_factory=dict)]
    params: Annotated[dict[Name, Param], Field(max_length=32, default_factory=dict)]
    not_before: Moment | None = None
    dry_run: StrictBool = False
    expect: Expectation | None = None
    reply_to: Annotated[tuple[Name, ...], Field(max_length=16)] | None = None
    traceparent: Trace | None = None
    token: Token | None = Field(default=None, repr=False)

    @property
    def digest(self) -> str:
        """Identify the content: the same command id with another digest is another command.

        A command without newer fields has the digest that older versions give it.
        """
        left_out = {"command_id", "traceparent", "token"} | (set() if self.dry_run else {"dry_run"})
        content = self.model_dump(exclude=left_out, exclude_none=True)
        return hashlib.sha256(SORTED.encode(content).encode()).hexdigest()[:16]


class ExpectedState(TypedDict):
    """The state in which a job must be to be touched, for type checkers."""

    raw_state: str


class CommandFields(TypedDict, total=False):
    """The fields of a command besides its verb, backend and job id, for type checkers; None is as good as absent."""

    command_id: str | None
    reason: str | None
    requested_by: str | None
    force: Literal["auto", "attested", "never"] | None
    force_after: float | None
    give_up_after: float | None
    remote_stopped: bool | None
    lane: Literal["interactive", "batch"] | None
    not_before: datetime | str | None
    dry_run: bool | None
    expect: ExpectedState | None
    reply_to: Sequence[str] | None
    batch_id: str | None
    labels: Mapping[str, str] | None
    params: Mapping[str, str] | None
    traceparent: str | None
    token: str | None


class Event(BaseModel):
    """One CloudEvents 1.0 event, as a consumer reads it. Unknown attributes are kept."""

    model_config = ConfigDict(extra="allow", frozen=True)

    id: str
    source: str
    type: Annotated[str, StringConstraints(pattern=r"^[^.]+(\.[^.]+)*\.[^.]+\.v[0-9]+$")]
    time: Annotated[str, AfterValidator(_readable_time)]
    subject: str | None = None
    backend: str | None = None
    cancellationid: str | None = None
    outcome: str | None = None
    sequence: str | None = None
    sequencetype: str | None = None
    traceparent: str | None = None
    data: dict[str, Any]

    @property
    def name(self) -> str:
        """The middle word of the type, e.g. `finished`."""
        return self.type.split(".")[-2]

    @property
    def command_ids(self) -> list[str]:
        """The ids of the commands that this event is about."""
        ids = self.data.get("command_ids") or [self.data.get("command_id") or ""]
        return [str(one) for one in ids] if isinstance(ids, list) else []


def parse_command(content: object) -> Command:
    """Read one command; a field that is null counts as absent.

    Raises:
        InvalidCommand: the text names every field that is wrong, never a value.

    """
    if not isinstance(content, Mapping):
        raise InvalidCommand(f"a command is a JSON object, this is {JSON_NAMES.get(type(content), 'something else')}")
    try:
        return Command.model_validate({name: value for name, value in content.items() if value is not None})
    except ValidationError as error:
        raise InvalidCommand(problems(error, known=Command.model_fields)) from None
    except RecursionError:
        raise InvalidCommand("the command is nested too deeply") from None


def parse_hold_time(value: object) -> float:
    """Read for how many seconds a hold lasts.

    Raises:
        InvalidCommand: the text says why it is no such number.

    """
    try:
        return HOLD_TIME.validate_python(value)
    except ValidationError as error:
        raise InvalidCommand(problems(error, "for")) from None


def parse_child(value: object) -> str:
    """Read the job id of a child.

    Raises:
        InvalidCommand: the text says why it is none.

    """
    try:
        return CHILD.validate_python(value)
    except ValidationError as error:
        raise InvalidCommand(problems(error, "child")) from None


def with_eta(content: Mapping[str, Any], eta: datetime | str | None) -> Mapping[str, Any]:
    """Return a command whose `not_before` is the later one of its own and its message's `eta`.

    If it is sent again without that message, it must not act sooner. A value that can't be read as a time is kept as
    the `not_before`.
    """
    times = []
    for one in (content.get("not_before"), eta) if eta is not None else ():
        try:
            times += [_moment(one)] if one is not None else []
        except ValueError:
            return {**content, "not_before": one}
    return {**content, "not_before": max(times).isoformat()} if times else content
