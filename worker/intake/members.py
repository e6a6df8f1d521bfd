"""PURE: judges members of a batch as commands of their own."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from msgspec.structs import replace

from ..protocol.batches import member_id
from ..store.transitions import Acceptance, Rejection
from .admission import Admission
from .decoder import text_in


@dataclass(frozen=True, slots=True)
class Member:
    """One member as it was sent; `signed_by` is who signed the part of the batch that it came in, empty for nobody.

    `any_state` says that its `expect` does not count. `backend` is the one that it names, empty for none. `quiet` says
    that it is a dry run, which leaves only its result in the batch.
    """

    index: int
    content: Any
    signed_by: str
    any_state: bool
    backend: str
    quiet: bool

    @classmethod
    def of(cls, index: int, content: Any, signed_by: str, *, any_state: bool = False) -> Self:
        """Read what concerns a member before it is judged."""
        quiet = isinstance(content, Mapping) and content.get("dry_run") is True
        return cls(index, content, signed_by, any_state, text_in(content, "backend"), quiet)


def judge(
    admission: Admission, batch_id: str, member: Member, now: datetime, known: Collection[str]
) -> Acceptance | Rejection:
    """Judge a member: it belongs to the batch, is in the batch lane unless it says otherwise; its token is ignored."""
    content = member.content
    if isinstance(content, Mapping):
        left_out = {"token", "expect"} if member.any_state else {"token"}
        own = {name: value for name, value in content.items() if value is not None and name not in left_out}
        content = {"lane": "batch", **own, "batch_id": batch_id}
    command_id = member_id(batch_id, member.index, content)
    verdict = admission.take(content, command_id, now, known=known, vouched_by=member.signed_by)
    return replace(verdict, vouched=True) if isinstance(verdict, Acceptance) else verdict
