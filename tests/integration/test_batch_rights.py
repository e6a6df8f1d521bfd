"""Who may give orders about a batch if signing is on."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from redis.asyncio import Redis
from support.batches import Stage, cancel
from support.commands import INTAKE
from support.stepped_redis import SteppedRedis

from worker.intake.admission import EPOCH
from worker.intake.batch_intake import BatchIntake, Means
from worker.intake.decoder import OrderRequest
from worker.protocol.batches import MOST_BACKENDS, BatchOrder, BatchState
from worker.protocol.signing import Signed
from worker.store.transitions import Rejection


@pytest.mark.parametrize(
    ("known", "state"), [(99, BatchState.FINISHED), (100, BatchState.RUNNING)], ids=["all known", "perhaps more"]
)
async def test_an_operator_of_some_backends_gives_no_orders_about_a_batch_that_may_have_others(
    known: int, state: BatchState, redis: Redis
) -> None:
    stage = Stage(SteppedRedis(connection_pool=redis.connection_pool))
    names = [f"a{index:03}" for index in range(known)]
    await stage.send([cancel(1, backend=name) for name in [*names, *["z"] * (known == MOST_BACKENDS)]])
    rejected = []

    async def patiently(work: Callable[[], Awaitable[Any]]) -> Any:
        return await work()

    async def reject(rejection: Rejection) -> None:
        rejected.append(rejection)

    async def times(**_: Any) -> list[datetime]:
        return [EPOCH]

    ann = Signed("ann", "one", EPOCH + timedelta(days=36_500), backends=frozenset(names))
    intake = BatchIntake(stage.store, INTAKE, Means(patiently, reject, times, lambda *_: ann))
    order = BatchOrder("batch_abort", "b", "ann", "because")
    await intake.handle(OrderRequest(order, {"id": "b"}, "m-1"))

    assert (await stage.status()).state is state
    assert len(rejected) == (state is BatchState.RUNNING)
