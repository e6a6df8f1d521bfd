"""Dead letters: kept with their reason, shown, dropped, and tried again."""

from __future__ import annotations

import pytest
from integration.stored import INTAKE
from redis.asyncio import Redis

from worker.dead_letters import DeadLetter, DeadLetters
from worker.errors import InvalidCommand, UnknownCancellation
from worker.intake import reject
from worker.store import Store
from worker.transitions import Rejection

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
