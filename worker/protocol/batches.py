"""PURE: batches as they cross the wire: their parts, the orders about them, their state and their results.

A batch is sent in parts of up to 1,000 commands, each a `worker.batch` message; part 1 has the options.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from functools import cached_property
from typing import Annotated, Any, Final, Literal, TypedDict

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StrictBool, StrictInt, ValidationError

from ..domain.errors import InvalidCommand
from .messages import SORTED, Id, Token, order_texts
from .operator_actions import ACTIONS
from .problem_words import problems

PART_LIMIT: Final = 1000
"""The most commands of one part."""
PARTS_LIMIT: Final = 10_000
DEEPEST: Final = 100
"""How many levels of lists and objects a command may nest; a deeper one might not be writable or readable."""
TOO_DEEP: Final = "a command that was nested too deeply"
"""What stands in the place of such a command, and is rejected."""
OPEN_LIMIT: Final = 1_000_000
RATE_LIMIT: Final = 1_000_000
MOST_BACKENDS: Final = 100
"""The most names of backends that are kept of a batch; if it has this many, it may have more."""
USUAL_OPEN: Final = 1000
"""How many members may be open at once if a batch does not say."""
WINDOW: Final = 100
"""The share of failures is counted among this many of the latest ends."""
ENOUGH: Final = 20
"""The share of failures is judged from this many ends on."""
EMPTY: Final = "commands: nothing is selected, and a batch can't be empty"


SHARE_TEXT: Final = r"(?=.*[1-9])((100(\.0+)?|[0-9]{1,2}(\.[0-9]+)?)%|0?\.[0-9]+|1(\.0+)?)"
"""What the published schema takes for a share as text: `10%` or `0.1`."""


class BatchState(StrEnum):
    """What a batch does. `RECEIVING` is before all parts are there; `INCOMPLETE` is its end if they never came."""

    RECEIVING = "receiving"
    RUNNING = "running"
    PAUSED = "paused"
    ABORTING = "aborting"
    FINISHED = "finished"
    INCOMPLETE = "incomplete"

    @property
    def final(self) -> bool:
        """Whether nothing happens in it any more."""
        return self in {BatchState.FINISHED, BatchState.INCOMPLETE}


def _share(value: object) -> object:
    """Read a share: a number up to 1, or a text with a percent sign."""
    if isinstance(value, str):
        text = value.strip()
        try:
            value = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
        except ValueError:
            value = None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("is not a share such as '10%' or 0.1")  # noqa: TRY004 - pydantic wants a ValueError
    return value


def _positive(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("is not a number")  # noqa: TRY004 - pydantic wants a ValueError
    return value


def _whole(value: object) -> object:
    """Take 1.0 for 1, as JSON Schema does."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Count = Annotated[StrictInt, BeforeValidator(_whole)]
Share = Annotated[float, BeforeValidator(_share), Field(gt=0, le=1, allow_inf_nan=False)]
Rate = Annotated[float, BeforeValidator(_positive), Field(gt=0, le=RATE_LIMIT, allow_inf_nan=False)]
OnChanged = Literal["skip", "apply"]
"""What is done to a job that is not in the state that its command expects."""


