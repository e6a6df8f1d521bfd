"""PURE: from what a producer sent to what the store takes in, or to why it is rejected."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import islice
from typing import Any

import structlog
from msgspec.structs import replace

from ..backends.adapter import Adapter
from ..domain import event_drafts
from ..domain.model import Force, Job, Lane, Policy
from ..errors import InvalidCommand
from ..protocol.envelope import BARE, Envelope
from ..protocol.letter_text import kept, shown, without_signatures, without_tokens
from ..protocol.messages import Command, parse_command
from ..protocol.signing import SignatureRejected, Signatures, Signed
from ..settings.problems import suggestion
from ..store.transitions import Acceptance, Rejection

log = structlog.get_logger(__name__)

EPOCH = datetime.fromtimestamp(0, UTC)
FARTHEST = timedelta(days=30)
"""How far ahead the earliest time to act may lie."""
LETTER_LIMIT = 256 * 1024
"""Characters that a dead letter keeps of a message: more than any one command that is taken in."""
STRANGER_LIMIT = 4096
"""Characters that it keeps of a stranger's: all of most commands."""
REASON_LIMIT = 1000
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
"""What no command's id holds."""
READABLE = ("backend", "job_id", "verb", "reason", "requested_by", "labels", "batch_id")


@dataclass(frozen=True, slots=True)
class BackendRules:
    """What intake must know of one backend.

    `place` says in words what is called where, `another_attests` that no requester may attest.
    """

    adapter: Adapter
    policy: Policy
    require: frozenset[str] = frozenset()
    place: str = ""
    another_attests: bool = False


def new_id() -> str:
    """Return a fresh id that sorts by time (UUID version 7, RFC 9562, as plain hex).

    Only its order depends on this host's clock; nothing is decided by it.
    """
    stamp = time.time_ns() // 1_000_000
    chance = secrets.randbits(74)
    return f"{stamp:012x}7{chance >> 62:03x}{0x8000 | chance >> 48 & 0x3FFF:04x}{chance & 0xFFFFFFFFFFFF:012x}"


@dataclass(frozen=True, slots=True)
class Admission:
    """Turns commands into acceptances or rejections for the backends of this deployment."""

    rules: Mapping[str, BackendRules]
    make_id: Callable[[], str] = field(default=new_id)
    signatures: Signatures = field(default_factory=Signatures)

    def is_stranger(self, signed: Signed | None = None) -> bool:
        """Say whether a sender is nobody that is known, where it is known who may send."""
        return self.signatures.on and signed is None

    def rejection(self, content: object, command_id: str, reason: str, signed: Signed | None = None) -> Rejection:
        """Reject what this sender has sent; `signed` is its signature, where that holds."""
        return reject(content, command_id, reason, signed_by(signed), stranger=self.is_stranger(signed))

    def take(
        self,
        content: object,
        command_id: str,
        now: datetime = EPOCH,
        envelope: Envelope = BARE,
        known: Collection[str] = (),
    ) -> Acceptance | Rejection:
        """Judge one command; `command_id` is its id where it brings none, `known` are the backends of all workers.

        One that we fail on is rejected by itself: others of its message may be stored already.
        """
        if expired(envelope, now):
            return outlived(content, command_id, envelope, stranger=self.is_stranger())
        signed: Signed | None = None
        try:
            signed = self.signatures.check(content, now)
            command = parse_command(content)
            if command.backend not in self.rules:
                problem = _no_such_backend(command.backend, known or self.rules)
                return replace(self.rejection(content, command_id, problem, signed), digest=command.digest)
            door = self._door(command, signed)
            not_before = _not_before(command, envelope, now)
            accepted = self._accept(command, door, command.command_id or command_id, envelope, signed)
            return accepted if not_before is None else _scheduled(accepted, not_before)
        except SignatureRejected as refused:
            return reject_signed(content, command_id, refused)
        except InvalidCommand as error:
            return self.rejection(content, command_id, str(error), signed)
        except Exception as error:
            log.exception("intake.command_failed", command_id=command_id)
            return self.rejection(content, command_id, f"{type(error).__name__} while it was taken in", signed)

    def _door(self, command: Command, signed: Signed | None) -> BackendRules:
        door = self.rules[command.backend]
        if door.another_attests and not (signed or command.requested_by):
            raise InvalidCommand('requested_by: this backend requires it (attest = "another")')
        missing = [name for name in sorted(door.require) if not getattr(command, name)]
        if missing:
            raise InvalidCommand(f"{', '.join(missing)}: this backend requires it")
        unknown = sorted(set(command.params) - door.adapter.params)
        if unknown:
            known = ", ".join(sorted(door.adapter.params)) or "none"
            raise InvalidCommand(f"params: this backend has no parameter {', '.join(unknown)}; known: {known}")
        problem = door.adapter.problem(Job(command.job_id, command.params))
        if problem:
            raise InvalidCommand(problem)
        return door

    def _accept(
        self, command: Command, door: BackendRules, command_id: str, envelope: Envelope, signed: Signed | None
    ) -> Acceptance:
        policy, another = door.policy, door.another_attests
        force = Force(command.force or policy.force).stricter(policy.force)
        force_after = max(command.force_after or 0.0, policy.force_after)
        give_up_after = min(command.give_up_after or policy.give_up_after, policy.give_up_after)
        return Acceptance(
            cancellation_id=self.make_id(),
            command_id=command_id,
            digest=command.digest,
            backend=command.backend,
            job_id=command.job_id,
            verb=command.verb,
            force=force,
            force_after=force_after,
            give_up_after=give_up_after,
            warn_after=policy.warn_after,
            lane=Lane(command.lane),
            remote_stopped=_giver(command, command_id) if command.remote_stopped and not another else "",
            said=_said(command, signed),
            effective={**event_drafts.effective(force, force_after, give_up_after, another=another), **_asks(command)},
            params=command.params,
            traceparent=command.traceparent or envelope.traceparent,
            signed=signed,
            binding=self.signatures.binding(signed),
            address=door.adapter.address(Job(command.job_id, command.params)),
            place=door.place,
            dry_run=command.dry_run,
            expect=command.expect.raw_state if command.expect else "",
            another_attests=another,
        )


