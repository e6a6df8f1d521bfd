"""Exceptions, grouped by whether a retry can succeed."""

from __future__ import annotations

CONFLICT = "command_id: already used by another command, with different content"


class CancellerError(Exception):
    """Anything that this project raises on purpose."""


class Temporary(CancellerError):
    """A retry may succeed later."""


class Permanent(CancellerError):
    """A retry will fail again."""


class StoreUnavailable(Temporary):
    """Redis can't be reached, or accepts no writes now; `hint` says what to do, if there is more to say."""

    hint = ""


class StoreRefused(StoreUnavailable):
    """Redis refuses a right, a command or a mode that Canceller needs, until somebody changes its configuration."""

    hint = "`canceller check` says which rights are missing and what grants them; workers keep retrying"


class EmbeddedError(CancellerError):
    """The embedded Redis is not available; the text says why and what to do."""


class CallUnanswered(Temporary):
    """A call got no usable answer; nobody knows whether it had an effect."""


class CredentialUnavailable(Temporary):
    """A token could not be fetched now; the call itself was not made."""


class CredentialRefused(Permanent):
    """The token endpoint refuses the credential, even after it was read again."""


class InvalidCommand(Permanent):
    """A command is not valid; the text says where."""


class CommandConflict(Permanent):
    """A command has the id of another command but different content, so it is always rejected."""


class ActionRejected(Permanent):
    """An operator's action can't be taken on this cancellation; the text says why."""


class UnknownCancellation(Permanent):
    """No cancellation or command has this id, or its record is past its retention."""


class UnknownBatch(Permanent):
    """No batch has this id, or it is past its retention."""


class SeveralOpen(Permanent):
    """Several open cancellations match: jobs at different addresses share an id. The text names them."""


class NewerFormat(Permanent):
    """A record was written by a newer version; it is left alone."""


class UnreadableRecord(Permanent):
    """A record is damaged, or was written by somebody else; nothing is known about its cancellation."""


class BrokerUnavailable(Temporary):
    """The broker did not confirm a message in time; sending the same command id again is harmless."""


class BrokerRefused(Permanent):
    """The broker refuses messages the way they are sent; the text says why and what to do."""
