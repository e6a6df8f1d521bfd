"""Decides when to claim next on one backend, from what the latest claim has returned."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf

BLOCKED, LONG_BLOCKED = 0.02, 0.05
"""Seconds until the next try if something is due but can't be claimed yet because other workers hold the permits.
The wait doubles with each claim that returns nothing, up to the second figure."""


@dataclass(frozen=True, slots=True)
class NextClaim:
    """When to claim next, unless something asks for it earlier."""

    after: float
    """Seconds from now; `inf` to wait until something asks for a claim."""
    more: bool
    """Whether more was due than could be claimed: then the end of a pass asks for a claim."""
    blocked: float
    """The latest wait for permits that other workers hold."""


def next_claim(*, free: int, due_in: float, brought: int, asked: int, blocked: float) -> NextClaim:
    """Decide after a claim that asked for up to `asked` records and returned `brought`.

    `free` slots are left; the next record comes due in `due_in` seconds, `inf` if none waits; `blocked` is as the
    previous decision returned it.
    """
    if free <= 0:
        return NextClaim(inf, more=True, blocked=blocked)  # other workers see by themselves what is due
    if due_in > 0:
        return NextClaim(due_in, more=False, blocked=blocked)
    if brought < asked:
        blocked = BLOCKED if brought else min(2 * blocked, LONG_BLOCKED)
        return NextClaim(blocked, more=True, blocked=blocked)
    return NextClaim(0.0, more=True, blocked=blocked)