def _no_such_backend(name: str, known: Collection[str]) -> str:
    listed = ", ".join(sorted(known)) or "none"
    return f"backend: no backend has this name; known: {listed}{suggestion(name, known)}"


def expired(envelope: Envelope, now: datetime) -> bool:
    """Say whether a message has come too late."""
    return envelope.expires is not None and now >= envelope.expires


def outlived(content: object, command_id: str, envelope: Envelope, *, stranger: bool) -> Rejection:
    """Reject what has come too late."""
    reason = f"expires: it expired at {event_drafts.text(envelope.expires)}, before a worker took it in"
    return replace(reject(content, command_id, reason, stranger=stranger), expired=True)


def _not_before(command: Command, envelope: Envelope, now: datetime) -> datetime | None:
    """Return the earliest time to act: what the command says and what Celery's `eta` says both hold."""
    not_before = max((one for one in (command.not_before, envelope.eta) if one is not None), default=None)
    if not_before is not None and not_before > now + FARTHEST:
        raise InvalidCommand(f"not_before: is more than {FARTHEST.days} days ahead")
    return not_before


def _asks(command: Command) -> Mapping[str, Any]:
    """Tell what a command asks for that changes how it is carried out."""
    dry_run = {"dry_run": True} if command.dry_run else {}
    return dry_run | ({"expect": command.expect.model_dump()} if command.expect else {})


def _scheduled(accepted: Acceptance, not_before: datetime) -> Acceptance:
    effective = {**accepted.effective, "not_before": event_drafts.text(not_before)}
    return replace(accepted, not_before=not_before, effective=effective)


def _giver(command: Command, command_id: str) -> str:
    return f"{command.requested_by or 'a producer'} (command {command_id})"


def signed_by(signed: Signed | None) -> str:
    """Name the producer whose signature was verified; empty where there was none."""
    return signed.producer if signed else ""


def _said(command: Command, signed: Signed | None) -> Mapping[str, Any]:
    """Return what events carry of who asks and why: all of them of the first command, a join of its own.

    Only `signed_by` is verified; the rest is in the producer's own words.
    """
    return {
        "reason": command.reason,
        "requested_by": command.requested_by,
        **({"signed_by": signed.producer} if signed else {}),
        "labels": command.labels,
        "batch_id": command.batch_id,
    }


def reject_signed(content: object, command_id: str, refused: SignatureRejected) -> Rejection:
    """Reject what its signature, or its producer's rights, do not cover."""
    rejection = reject(content, command_id, str(refused), refused.signed_by, stranger=not refused.holds)
    return replace(rejection, log_reason=refused.log_reason, expired=refused.expired)


def reject(content: object, command_id: str, reason: str, signed_by: str = "", *, stranger: bool = False) -> Rejection:
    """Reject what could not be read or may not be: the reason, and the message as far as it is kept.

    `stranger` is what `Admission.is_stranger` says. Nothing of it holds a signed token, or breaks a line.
    """
    raw, bare = _raw(content), without_signatures(content)
    readable = bare if isinstance(bare, Mapping) else {}
    own = _plain(readable.get("command_id"), 128)
    command_id = command_id if not own or CONTROL.search(own) else own
    reason = shown(reason, REASON_LIMIT)
    return Rejection(
        mark=f"{without_tokens(command_id)} {hashlib.sha256(raw.encode()).hexdigest()}",
        reason=reason,
        raw=kept(_raw(bare), STRANGER_LIMIT if stranger else LETTER_LIMIT),
        data={
            "error": reason,
            "command_id": shown(command_id, 128),
            **({"signed_by": signed_by} if signed_by else {}),
            **{name: _readable(readable[name]) for name in READABLE if name in readable},
        },
        backend=shown(_plain(readable.get("backend"), 64), 64),
        subject=shown(_plain(readable.get("job_id"), 512), 512),
        stranger=stranger,
    )


UNWRITABLE = (RecursionError, TypeError, ValueError)
"""What writing a value may raise: nested too deep, a key that is no text, a number of too many digits."""


def _raw(content: object) -> str:
    try:
        return json.dumps(content, default=repr).replace("\x7f", "\\u007f")
    except UNWRITABLE as error:
        return json.dumps(f"a {type(content).__name__} that can't be written: {type(error).__name__}")


def _plain(value: object, limit: int) -> str:
    """Return a text or a number as a text that any JSON reader takes; anything else, or too long a one, as none."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""
    text = _text(value)
    return text if len(text) <= limit else ""


def _text(value: object) -> str:
    try:
        return str(value).encode("utf-8", "replace").decode()
    except UNWRITABLE:
        return ""


def _readable(value: object) -> object:
    """Return a value as far as an event may carry it: short, and never a structure of unknown depth."""
    if isinstance(value, bool | None):
        return value
    if isinstance(value, Mapping):
        return {shown(_text(key), 64): shown(_text(one), 256) for key, one in islice(value.items(), 16)}
    return shown(_text(value), 1000)
