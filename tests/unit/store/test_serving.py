"""How long a backend has not been announced: by this worker's own clock, only for the time in which it could look."""

from __future__ import annotations

from math import inf

import pytest

from worker.store.serving import GRACE, LIFE, MOST_UNSEEN, Serving

HOUR = 3_600_000.0


class Watch:
    """A worker that looks, with a clock that the test sets."""

    def __init__(self) -> None:
        self.now = 100.0
        self.serving = Serving(clock=lambda: self.now)

    def look(self, after: float = 1.0, **announced: float) -> None:
        self.now += after
        self.serving.see(announced)


@pytest.fixture
def watch() -> Watch:
    return Watch()


def test_a_backend_that_is_not_known_was_never_heard_of(watch: Watch) -> None:
    watch.look(ess=1.0)
    assert (watch.serving.silence("oml"), watch.serving.known) == (inf, {"ess"})


def test_the_first_sight_of_a_backend_counts_as_a_beat_however_old_it_is(watch: Watch) -> None:
    watch.look(after=HOUR, ess=1.0)
    assert watch.serving.silence("ess") == 0.0


@pytest.mark.parametrize("step", [4.0, 31 * 60_000.0, -HOUR], ids=["on", "forth", "back"])
def test_each_beat_ends_the_silence_whichever_way_redis_s_clock_steps(watch: Watch, step: float) -> None:
    watch.look(ess=2 * HOUR)
    watch.look(ess=2 * HOUR)
    watch.look(ess=2 * HOUR + step)
    assert watch.serving.silence("ess") == 0.0


def test_silence_grows_while_no_beat_comes(watch: Watch) -> None:
    for _ in range(int(GRACE) + 1):
        watch.look(ess=1.0)
    assert watch.serving.silence("ess") == GRACE


def test_a_backend_is_served_until_a_worker_s_life_has_passed(watch: Watch) -> None:
    watch.look(ess=1.0)
    for _ in range(int(LIFE)):
        assert watch.serving.known == {"ess"}
        watch.look(ess=1.0)
    assert watch.serving.known == frozenset()


def test_time_in_which_nobody_could_look_is_no_silence(watch: Watch) -> None:
    watch.look(ess=1.0)
    watch.look(after=HOUR, ess=1.0)
    assert watch.serving.silence("ess") == MOST_UNSEEN


def test_a_backend_whose_announcement_is_lost_falls_silent_from_then_on(watch: Watch) -> None:
    watch.look(ess=5.0)
    watch.look(ess=0.0)
    watch.look(ess=0.0)
    assert (watch.serving.announced["ess"], watch.serving.silence("ess")) == (0.0, 1.0)
