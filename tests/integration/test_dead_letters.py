"""Dead letters: kept with their reason, shown, dropped, and tried again."""

from __future__ import annotations

from datetime import timedelta

import pytest
from redis.asyncio import Redis
from support.commands import INTAKE

from worker.domain.errors import InvalidCommand, UnknownCancellation
from worker.intake.admission import Admission, reject
from worker.protocol.signing import Signatures
from worker.store.dead_letters import DeadLetter, DeadLetters
from worker.store.retention import LETTERS, Retention
from worker.store.store import Store
from worker.store.transitions import Rejection

BAD = {"verb": "cancel", "backend": "nowhere", "job_id": "1"}


@pytest.fixture
def letters(redis: Redis) -> DeadLetters:
    return DeadLetters(redis, "canceller")


async def kept(letters: DeadLetters) -> list[DeadLetter]:
    return [letter async for letter in letters.list()]


async def refuse(store: Store, content: object = None, command_id: str = "c-1") -> bool:
    refused = INTAKE.take(content or BAD, command_id)
    assert isinstance(refused, Rejection)
    return await store.reject(refused)


async def test_a_refused_command_is_kept_with_its_reason(store: Store, letters: DeadLetters) -> None:
    await refuse(store)
    (letter,) = await kept(letters)

    assert "nowhere" not in letter.reason
    assert "backend" in letter.reason
    assert letter.command_id == "c-1"
    assert await letters.get(letter.id) == letter


async def test_lists_more_than_a_page(store: Store, letters: DeadLetters) -> None:
    for index in range(450):
        await refuse(store, command_id=f"c-{index}")

    assert [letter.command_id for letter in await kept(letters)] == [f"c-{index}" for index in range(450)]


async def test_a_message_whose_refusal_is_forgotten_may_be_refused_again(store: Store, letters: DeadLetters) -> None:
    await refuse(store)
    assert not await refuse(store)
    (letter,) = await kept(letters)
    await letters.forget(letter)
    await letters.drop(letter)

    assert await kept(letters) == []
    assert await refuse(store)


async def test_a_letter_is_sent_again_under_the_same_command_id(store: Store, letters: DeadLetters) -> None:
    await refuse(store)
    (letter,) = await kept(letters)

    assert letter.command() == {"verb": "cancel", "command_id": "c-1", "backend": "nowhere", "job_id": "1"}


async def test_what_could_not_be_read_is_not_sent_again(store: Store, letters: DeadLetters) -> None:
    await store.reject(reject("\\xff garbage", "m-1", "message: can't be read"))
    (letter,) = await kept(letters)

    with pytest.raises(InvalidCommand, match="can't be read"):
        letter.command()


@pytest.mark.parametrize("letter_id", ["1-1", "x", "+", ""])
async def test_an_unknown_letter_says_so(letters: DeadLetters, letter_id: str) -> None:
    with pytest.raises(UnknownCancellation):
        await letters.get(letter_id)


GUARDED = Signatures(required=True)


def letter(number: int, size: int = 1000, *, unverified: bool = False) -> Rejection:
    return reject({"n": number, "x": "x" * size}, f"c-{number}", "why", unverified=unverified)


@pytest.fixture
def small(redis: Redis) -> Store:
    """A store that keeps 100 kB of dead letters, a tenth of it for unverified senders."""
    return Store(redis, "canceller", Retention(dead_letters_size=100_000))


async def size(redis: Redis) -> int:
    """Return how many bytes Redis needs for all dead letters."""
    return sum([await redis.memory_usage(f"{{canceller}}:{name}", samples=0) or 0 for name in LETTERS])


async def test_dead_letters_are_bounded_by_their_bytes_and_the_newest_stay(
    small: Store, letters: DeadLetters, redis: Redis
) -> None:
    for number in range(300):
        await small.reject(letter(number))
    left = [one.command_id for one in await kept(letters)]

    assert left == [f"c-{number}" for number in range(300 - len(left), 300)]
    assert 60 < len(left) < 100
    assert await size(redis) < 130_000


async def test_the_size_of_letters_counts_and_not_their_number(small: Store, letters: DeadLetters) -> None:
    for number in range(200):
        await small.reject(letter(number, 10))
    await small.reject(letter(200, 50_000))
    left = [one.command_id for one in await kept(letters)]

    assert left[-1] == "c-200"
    assert 100 < len(left) < 170


