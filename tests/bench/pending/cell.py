"""One deployment of the benchmark `pending`: a method for each measurement, which returns its figures."""

from __future__ import annotations

import contextlib
import math
import random
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import redis

from tests.bench.kit.cell import QUEUE, Cell, Meter, cell, ess, memory, until
from tests.bench.kit.events import count
from tests.bench.kit.report import quantile
from tests.bench.kit.send import FIRST, chunks, prebuilt, push, submit
from tests.bench.pending import redis as store
from tests.bench.pending.copy import copy
from tests.bench.pending.redis import CLAIMS, DUE, FIRSTS, OPEN, Scripts
from tests.bench.pending.remote import ENDING, Remote

CHUNK = 500
AHEAD = 20
"""Messages on the queue at most, so that Redis's memory has the open cancellations and not their commands."""
FAR = 3600.0
"""Seconds: a record whose next look is at least that far ahead does not disturb the measurement."""
LEAD = 4.0
"""Seconds from setting a due time until it is reached: workers hear of it with their next beat."""
KEEP_FINISHED = 3
EVENTS_ENDED = 3
"""accepted, cancel_sent, finished."""
BACKEND = """\
poll = {{ first = "1s", max = "24h", factor = 50000.0 }}
force_after = "{force_after}"
warn_after = "40h"
give_up_after = "48h"
"""
"""A second look after 1 s, then none for most of a day: only looks whose due time the bench sets come in between."""


