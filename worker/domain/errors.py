"""What can go wrong, sorted by one question: does the same again help."""

from __future__ import annotations

CONFLICT = "command_id: it is another command's, with another content"


class CancellerError(Exception):
    """Anything that this project raises on purpose."""


class Temporary(CancellerError):
    """The same again may succeed later."""


class Permanent(CancellerError):
    """The same again will fail again."""


class StoreUnavailable(Temporary):
    """Redis can't be reached, or will not take a write now; `hint` is what to do about it, if there is more to say."""

    hint = ""


class StoreRefused(StoreUnavailable):
    """Redis refuses what Canceller needs until somebody changes that: a right, a command, a mode."""

    hint = "`canceller check` says which rights are missing, and the line that gives them; it is tried again and again"


class EmbeddedError(CancellerError):
    """The embedded Redis can't be had; the text says the way out."""


class CallUnanswered(Temporary):
    """A call got no usable answer; nobody knows whether it had an effect."""


class CredentialUnavailable(Temporary):
    """A token could not be fetched now; the call itself was not made."""


class CredentialRefused(Permanent):
    """The token endpoint refuses the credential, also after it was read again."""


class InvalidCommand(Permanent):
    """A command is not valid; the text says where."""


class CommandConflict(Permanent):
    """A command has the id of another one with another content: whenever it is taken in, it is rejected."""


class ActionRejected(Permanent):
    """An operator's action can't be taken on this cancellation; the text says why."""


class UnknownCancellation(Permanent):
    """No cancellation or command has this id, or its record is past its retention."""


class UnknownBatch(Permanent):
    """No batch has this id, or it is past its retention."""


class SeveralOpen(Permanent):
    """Several cancellations are meant, of jobs with one id at different addresses; the text names them."""


class NewerFormat(Permanent):
    """A record was written by a newer version; it is left alone."""


class UnreadableRecord(Permanent):
    """A record is damaged, or was written by somebody else; nothing can be said of its cancellation."""


class BrokerUnavailable(Temporary):
    """The broker did not confirm a message in time; sending the same command id again is harmless."""


class BrokerRefused(Permanent):
    """The broker does not take messages as they are sent to it; the text says why, and the way out."""