async def test_one_letter_that_is_larger_than_all_may_be_is_kept_alone(small: Store, letters: DeadLetters) -> None:
    for number, length in enumerate((10, 10, 200_000)):
        await small.reject(letter(number, length))

    assert [one.command_id for one in await kept(letters)] == ["c-2"]


async def test_strangers_push_out_nobody_elses_letters(small: Store, letters: DeadLetters, redis: Redis) -> None:
    """C5: 64 unsigned messages of 0.9 MB would fill Redis, and everything else would stop."""
    await small.reject(letter(0))
    for number in range(1, 200):
        unsigned = Admission({}, signatures=GUARDED).take({**BAD, "reason": "x" * 900_000}, f"c-{number}")
        assert isinstance(unsigned, Rejection)
        await small.reject(unsigned)
    left = [one.command_id for one in await kept(letters)]

    assert left[0] == "c-0"
    assert left[1:] == [f"c-{number}" for number in range(201 - len(left), 200)]
    assert await size(redis) < 30_000


async def test_letters_of_all_are_listed_by_their_time_and_found_by_their_ids(
    small: Store, letters: DeadLetters, redis: Redis
) -> None:
    for number in range(60):
        await small.reject(letter(number, 10, unverified=number % 3 == 0))
    left = await kept(letters)
    ids = [one.id for one in left]

    assert await redis.xlen("{canceller}:dead:unsigned") == 20
    assert [one.unverified for one in left] == [number % 3 == 0 for number in range(60)]
    assert [one.command_id for one in left] == [f"c-{number}" for number in range(60)]
    assert len(set(ids)) == 60
    assert [await letters.get(one) for one in ids] == left
    assert [one async for one in letters.list(7)] == left[:7]

    for one in left[::2]:
        await letters.drop(one)
    assert await kept(letters) == left[1::2]


async def test_no_two_letters_have_one_id_also_within_a_millisecond(
    small: Store, letters: DeadLetters, redis: Redis
) -> None:
    """To the streams the clock stands still, because their newest ids are far ahead of it."""
    for name in LETTERS:
        await redis.xadd(f"{{canceller}}:{name}", {"reason": "why", "raw": "1", "mark": "old 1"}, id="9999999999999-0")
    for number in range(10):
        await small.reject(letter(number, 10, unverified=number % 2 == 0))
    ids = [one.id for one in await kept(letters) if one.command_id != "old"]

    assert len(set(ids)) == 10


async def test_letters_of_an_older_version_count_once_a_newer_one_has_come(
    small: Store, letters: DeadLetters, redis: Redis
) -> None:
    await redis.xadd("{canceller}:dead", {"reason": "why", "raw": "1", "mark": "old 1"})
    for number in range(200):
        await small.reject(letter(number))

    assert "old" not in [one.command_id for one in await kept(letters)]


async def test_dead_letters_take_a_tenth_of_redis_memory_at_most(redis: Redis, letters: DeadLetters) -> None:
    store = Store(redis, "canceller", Retention(dead_letters_size=64_000_000))
    limit = (await redis.config_get("maxmemory"))["maxmemory"]
    await redis.config_set("maxmemory", 60_000_000)
    try:
        await store.fullness()
        for number in range(100):
            await store.reject(letter(number, 100_000))
    finally:
        await redis.config_set("maxmemory", limit)

    assert 40 < len(await kept(letters)) < 60
    assert await size(redis) < 7_000_000


async def test_letters_of_strangers_are_kept_as_long_as_others(redis: Redis, letters: DeadLetters) -> None:
    store = Store(redis, "canceller", Retention(dead_letters=1.0))
    for number in range(300):
        await store.reject(letter(number, 100, unverified=number % 2 == 0))
    await store.trim((await store.times())[0] + timedelta(seconds=60))

    assert len(await kept(letters)) < 100


async def test_a_letter_that_holds_a_cut_message_is_not_sent_again(store: Store, letters: DeadLetters) -> None:
    unsigned = Admission({}, signatures=GUARDED).take({**BAD, "reason": "x" * 900_000}, "c-1")
    assert isinstance(unsigned, Rejection)
    await store.reject(unsigned)
    (one,) = await kept(letters)

    with pytest.raises(InvalidCommand, match="sent again"):
        one.command()
