"""PURE: whether a job is in a state that the commands expect, and how a cancellation ends if it is not."""

from __future__ import annotations

from .cancellation import Cancellation
from .decision import Finish
from .evolve import NOTE_LIMIT
from .model import Evidence, Observation, Outcome


def as_expected(cancellation: Cancellation, seen: Observation) -> bool:
    """Whether calls may be made: one was made before, or the job is in a state that the commands expect."""
    expect = cancellation.spec.expect
    return not expect or bool(cancellation.progress.sent) or seen.raw[:NOTE_LIMIT] in expect


def changed(cancellation: Cancellation, seen: Observation) -> Finish:
    """End a cancellation whose job is not in the expected state."""
    expected = " or ".join(map(repr, cancellation.spec.expect))
    detail = f"expected {expected}, but the job is in {seen.raw[:NOTE_LIMIT]!r}"
    return Finish(Outcome.CHANGED, Evidence.NONE, detail)