class BatchOptions(BaseModel):
    """How a batch runs.

    `rate` is in member starts a second, None for no limit. The first `canary` members must all have ended without a
    failure before the rest starts. The batch pauses once the share of failures passes `stop_at`. At most `max_open`
    members are open at once. With `on_changed` = "apply" no member's `expect` counts.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    rate: Rate | None = None
    canary: Annotated[Count, Field(ge=0, le=PART_LIMIT * PARTS_LIMIT)] = 0
    stop_at: Share | None = None
    max_open: Annotated[Count, Field(ge=1, le=OPEN_LIMIT)] = USUAL_OPEN
    on_changed: OnChanged | None = None


class OptionFields(TypedDict, total=False):
    """The options of a batch, for type checkers; None is as good as absent."""

    rate: float | None
    canary: int | None
    stop_at: float | str | None
    max_open: int | None
    on_changed: OnChanged | None


class BatchPart(BaseModel):
    """One part of a batch. Its commands are checked one by one when they start: a bad one stops no other."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    batch_id: Id
    part: Annotated[Count, Field(ge=1, le=PARTS_LIMIT)]
    parts: Annotated[Count, Field(ge=1, le=PARTS_LIMIT)]
    commands: Annotated[list[Any], Field(max_length=PART_LIMIT)]
    options: BatchOptions | None = None
    token: Token | None = Field(default=None, repr=False)

    @cached_property
    def digest(self) -> str:
        """Identify the content: a part with another digest is another part."""
        content: object = {
            "batch_id": self.batch_id,
            "part": self.part,
            "parts": self.parts,
            "commands": self.commands,
            "options": self.options.model_dump() if self.options else None,
        }
        return hashlib.sha256(SORTED.encode(content).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class BatchOrder:
    """An operator's order about a whole batch; `hold` holds what is open, too."""

    action: str
    batch_id: str
    by: str
    reason: str
    hold: bool = False


PART_TASK: Final = "worker.batch"
ORDERS: Final[Mapping[str, str]] = {
    "worker.batch_pause": "batch_pause",
    "worker.batch_resume": "batch_resume",
    "worker.batch_abort": "batch_abort",
}
"""The tasks of orders about a batch, and their verbs as a signature covers them."""
RIGHTS: Final[Mapping[str, str]] = {
    **{action.name: action.right for action in ACTIONS.values()},
    **dict.fromkeys(ORDERS.values(), "operator"),
    "batch": "",
}
"""What the producer who signs an order must have. The commands of a batch are judged one by one."""
BATCH_TASKS: Final = (PART_TASK, *ORDERS)
WRONG: Final[Mapping[str, str]] = {
    "conflict": "part: it was sent before with different content, and the first one is kept",
    "parts": "parts: the batch has a different number of parts",
    "closed": "batch_id: this batch has ended",
    "unknown": "no batch is known by this id",
    "ended": "it has ended already",
    "receiving": "it has not started: not all of its parts are there",
    "not_paused": "it is not paused",
    "aborting": "it is being aborted",
}
"""Why scripts reject a part or an order, in words."""


def parse_options(options: object) -> BatchOptions:
    """Read the options of a batch; one that is None counts as absent.

    Raises:
        InvalidCommand: the text names every option that is wrong.

    """
    if not isinstance(options, Mapping):
        raise InvalidCommand("options: must be an object")
    try:
        return BatchOptions.model_validate({name: value for name, value in options.items() if value is not None})
    except ValidationError as error:
        raise InvalidCommand(problems(error, "options")) from None


def parse_part(content: Mapping[str, Any]) -> BatchPart:
    """Read the keyword arguments of a `worker.batch`.

    Raises:
        InvalidCommand: the text names everything that is wrong, never a value.

    """
    given = {name: value for name, value in content.items() if value is not None}
    if isinstance(given.get("options"), Mapping):
        given["options"] = {name: value for name, value in given["options"].items() if value is not None}
    try:
        part = BatchPart.model_validate(given)
    except ValidationError as error:
        raise InvalidCommand(problems(error, "batch")) from None
    if not part.commands:
        raise InvalidCommand(EMPTY)
    if part.part > part.parts:
        raise InvalidCommand(f"part: is {part.part} of {part.parts}")
    if part.part > 1 and part.options is not None:
        raise InvalidCommand("options: come with part 1 only")
    commands = [TOO_DEEP if _deeper_than(one, DEEPEST) else one for one in part.commands]
    return part.model_copy(update={"commands": commands})


def _deeper_than(value: object, levels: int) -> bool:
    """Whether a value nests lists or mappings on more levels than that."""
    if not isinstance(value, list | dict):
        return False
    inner = value.values() if isinstance(value, dict) else value
    return levels == 0 or any(isinstance(one, list | dict) and _deeper_than(one, levels - 1) for one in inner)


class _Order(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    id: Id
    by: Annotated[str, Field(min_length=1)]
    reason: Annotated[str, Field(min_length=1)]
    token: Token | None = Field(default=None, repr=False)


class _Pause(_Order):
    hold: StrictBool = False


def parse_order(task: str, content: Mapping[str, Any]) -> BatchOrder:
    """Read the keyword arguments of an order; `task` is one of `ORDERS`.

    Raises:
        InvalidCommand: the text names everything that is wrong, never a value.

    """
    action = ORDERS[task]
    model = _Pause if action == "batch_pause" else _Order
    try:
        order = model.model_validate({name: value for name, value in content.items() if value is not None})
    except ValidationError as error:
        raise InvalidCommand(f"{action}: {problems(error, action)}") from None
    by, reason = order_texts(order.by, order.reason)
    return BatchOrder(action, order.id, by, reason, isinstance(order, _Pause) and order.hold)


@dataclass(frozen=True, slots=True)
class BatchCounts:
    """How many members are in which state: `selected` is the sum of all others."""

    selected: int = 0
    waiting: int = 0
    open: int = 0
    rejected: int = 0
    finished: Mapping[str, int] = field(default_factory=dict)
    """By outcome."""


@dataclass(frozen=True, slots=True)
class BatchStatus:
    """What is known of a batch.

    `reason` says why it is paused, is being aborted or was, and `by` who did it (`canceller` for an automatic pause).
    `hold` says that a pause holds what is open, too. `held` says that no call of a held member can be in flight.
    `received` of its `parts` are there. `ended_at` is when it finished, or expired as incomplete.
    """

    id: str
    state: BatchState
    options: BatchOptions
    counts: BatchCounts
    parts: int
    received: int
    created_at: datetime
    started_at: datetime | None = None
    ended_at: datetime | None = None
    by: str = ""
    reason: str = ""
    hold: bool = False
    held: bool = False
    backends: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class BatchResult:
    """One member of a batch: what was asked, and how it ended.

    `outcome` is that of its cancellation, or `rejected`; None if it has not ended. `plan` is the result of a dry run,
    `error` why it was rejected. In a rejected member, fields that could not be read are empty.
    """

    index: int
    command_id: str
    backend: str
    job_id: str
    verb: str
    outcome: str | None = None
    evidence: str | None = None
    safe_to_rerun: bool | None = None
    detail: str = ""
    job_state: str | None = None
    raw_state: str | None = None
    cancellation_id: str | None = None
    plan: Mapping[str, Any] | None = None
    error: str | None = None


def member_id(batch_id: str, index: int, content: object) -> str:
    """Return the command id of a member: its own, or else one made from its place in the batch."""
    own = content.get("command_id") if isinstance(content, Mapping) else None
    return own if isinstance(own, str) and own else f"{batch_id}:{index}"
