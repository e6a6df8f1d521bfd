"""What is reported if workers reject a part of a batch."""

from __future__ import annotations

from ...client.async_client import Rejected
from ...protocol.signing import DENIALS, NOT_ACCEPTED
from ..exits import Exit
from ..output import Output
from ..session import UNSIGNED, Session


def rejected_batch(session: Session, rejected: Rejected, output: Output) -> Exit:
    """Report that a batch, or an order about one, was rejected; return the exit code."""
    if output.json:
        output.object({"outcome": "rejected", "error": str(rejected)})
    else:
        output.line("", f"rejected: {rejected}")
    if str(rejected) == NOT_ACCEPTED and not session.signs:
        output.note(UNSIGNED)
    return Exit.NOT_ALLOWED if str(rejected) in DENIALS else Exit.USAGE
