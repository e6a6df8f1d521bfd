"""The sinks that commands name appear in every later event of their cancellation."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec.structs import replace
from redis.asyncio import Redis
from support.commands import FINISHED, claim_one, command, commit

from worker.store.store import Store
from worker.store.transitions import Acceptance


def naming(*sinks: str, command_id: str = "c-1", **fields: Any) -> Acceptance:
    one = command(command_id=command_id, **fields)
    return replace(one, reply_to=sinks, said={**one.said, "reply_to": sinks} if sinks else one.said)


async def named(store: Store) -> list[Any]:
    """Return what each event says."""
    return [event.data.get("reply_to") for _, event in await store.events("0-0")]


async def test_every_event_names_the_sinks_of_the_command(store: Store) -> None:
    await store.accept(naming("billing", "log"))
    await store.commit(commit(await claim_one(store), "finish", facts=FINISHED))

    assert await named(store) == [["billing", "log"]] * 2


@pytest.mark.parametrize(
    ("first", "joins", "both"),
    [
        pytest.param((), ("log",), ["log"], id="the-first"),
        pytest.param(("billing",), ("log",), ["billing", "log"], id="another"),
        pytest.param(("billing",), ("billing",), ["billing"], id="the-same"),
        pytest.param(("billing",), (), ["billing"], id="none"),
        pytest.param((), (), None, id="none-at-all"),
    ],
)
async def test_a_command_that_joins_adds_its_sinks(
    store: Store, first: tuple[str, ...], joins: tuple[str, ...], both: list[str] | None
) -> None:
    await store.accept(naming(*first, batch_id='x","reply_to":["no"]', labels={"reply_to": "[no]"}))
    await store.accept(naming(*joins, command_id="c-2"))
    await store.commit(commit(await claim_one(store), "finish", facts=FINISHED))

    assert await named(store) == [list(first) or None, both, both]


async def test_a_record_with_sinks_is_one_that_older_workers_read(store: Store, redis: Redis) -> None:
    one = await store.accept(naming("billing"))
    hot: Any = await redis.get(f"{{canceller}}:hot:{one.cancellation_id}")

    assert json.loads(hot.partition(b"\n")[0])["f"] == 1
    assert (await store.get(one.cancellation_id)).command["reply_to"] == ["billing"]
