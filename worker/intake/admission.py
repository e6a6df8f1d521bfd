"""PURE: turns what a producer sent into what the store accepts, or into the reason why it is rejected."""

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
from ..domain.errors import InvalidCommand
from ..domain.model import Force, Job, Lane, Policy
from ..protocol.batches import ORDERS
from ..protocol.envelope import BARE, Envelope
from ..protocol.letter_text import kept, shown, without_signatures, without_tokens
from ..protocol.messages import Command, parse_command, with_eta
from ..protocol.operator_actions import ACTIONS
from ..protocol.signing import SignatureRejected, Signatures, Signed
from ..settings.problems import suggestion
from ..store.transitions import Acceptance, Rejection

log = structlog.get_logger(__name__)

MOST_SINKS = 16
"""Sinks that a `rejected` event repeats; no valid command names more."""
EPOCH = datetime.fromtimestamp(0, UTC)
FARTHEST = timedelta(days=30)
"""How far ahead `not_before` may lie."""
LETTER_LIMIT = 256 * 1024
"""Characters of a message that its dead letter keeps; no valid command is longer."""
UNVERIFIED_LIMIT = 4096
"""The same for an unknown sender's message; most commands are shorter."""
REASON_LIMIT = 1000
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
"""Characters that no command id may contain."""
RESERVED = re.compile(r"[0-9a-f]{32}-reopened(?:-\d+)?")
"""The ids of our own commands that reopen cancellations (`reopening.py`): no producer's command may pass for one."""
READABLE = ("backend", "job_id", "verb", "reason", "requested_by", "labels", "batch_id")
"""Fields of a command that its `rejected` event repeats."""
ORDERED = frozenset(ACTIONS) | {task.removeprefix("worker.") for task in ORDERS}
"""The verbs of operators' orders."""


@dataclass(frozen=True, slots=True)
class BackendRules:
    """What intake must know about one backend.

    `place` says in words which API is called at which address. If `another_attests`, requesters may not attest.
    """

    adapter: Adapter
    policy: Policy
    require: frozenset[str] = frozenset()
    place: str = ""
    another_attests: bool = False


