"""Commands that their producer's options sent to another list than the queue."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest
from celery import Celery
from redis.asyncio import Redis

from worker.cli.checks.findings import stray_findings
from worker.intake.strays import MOST_LISTS, Stray, StraySearch, visible_name

COMMAND = {"backend": "ess", "job_id": "1"}


@pytest.fixture
def sender(redis_url: str) -> Iterator[Celery]:
    app = Celery(broker=redis_url.replace("unix://", "redis+socket://"), set_as_current=False)
    yield app
    app.close()


async def send(app: Celery, task: str = "worker.cancel", queue: str | None = "commands", **options: Any) -> None:
    await asyncio.to_thread(app.send_task, task, kwargs=COMMAND, queue=queue, **options)


STRANDED: dict[str, tuple[dict[str, Any], int, str, str]] = {
    "a prefix": ({"global_keyprefix": "shop_"}, 0, "shop_commands", "CANCELLER_QUEUE=shop_commands"),
    "a prefix with a colon": ({"global_keyprefix": "shop:"}, 0, "shop:commands", "CANCELLER_QUEUE=shop:commands"),
    "a prefix and a priority": (
        {"global_keyprefix": "s_"},
        9,
        "s_commands\x06\x169",
        "CANCELLER_QUEUE=s_commands",
    ),
    "an unusual separator": ({"sep": "|"}, 9, "commands|9", "sep"),
    "a step above all priorities": ({"priority_steps": [50]}, 9, "commands\x06\x1650", "priority_steps"),
}


@pytest.mark.parametrize(("options", "priority", "name", "way_out"), STRANDED.values(), ids=STRANDED.keys())
async def test_finds_commands_that_a_producers_options_put_elsewhere(
    redis: Redis, sender: Celery, options: dict[str, Any], priority: int, name: str, way_out: str
) -> None:
    sender.conf.broker_transport_options = options
    for _ in range(2):
        await send(sender, priority=priority)
    (stray,) = await StraySearch(redis, "commands").look()

    assert stray == Stray(name, 2)
    assert way_out in stray.way_out("commands")
    assert visible_name(stray.name).isprintable()


async def test_finds_commands_in_the_default_queue_of_celery(redis: Redis, sender: Celery) -> None:
    await send(sender, queue=None)
    (stray,) = await StraySearch(redis, "commands").look()

    assert stray == Stray("celery", 1)
    assert 'queue="commands"' in stray.way_out("commands")


async def test_finds_commands_in_protocol_1(redis: Redis, sender: Celery) -> None:
    sender.conf.task_protocol = 1
    await send(sender, queue=None)

    assert await StraySearch(redis, "commands").look() == [Stray("celery", 1)]


async def test_finds_no_queue_of_another_application(redis: Redis, sender: Celery) -> None:
    await send(sender, "shop.order", "shop_commands")
    await send(sender, "shop.order", None)
    await redis.lpush("old_commands", b"\xff garbage", json.dumps({"headers": None}))
    await redis.set("set_commands", "no list")

    assert await StraySearch(redis, "commands").look() == []


async def test_finds_none_of_our_own_lists(redis: Redis, sender: Celery) -> None:
    await send(sender)
    await send(sender, priority=9)
    await send(sender, "worker.reconcile", "canceller.reconcile.commands")
    await redis.copy("commands", "commands.taken:w1")

    assert await StraySearch(redis, "commands").look() == []


async def test_finds_no_queue_that_another_worker_reads(redis: Redis, sender: Celery) -> None:
    await send(sender, queue="shop_commands")
    await redis.zadd("shop_commands.taken:takers", {"w1": 1})

    assert await StraySearch(redis, "commands").look() == []


async def test_a_queues_name_is_no_pattern(redis: Redis, sender: Celery) -> None:
    await send(sender, queue="shop_c1")
    await send(sender, queue="shop_c[0-9]*")

    assert await StraySearch(redis, "c[0-9]*").look() == [Stray("shop_c[0-9]*", 1)]


async def test_a_large_database_is_searched_part_by_part(redis: Redis, sender: Celery) -> None:
    await redis.mset({f"key-{number}": "" for number in range(5000)})
    await send(sender, queue="shop_commands")
    search = StraySearch(redis, "commands")
    looks = [await search.look(pages=1)]
    while not search.through:
        looks.append(await search.look(pages=1))

    assert len(looks) > 2
    assert [stray for look in looks for stray in look] == [Stray("shop_commands", 1)]


async def test_a_wide_search_finds_commands_in_a_queue_of_any_name(redis: Redis, sender: Celery) -> None:
    for priority in (0, 9):
        await send(sender, queue="cancels", priority=priority)
    await send(sender, "shop.order", "orders")
    await redis.lpush("list", b"\xff garbage")
    await redis.set("text", "no list")
    await send(sender)
    search = StraySearch(redis, "commands", everywhere=True)
    found = await search.look()

    assert found == [Stray("cancels", 1), Stray("cancels\x06\x169", 1)]
    assert search.through
    for stray in found:
        assert 'names another queue: set queue="commands"' in stray.way_out("commands")
        assert stray.way_out("commands").endswith("CANCELLER_QUEUE=cancels")


async def test_a_wide_search_leaves_out_a_queue_that_another_worker_reads(redis: Redis, sender: Celery) -> None:
    await send(sender, queue="cancels")
    await redis.zadd("cancels.taken:takers", {"w1": 1})

    assert await StraySearch(redis, "commands", everywhere=True).look() == []


async def test_a_wide_search_looks_into_a_bounded_number_of_lists_and_says_so(redis: Redis, sender: Celery) -> None:
    pipe = redis.pipeline(transaction=False)
    for number in range(MOST_LISTS):
        pipe.rpush(f"a{number}", "x")
    await pipe.execute()
    await send(sender, queue="shop_commands")
    await send(sender, queue="z")
    search = StraySearch(redis, "commands", everywhere=True)

    assert await search.look() == [Stray("shop_commands", 1)]
    assert not search.through


async def test_a_list_that_may_not_be_read_is_left_out(redis: Redis, redis_url: str, sender: Celery) -> None:
    await send(sender, queue="cancels")
    await send(sender, queue="shop_commands")
    await redis.acl_setuser(
        "some", enabled=True, passwords=["+p"], keys=["*commands*", "celery*"], categories=["+@all"]
    )
    user = Redis.from_url(redis_url, username="some", password="p")
    search = StraySearch(user, "commands", everywhere=True)
    await redis.acl_log_reset()
    seen = [(await search.look(), [one["count"] for one in await redis.acl_log()]) for _ in range(2)]
    await user.aclose()
    await redis.acl_deluser("some")

    assert [found for found, _ in seen] == [[Stray("shop_commands", 1)]] * 2
    assert search.denied == {b"cancels"}
    assert seen[0][1] == seen[1][1] != []  # it is not tried again


@pytest.mark.parametrize(
    ("denied", "named"),
    [
        pytest.param({b"celery"}, "1 other list (celery)", id="one"),
        pytest.param({b"d", b"c", b"b", b"a"}, "4 other lists (a, b, c and 1 more)", id="many"),
    ],
)
def test_check_says_which_lists_may_not_be_read(denied: set[bytes], named: str) -> None:
    (found,) = stray_findings([], "commands", denied=denied)

    assert f"may not look into {named}, where commands" in found.text


STRAY_TEXTS = {"all searched": (True, 1), "a part searched": (False, 2)}


@pytest.mark.parametrize(("through", "count"), STRAY_TEXTS.values(), ids=STRAY_TEXTS.keys())
def test_check_says_if_not_all_lists_were_searched(*, through: bool, count: int) -> None:
    found = list(stray_findings([Stray("cancels", 3)], "commands", through=through))

    assert len(found) == count
    assert found[0].text.startswith("3 messages in cancels, commands among them, which no worker reads: ")
