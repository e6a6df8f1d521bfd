"""PURE: judges members of a batch as commands of their own."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from ..protocol.batches import member_id
from ..store.transitions import Acceptance, Rejection
from .admission import Admission
from .decoder import text_in


@dataclass(frozen=True, slots=True)
class Member:
    """One member as it was sent; `signed_by` has signed the part of the batch that brought it, empty for nobody.

    `any_state` says that its `expect` does not count.
    """

    index: int
    content: Any
    signed_by: str
    any_state: bool = False

    @property
    def backend(self) -> str:
        """The backend that it names, empty if it names none."""
        return text_in(self.content, "backend")

    @property
    def quiet(self) -> bool:
        """Whether it leaves no trace beside its result in the batch, as a dry run."""
        return isinstance(self.content, Mapping) and self.content.get("dry_run") is True


def judge(
    admission: Admission, batch_id: str, member: Member, now: datetime, known: Collection[str]
) -> Acceptance | Rejection:
    """Judge a member: it belongs to the batch, is in the batch lane unless it says otherwise, and bears no token."""
    content = member.content
    if isinstance(content, Mapping):
        left_out = {"token", "expect"} if member.any_state else {"token"}
        own = {name: value for name, value in content.items() if value is not None and name not in left_out}
        content = {"lane": "batch", **own, "batch_id": batch_id}
    command_id = member_id(batch_id, member.index, content)
    verdict = admission.take(content, command_id, now, known=known, vouched_by=member.signed_by)
    return replace(verdict, vouched=True) if isinstance(verdict, Acceptance) else verdict
