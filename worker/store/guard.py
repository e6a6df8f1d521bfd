"""The guard of a record: the part in Redis that the scripts own, with full names for its short ones."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from ..domain.model import Force, Verb

HOLD_LETTERS = {"until": "u", "signed_by": "sg", "pending": "p"}
GUARD_LETTERS = {
    "backend": "b",
    "job_id": "j",
    "verb": "v",
    "force": "p",
    "force_after": "fa",
    "give_up_at": "g",
    "lane": "l",
    "attested": "s",
    "attested_at": "sa",
    "attestation_signature": "ss",
    "child_attestations": "sc",
    "child_signatures": "scs",
    "aborted": "x",
    "withdrawal": "xa",
    "revision": "r",
    "accepted_at": "a",
    "sequence": "q",
    "outcome": "o",
    "ended_at": "e",
    "last_event": "z",
    "next_pass": "n",
    "intent": "i",
    "matters_at": "m",
    "traceparent": "w",
    "params": "k",
    "place": "d",
    "not_before": "nb",
    "hold": "h",
    "held_for": "hs",
    "dry_run": "y",
    "expected": "ex",
    "reappeared": "ra",
}
"""What the scripts call each part of the guard; `lua/include/record.lua` explains the letters."""


class HoldPart(Struct, frozen=True, rename=HOLD_LETTERS):
    """A hold in the guard; `pending` means that its `held` event is put off while a call may be in flight."""

    by: str
    reason: str
    at: float
    until: float | None = None
    signed_by: str = ""
    pending: int = 0


class Guard(Struct, frozen=True, rename=GUARD_LETTERS):
    """The part of a record that the scripts own. Times are in milliseconds.

    A signature is who signed and the time of the attestation that it belongs to. `intent` is the time of an intent
    that a claim has noted, 1 for one that a pass has noted, 0 for none. `next_pass` is 0 before the first pass.
    """

    backend: str
    job_id: str
    verb: Verb
    force: Force
    force_after: float
    give_up_at: float
    lane: str
    attested: str
    aborted: str
    revision: int
    accepted_at: int
    sequence: int
    outcome: str
    next_pass: int = 0
    intent: int = 0
    ended_at: int | None = None
    last_event: str = ""
    traceparent: str | None = None
    params: dict[str, str] = {}
    place: str = ""
    not_before: float | None = None
    attested_at: int = 0
    attestation_signature: tuple[str, int] | None = None
    child_attestations: dict[str, tuple[str, int]] = {}
    child_signatures: dict[str, tuple[str, int]] = {}
    withdrawal: dict[str, str] = {}
    matters_at: float = 0
    hold: HoldPart | None = None
    held_for: float = 0
    dry_run: int = 0
    expected: tuple[str, ...] = ()
    reappeared: int = 0


class Placed(Struct, frozen=True, rename=GUARD_LETTERS):
    """The part of a guard that names a place, in records of any version."""

    place: str = ""


class Formatted(Struct, frozen=True, rename={"format": "f"}):
    """The part of a guard that says how the rest is written."""

    format: float


GUARD = msgspec.json.Decoder(Guard)
FORMATTED = msgspec.json.Decoder(Formatted)
PLACED = msgspec.json.Decoder(Placed)
