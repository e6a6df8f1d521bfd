"""Commands as a client sends them: checked, and each with an id."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..domain.errors import InvalidCommand
from ..protocol.envelope import plain
from ..protocol.messages import parse_command

AS_READ = ("job_id", "reason", "labels")
"""Fields that are sent as workers read them, because not every value that a caller may give can be signed."""


@dataclass(frozen=True, slots=True)
class Identified:
    """A command with its id; `digest` names its content if the id is the producer's own, else it is empty."""

    command_id: str
    fields: Mapping[str, Any]
    digest: str


def identified(content: Mapping[str, Any], place: str) -> Identified:
    """Check a command and give it an id if it has none.

    Raises:
        InvalidCommand: the text says what is wrong, and at which place.

    """
    own = content.get("command_id") is not None
    fields = plain(content if own else {**content, "command_id": uuid.uuid4()})
    try:
        command = parse_command(fields)
    except InvalidCommand as error:
        raise InvalidCommand(f"{place}: {error}") from None
    texts = {name: getattr(command, name) for name in AS_READ if fields.get(name) is not None}
    return Identified(str(fields["command_id"]), {**fields, **texts}, command.digest if own else "")
