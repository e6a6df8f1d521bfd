"""What a process reports to Redis about the time, by its own clock."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from worker.store.clock_witness import Witness


class Hand:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.at = 100.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def hand() -> Hand:
    return Hand()


@pytest.fixture
def witness(hand: Hand) -> Witness:
    return Witness("redis", hand)


def test_knows_no_time_before_the_first_answer(witness: Witness) -> None:
    assert witness.knows(witness.now()) == (-1, 0)


def test_knows_the_time_of_an_answer_and_how_long_ago_it_came(hand: Hand, witness: Witness) -> None:
    asked = witness.now()
    hand.at += 0.25
    witness.hears(asked, 5000, 0)
    hand.at += 1.5

    assert witness.knows(witness.now()) == (5000, 1500)


def test_keeps_to_an_earlier_time_where_an_answer_was_long_on_its_way(hand: Hand, witness: Witness) -> None:
    witness.hears(witness.now(), 5000, 0)
    asked = witness.now()
    hand.at += 10
    witness.hears(asked, 5000, 10_000)

    assert witness.knows(witness.now()) == (5000, 10_000)


def test_counts_how_long_it_has_waited_for_another_that_can_tell(hand: Hand, witness: Witness) -> None:
    witness.hears(witness.now(), 5000, b"?")
    hand.at += 1
    witness.hears(witness.now(), 5000, b"?")
    hand.at += 1

    assert witness.knows(witness.now()) == (-1, 2000)


def test_reports_a_step_in_seconds(witness: Witness) -> None:
    with capture_logs() as logs:
        witness.hears(witness.now(), 5000, -3_600_000)

    assert [(line["event"], line["seconds"]) for line in logs] == [("redis.clock_stepped", -3600)]


def test_reports_no_step_that_may_be_the_answers_way(hand: Hand, witness: Witness) -> None:
    asked = witness.now()
    hand.at += 10
    with capture_logs() as logs:
        witness.hears(asked, 5000, 10_000)

    assert logs == []