def new_id() -> str:
    """Return a fresh id that sorts by time (UUID version 7, RFC 9562, as plain hex).

    This host's clock only decides the order of ids.
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
    sinks: frozenset[str] = frozenset()

    def rejection(
        self, content: object, command_id: str, reason: str, signed: Signed | None = None, envelope: Envelope = BARE
    ) -> Rejection:
        """Reject what a sender has sent, in an envelope; `signed` is its signature, if that was verified."""
        unverified, signed_by = (self.signatures.on, "") if signed is None else (False, signed.producer)
        return reject(content, command_id, reason, signed_by, unverified=unverified, envelope=envelope)

    def outlived(
        self, content: object, command_id: str, envelope: Envelope, times: Collection[datetime]
    ) -> Rejection | None:
        """Reject a message that has expired by all of these times; None if it has not."""
        if envelope.expires is None or any(now < envelope.expires for now in times):
            return None
        reason = f"expires: it expired at {event_drafts.text(envelope.expires)}, before a worker took it in"
        return replace(self.rejection(content, command_id, reason, envelope=envelope), expired=True)

    def take(
        self,
        content: object,
        command_id: str,
        now: datetime = EPOCH,
        envelope: Envelope = BARE,
        known: Collection[str] = (),
        vouched_by: str = "",
    ) -> Acceptance | Rejection:
        """Judge one command.

        `command_id` is its id if it has none of its own, `known` are the backends that any worker serves, `vouched_by`
        is who signed the batch that it is a member of. A bug here rejects only this command: others in the same message
        may already be stored.
        """
        if outlived := self.outlived(content, command_id, envelope, (now,)):
            return outlived
        signed: Signed | None = None
        try:
            signed = self.signatures.judged(content, now, vouched_by)
            command = parse_command(content)
            if command.backend not in self.rules:
                known = known or self.rules
                listed = ", ".join(sorted(known)) or "none"
                problem = f"backend: no backend has this name; known: {listed}{suggestion(command.backend, known)}"
                return replace(self.rejection(content, command_id, problem, signed, envelope), digest=command.digest)
            self._check(command, command.command_id or command_id, signed)
            not_before = _not_before(command, envelope, now)
            return self._accept(command, command.command_id or command_id, envelope, signed, not_before)
        except SignatureRejected as problem:
            return reject_signed(content, command_id, problem, envelope)
        except InvalidCommand as error:
            return self.rejection(content, command_id, str(error), signed, envelope)
        except Exception as error:
            log.exception("intake.command_failed", command_id=command_id)
            reason = f"{type(error).__name__} while it was taken in"
            return self.rejection(content, command_id, reason, signed, envelope)

    def _check(self, command: Command, command_id: str, signed: Signed | None) -> None:
        """Check a command's id, and the command against the rules of its backend."""
        if RESERVED.fullmatch(command_id):
            raise InvalidCommand("command_id: CANCELLATION-reopened is reserved for reopened cancellations")
        rules = self.rules[command.backend]
        if rules.another_attests and not (signed or command.requested_by):
            raise InvalidCommand('requested_by: this backend requires it (attest = "another")')
        missing = [name for name in sorted(rules.require) if not getattr(command, name)]
        if missing:
            raise InvalidCommand(f"{', '.join(missing)}: this backend requires it")
        unknown = sorted(set(command.params) - rules.adapter.params)
        if unknown:
            known = ", ".join(sorted(rules.adapter.params)) or "none"
            raise InvalidCommand(f"params: this backend has no parameter {', '.join(unknown)}; known: {known}")
        problem = rules.adapter.problem(Job(command.job_id, command.params))
        if problem:
            raise InvalidCommand(problem)
        for name in command.reply_to or ():
            if name not in self.sinks:
                known = ", ".join(sorted(self.sinks)) or "none"
                raise InvalidCommand(f"reply_to: no sink has this name; known: {known}{suggestion(name, self.sinks)}")

    def _accept(
        self,
        command: Command,
        command_id: str,
        envelope: Envelope,
        signed: Signed | None,
        not_before: datetime | None,
    ) -> Acceptance:
        rules = self.rules[command.backend]
        policy, another = rules.policy, rules.another_attests
        force, force_after = policy.stricter(Force(command.force or policy.force), command.force_after or 0.0)
        give_up_after = min(command.give_up_after or policy.give_up_after, policy.give_up_after)
        effective = dict(event_drafts.effective(force, force_after, give_up_after, another=another))
        if command.dry_run:
            effective["dry_run"] = True
        if command.expect:
            effective["expect"] = command.expect.model_dump()
        if not_before is not None:
            effective["not_before"] = event_drafts.text(not_before)
        attested_by = f"{command.requested_by or 'a producer'} (command {command_id})"
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
            remote_stopped=attested_by if command.remote_stopped and not another else "",
            said=_said(command, signed),
            effective=effective,
            params=command.params,
            traceparent=command.traceparent or envelope.traceparent,
            signed=signed,
            binding=not self.signatures.on or (signed is not None and signed.force),
            address=rules.adapter.address(Job(command.job_id, command.params)),
            place=rules.place,
            not_before=not_before,
            dry_run=command.dry_run,
            expect=command.expect.raw_state if command.expect else "",
            another_attests=another,
            reply_to=command.reply_to or (),
        )


def _not_before(command: Command, envelope: Envelope, now: datetime) -> datetime | None:
    """Return the earliest time to act: the later one of the command's `not_before` and Celery's `eta`."""
    not_before = max((one for one in (command.not_before, envelope.eta) if one is not None), default=None)
    if not_before is not None and not_before > now + FARTHEST:
        raise InvalidCommand(f"not_before: is more than {FARTHEST.days} days ahead")
    return not_before


