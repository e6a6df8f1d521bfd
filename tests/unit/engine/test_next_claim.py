"""When the next claim is made, depending on what the last one returned."""

from __future__ import annotations

from math import inf

import pytest

from worker.engine.next_claim import BLOCKED, LONG_BLOCKED, NextClaim, next_claim

BEFORE = 0.031


@pytest.mark.parametrize(
    ("free", "due_in", "brought", "expected"),
    [
        pytest.param(0, 0.0, 8, NextClaim(inf, more=True, blocked=BEFORE), id="no free slot: when a pass ends"),
        pytest.param(-3, 5.0, 8, NextClaim(inf, more=True, blocked=BEFORE), id="more than full: when a pass ends"),
        pytest.param(1, 5.0, 8, NextClaim(5.0, more=False, blocked=BEFORE), id="due later: then"),
        pytest.param(1, 5.0, 0, NextClaim(5.0, more=False, blocked=BEFORE), id="due later, none brought: then"),
        pytest.param(1, inf, 0, NextClaim(inf, more=False, blocked=BEFORE), id="none waits: when asked for"),
        pytest.param(1, 0.0, 8, NextClaim(0.0, more=True, blocked=BEFORE), id="all that was asked for: at once"),
        pytest.param(1, -9.0, 8, NextClaim(0.0, more=True, blocked=BEFORE), id="overdue: at once"),
        pytest.param(1, 0.0, 7, NextClaim(BLOCKED, more=True, blocked=BLOCKED), id="fewer, though due: soon"),
        pytest.param(
            1, 0.0, 0, NextClaim(LONG_BLOCKED, more=True, blocked=LONG_BLOCKED), id="none, though due: a little later"
        ),
    ],
)
def test_the_next_claim_comes(free: int, due_in: float, brought: int, expected: NextClaim) -> None:
    assert next_claim(free=free, due_in=due_in, brought=brought, asked=8, blocked=BEFORE) == expected


def test_claims_that_bring_nothing_wait_twice_as_long_each_up_to_a_bound() -> None:
    waits, blocked = [], BLOCKED
    for brought in (1, 0, 0, 0, 1):
        blocked = next_claim(free=1, due_in=0.0, brought=brought, asked=8, blocked=blocked).blocked
        waits.append(blocked)
    assert waits == [BLOCKED, 2 * BLOCKED, LONG_BLOCKED, LONG_BLOCKED, BLOCKED]
