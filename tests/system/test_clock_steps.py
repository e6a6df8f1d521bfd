"""A step of Redis's clock that the workers' clocks disprove forces nothing, ends nothing and stops no look."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest
from celery import Celery
from redis import Redis
from support.cell import Cell, Worker, cell_on
from support.stepping import POSSIBLE, SteppedClock

from worker.local.embedded_redis import Embedded
from worker.protocol.signing import sign

pytestmark = pytest.mark.skipif(not POSSIBLE, reason="needs Linux and a C compiler to step a server's clock")

KEY = "a-shared-secret-of-at-least-32-bytes"
BACKENDS = """
[producers.ops]
algorithm = "HS256"
keys_file = "ops.key"
force = true
[backends.ess]
kind = "oracle-ess"
base_url = "{ess}"
auth = { type = "none" }
force = "auto"
force_after = "30m"
give_up_after = "24h"
poll = { first = "100ms", max = "200ms" }
"""
MINUTE, HOUR = 60, 3600
STEPS = {"31 minutes ahead": 31 * MINUTE, "25 hours ahead": 25 * HOUR, "an hour back": -HOUR}
LOOKS = 5


@pytest.fixture
def clock(tmp_path: Path) -> SteppedClock:
    return SteppedClock(tmp_path)


@pytest.fixture
def place(tmp_path: Path, clock: SteppedClock) -> Iterator[Cell]:
    """A deployment whose ESS sends no `Date`, so that all waits depend on Redis's clock."""
    (tmp_path / "ops.key").write_text(KEY, encoding="utf-8")
    knobs = {"all": {"date_header": False}, "ess": {"force_window": 0.0, "cancel_delay": 0.1}}
    with ExitStack() as stack:
        with clock.applied():
            url = stack.enter_context(Embedded(tmp_path / "redis")).url
        sender = Celery(broker=url.replace("unix://", "redis+socket://"))
        client = Redis.from_url(url)
        yield stack.enter_context(cell_on(url, client, sender, tmp_path, BACKENDS, knobs=knobs))


def calls(one: Cell, verb: str) -> int:
    return len([entry for entry in one.simulator.log("ess", 1) if entry.verb == verb])


def looked_on(one: Cell, looks: int = LOOKS) -> None:
    """Wait for so many more looks at the job; a blocking read of Redis would use the clock that is stepped."""
    before, deadline = calls(one, "look"), time.monotonic() + 60
    while calls(one, "look") < before + looks:
        assert time.monotonic() < deadline, one.logs(3000)
        time.sleep(0.05)


@pytest.mark.parametrize("step", STEPS.values(), ids=STEPS)
def test_a_step_forces_nothing_ends_nothing_and_stops_no_look(place: Cell, clock: SteppedClock, step: int) -> None:
    place.simulator.add_job("ess", 1, life="stuck")
    worker = place.start_worker()
    place.send("cancel", backend="ess", job_id=1)
    place.wait_until(lambda: calls(place, "look") > 1)
    clock.set(step)
    line = worker.wait_for("redis.clock_stepped")
    looked_on(place)

    assert json.loads(line)["seconds"] == step
    assert (calls(place, "force"), place.of("finished")) == (0, [])


def test_two_workers_go_on_as_one_does(place: Cell, clock: SteppedClock) -> None:
    place.simulator.add_job("ess", 1, life="stuck")
    place.start_worker()
    place.start_worker()
    place.send("cancel", backend="ess", job_id=1)
    place.wait_until(lambda: calls(place, "look") > 1)
    for step in (*STEPS.values(), 0):
        clock.set(step)
        looked_on(place)
    before = time.time()
    place.send("abort", id=place.of("accepted")[0]["cancellationid"], by="ann", reason="enough")
    place.wait_finished(1)

    assert calls(place, "force") == 0
    assert place.finished("ess", "1")["outcome"] == "aborted"
    ended = datetime.fromisoformat(place.finished("ess", "1")["time"]).timestamp()
    assert before - MINUTE < ended < time.time() + MINUTE  # which is not as far off as any step


@pytest.mark.parametrize("end", [Worker.stop, Worker.kill], ids=["stopped", "killed"])
def test_time_that_passed_while_no_worker_ran_counts(
    place: Cell, clock: SteppedClock, end: Callable[[Worker], object]
) -> None:
    place.simulator.add_job("ess", 1, life="stuck")
    worker = place.start_worker()
    place.send("cancel", backend="ess", job_id=1)
    place.wait_until(lambda: calls(place, "look") > 1)
    end(worker)
    clock.set(31 * MINUTE)
    place.start_worker()
    place.wait_finished(1)

    assert place.finished("ess", "1")["outcome"] == "force_cancelled"


WRONG = {"Redis's clock is stepped away from the true time": (0, HOUR), "and back to it": (-HOUR, 0)}


@pytest.mark.parametrize(("before", "after"), WRONG.values(), ids=WRONG)
def test_a_step_refuses_no_command_that_is_valid_now(place: Cell, clock: SteppedClock, before: int, after: int) -> None:
    clock.set(before)
    place.simulator.add_job("ess", 1, life="stuck")
    place.simulator.add_job("ess", 2)
    worker = place.start_worker()
    place.send("cancel", backend="ess", job_id=1)
    place.wait_until(lambda: calls(place, "look") > 1)
    clock.set(after)
    worker.wait_for("redis.clock_stepped")
    command = {"verb": "cancel", "backend": "ess", "job_id": "2", "command_id": "c2"}
    now = datetime.fromtimestamp(time.time(), UTC)
    token = sign(command, producer="ops", key=KEY, algorithm="HS256", now=now, lifetime=600)
    place.sender.send_task(
        "worker.cancel",
        kwargs={**{name: value for name, value in command.items() if name != "verb"}, "token": token},
        queue="commands",
        expires=600,
    )
    place.wait_finished(1)

    assert place.of("rejected") == []
    assert place.finished("ess", "2")["outcome"] == "cancelled"