def _said(command: Command, signed: Signed | None) -> Mapping[str, Any]:
    """Return who asks and why: a join's event carries its own command's, all others the first command's.

    Only `signed_by` is verified; the rest is what the producer wrote.
    """
    return {
        "reason": command.reason,
        "requested_by": command.requested_by,
        **({"signed_by": signed.producer} if signed else {}),
        "labels": command.labels,
        "batch_id": command.batch_id,
        **({"reply_to": command.reply_to} if command.reply_to else {}),  # last: `joining.lua` adds to it
    }


def reject_signed(content: object, command_id: str, problem: SignatureRejected, envelope: Envelope = BARE) -> Rejection:
    """Reject what its signature, or its producer's rights, do not cover."""
    unverified = not problem.holds
    rejection = reject(content, command_id, str(problem), problem.signed_by, unverified=unverified, envelope=envelope)
    return replace(rejection, log_reason=problem.log_reason, expired=problem.expired)


def reject(
    content: object,
    command_id: str,
    reason: str,
    signed_by: str = "",
    *,
    unverified: bool = False,
    envelope: Envelope = BARE,
) -> Rejection:
    """Reject a message: return the reason and as much of the message as is kept.

    `unverified` says that signatures are on and this one was not verified. No text of the result contains a signed
    token or a line break. The envelope's `eta` is kept: a command that is sent again without it must not act sooner.
    """
    if isinstance(content, Mapping):
        content = with_eta(content, envelope.eta)
    raw, bare = _raw(content), without_signatures(content)
    readable = bare if isinstance(bare, Mapping) else {}
    own = _plain(readable.get("command_id"), 128)
    command_id = command_id if not own or CONTROL.search(own) else own
    bare_id, reason = without_tokens(command_id), shown(reason, REASON_LIMIT)
    return Rejection(
        mark=f"{bare_id} {hashlib.sha256(raw.encode()).hexdigest()}",
        reason=reason,
        raw=kept(_raw(bare), UNVERIFIED_LIMIT if unverified else LETTER_LIMIT),
        data={
            "error": reason,
            "command_id": shown(command_id, 128),
            **({"signed_by": signed_by} if signed_by else {}),
            **{name: _readable(readable[name]) for name in READABLE if name in readable},
            **({"reply_to": sinks} if (sinks := _sinks_named(readable)) and not unverified else {}),
            **_order(readable),
        },
        command_id=bare_id,
        backend=shown(_plain(readable.get("backend"), 64), 64),
        subject=shown(_plain(readable.get("job_id"), 512), 512),
        unverified=unverified,
    )


def _order(readable: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what an operator's order was about, and who gave it, as far as it can be read; empty for a command."""
    verb = readable.get("verb")
    if not isinstance(verb, str) or verb not in ORDERED:
        return {}
    said = {name: _readable(readable.get(name)) for name in ("by", "reason")}
    return {"id": _readable(readable.get("id")), "action": {"name": verb, **said}}


def _sinks_named(readable: Mapping[str, Any]) -> list[str]:
    """Return the sinks that a rejected message names; a name that no sink has is harmless."""
    named = readable.get("reply_to")
    texts = named[:MOST_SINKS] if isinstance(named, list | tuple) else ()
    return [shown(one, 64) for one in texts if isinstance(one, str)]


UNWRITABLE = (RecursionError, TypeError, ValueError)
"""What writing a value may raise: it is nested too deep, a key is not a text, a number has too many digits."""


def _raw(content: object) -> str:
    try:
        return json.dumps(content, default=repr).replace("\x7f", "\\u007f")
    except UNWRITABLE as error:
        return json.dumps(f"a {type(content).__name__} that can't be written: {type(error).__name__}")


def _plain(value: object, limit: int) -> str:
    """Return a text or a number as a text that any JSON reader takes; empty for anything else, or if it is too long."""
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
    """Return as much of a value as an event may carry: short texts, and mappings of one level."""
    if isinstance(value, bool | None):
        return value
    if isinstance(value, Mapping):
        return {shown(_text(key), 64): shown(_text(one), 256) for key, one in islice(value.items(), 16)}
    return shown(_text(value), 1000)