@dataclass
class Pending:
    """A deployment with open cancellations."""

    cell: Cell
    remote: Remote
    client: redis.Redis
    empty: float
    """Bytes that Redis used before the first command."""
    open: int = 0
    left: float = 0.0
    """Bytes that ended cancellations have left in Redis: their command ids."""
    ended: int = 0
    copied: bool = False
    dice: random.Random = field(default_factory=lambda: random.Random(7))  # noqa: S311 - repeatable dice

    def meter(self) -> Meter:
        """Return a meter of all processes."""
        return Meter(worker=self.cell.worker_pids, redis=self.cell.redis_pid, remote=self.remote.pid)

    def fill(self, size: int) -> dict[str, Any]:
        """Have commands taken in until so many are open, each job asked to cancel and seen in CANCELLING once."""
        ids = range(FIRST + self.open, FIRST + size)
        messages = prebuilt(lambda app: submit(app, orders(ids), CHUNK))
        self.remote.count()
        meter, began = self.meter(), time.monotonic()
        with Scripts(self.cell.server.url) as scripts:
            for some in chunks(messages, AHEAD // 2):
                self._until(lambda: self.client.llen(QUEUE) <= AHEAD // 2, "room on the queue")
                push(self.client, some)
            self._until(lambda: self.client.hlen(OPEN) >= size, "taken in")
            taken_in = time.monotonic() - began
            self.open = size
            self._until(self.settled, "all asked and seen")
        seconds, cpu, calls = time.monotonic() - began, meter.spent(), self.remote.take()
        return {
            "number": len(ids),
            "s to take in": taken_in,
            "taken in per s": len(ids) / taken_in,
            "s until all are asked": seconds,
            "asked and seen per s": len(ids) / seconds,
            "calls per s": (calls["cancels"] + calls["looks"]) / seconds,
            "calls per s at most": float(max(calls["seconds"].values(), default=0)),
            "calls each": (calls["cancels"] + calls["looks"] + calls["lists"]) / len(ids),
            **{f"{role} CPU ms each": used / len(ids) * 1000 for role, used in cpu.items()},
            "scripts": scripts.figures(),
        }

    def copy(self, size: int) -> dict[str, Any]:
        """Bring the number of open ones up to `size` by copying one of them."""
        copy(self.client, range(FIRST + self.open, FIRST + size))
        self.open, self.copied = size, True
        return {"scripts": {}}

    def settled(self) -> bool:
        """Whether nothing is due soon or being worked on."""
        far = self.client.zcount(DUE, (time.time() + FAR) * 1000, "+inf")
        return far == self.open and not self.client.zcard(FIRSTS) and not self.client.hlen(CLAIMS)

    def weigh(self) -> dict[str, Any]:
        """Return the memory that the open ones take."""
        whole = store.used(self.client) - self.empty - self.left
        kinds = {kind: size / self.open for kind, size in store.by_kind(self.client).items()}
        kinds["cmd (command ids)"] *= self.open / (self.open + self.ended)
        stream, events = store.stream_bytes(self.client), count(self.client)
        return {
            "bytes each": whole / self.open,
            "by kind": kinds | {"table of keys, and the rest": whole / self.open - sum(kinds.values())},
            "encodings": store.encodings(self.client),
            "Redis resident MiB": store.resident(self.client) / 2**20,
            "stream bytes per event": stream / events,
            "events each": math.nan if self.copied else (events - EVENTS_ENDED * self.ended) / self.open,
            "worker RSS MiB": max(memory(pid) for pid in self.cell.worker_pids) / 2**20,
        }

    def come_due(self, rate: float, seconds: float) -> dict[str, Any]:
        """Let looks come due at a steady rate; return how late each reached the remote."""
        jobs, dues = self._spread(rate, seconds), defaultdict(list)
        start = time.time() + LEAD
        self.remote.record()
        with Scripts(self.cell.server.url) as scripts:
            for second, some in enumerate(chunks(jobs, int(rate))):
                times = [start + second + at / rate for at in range(len(some))]
                time.sleep(max(0.0, times[0] - LEAD - time.time()))
                self.set_due(some, times)
                for job, due in zip(some, times, strict=True):
                    dues[str(job)].append(due)
            time.sleep(max(0.0, start + len(jobs) / rate - time.time()))
            self._until(self.settled, "all looked at")
        return {"scripts": scripts.figures(), **lateness(dues, self.remote.take(), start)}

    def bulk(self, number: int) -> dict[str, Any]:
        """Let many looks come due at the same moment; return the calls, time and CPU that they take."""
        jobs = self.dice.sample(range(FIRST, FIRST + self.open), min(number, self.open))
        start = time.time() + LEAD
        self.set_due(jobs, [start] * len(jobs))
        self.remote.record()
        time.sleep(max(0.0, start - time.time()))
        meter = self.meter()
        self._until(self.settled, "all looked at")
        cpu, calls = meter.spent(), self.remote.take()
        last = max((at for at, _ in calls["asked"]), default=start)
        return {
            "looks": len(jobs),
            "looks per s": len(jobs) / (last - start),
            "calls for one job": calls["looks"],
            "calls for a list": calls["lists"],
            "calls per look": (calls["looks"] + calls["lists"]) / len(jobs),
            **{f"{role} CPU ms per look": used / len(jobs) * 1000 for role, used in cpu.items()},
        }

    def rest(self, seconds: float) -> dict[str, float]:
        """Let nothing be due; return the CPU milliseconds per second of each role."""
        meter, began = self.meter(), time.monotonic()
        time.sleep(seconds)
        took = time.monotonic() - began
        return {f"{role} CPU ms per s": used / took * 1000 for role, used in meter.spent().items()}

    def restart(self, number: int) -> dict[str, float]:
        """Restart the worker while some looks are overdue; return the time to its first call, and to the last."""
        self.cell.stop_workers()
        jobs = self.dice.sample(range(FIRST, FIRST + self.open), min(number, self.open))
        self.set_due(jobs, [time.time() - 1.0] * len(jobs))
        self.remote.record()
        began = time.time()
        self.cell.start_workers(1)
        self._until(self.settled, "all looked at")
        asked = [at - began for at, _ in self.remote.take()["asked"]]
        memories = [memory(pid) for pid in self.cell.worker_pids]
        return {
            "s to the first call": min(asked),
            f"s to call {len(jobs)}": max(asked),
            "fresh worker RSS MiB": max(memories) / 2**20,
        }

    def cost(self, number: int) -> dict[str, float]:
        """Take further cancellations to their end; return the CPU milliseconds for each."""
        before, keys = store.used(self.client), self.client.dbsize()
        ids = range(ENDING + self.ended, ENDING + self.ended + number)
        messages = prebuilt(lambda app: submit(app, orders(ids), CHUNK))
        meter, began = self.meter(), time.monotonic()
        push(self.client, messages)
        self._until(lambda: self.client.zcard(FIRSTS) + self.client.hlen(CLAIMS) > 0, "begun")
        self._until(lambda: self.client.hlen(OPEN) == self.open and self.settled(), "all ended")
        seconds, cpu = time.monotonic() - began, meter.spent()
        self.ended += number
        # Their command ids stay, at most one new key per shard of those; the records go after KEEP_FINISHED seconds.
        self._until(lambda: self.client.dbsize() < keys + min(number, 2 * 4096), "let go")
        self.left += store.used(self.client) - before
        each = {f"{role} ms": used / number * 1000 for role, used in cpu.items()}
        return {**each, "worker and Redis ms": each["worker ms"] + each["redis ms"], "per s": number / seconds}

    def set_due(self, jobs: Sequence[int], times: Iterable[float]) -> None:
        """Set earlier due times; a record that a worker has claimed is left alone."""
        found: Any = self.client.hmget(OPEN, [str(job) for job in jobs])
        due = dict(zip(found, (at * 1000 for at in times), strict=True))
        self.client.zadd(DUE, {id_: int(at) for id_, at in due.items()}, xx=True, lt=True)

    def _spread(self, rate: float, seconds: float) -> list[int]:
        """Choose jobs at random; if there are too few, repeat them in turn, or not at all if there are very few."""
        number, jobs = int(rate * seconds), range(FIRST, FIRST + self.open)
        some = self.dice.sample(jobs, min(number, self.open))
        if len(some) < rate * (LEAD + 2):
            return some
        return [some[at % len(some)] for at in range(number)]

    def _until(self, done: Any, what: str) -> None:
        until(done, 120 + self.open / 50, f"{what} ({self.open} open)", every=0.1)


def lateness(dues: dict[str, list[float]], calls: dict[str, Any], start: float) -> dict[str, Any]:
    """Compare the times of the calls with the due times."""
    asked: dict[str, list[float]] = defaultdict(list)
    for at, job in calls["asked"]:
        asked[job].append(at)
    late = [
        (at - due) * 1000 for job, times in dues.items() for due, at in zip(times, sorted(asked[job]), strict=False)
    ]
    last = max(at for at, _ in calls["asked"])
    return {
        "looks": len(late),
        "looks missing": sum(map(len, dues.values())) - len(late),
        "looks too many": len(calls["asked"]) - len(late),
        "late p50 ms": quantile(late, 0.50),
        "late p99 ms": quantile(late, 0.99),
        "late max ms": max(late),
        "earliest ms": min(late),
        "looks per s": len(late) / (last - start),
    }


def orders(ids: Iterable[int]) -> list[dict[str, Any]]:
    """Return one cancel per job, as a service would send it; its id is the message's id with its place there."""
    return [
        {"backend": store.BACKEND, "job_id": str(job), "reason": "budget", "requested_by": "billing"} for job in ids
    ]


@contextlib.contextmanager
def pending(lines: Sequence[str], *, held: bool, config: dict[str, str]) -> Iterator[Pending]:
    """Set up a deployment: `lines` are added to the backend's table, `config` is set in Redis."""
    env = {"CANCELLER_KEEP_RECORDS": str(KEEP_FINISHED)}
    with Remote() as remote:
        remote.held(held=held)
        text = BACKEND.format(force_after="30m" if held else "40h")
        table = ess(store.BACKEND, remote.url, "".join(f"{line}\n" for line in (text, *lines)))
        with cell(table, workers=0, env=env) as one, one.client() as client:
            for name, value in config.items():
                client.config_set(name, value)
            one.start_workers(1)
            time.sleep(2.0)
            yield Pending(one, remote, client, store.used(client))
