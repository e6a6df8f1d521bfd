"""Runs lives: many at once against one product, each judged when it has ended."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.liars.judge import Case, Event, Member, at_of, findings, name_of
from tests.liars.plans import Plan, plan
from tests.liars.product import Product, life_of
from tests.liars.traces import trace_of_life
from tests.liars.wire import Liar
from worker.local.embedded_redis import Embedded
from worker.simulator.clock import Clock

AFTERWARDS = 0.2
"""Seconds for which a life is watched after its end: nothing may follow."""
APART = 0.01
"""Seconds between the starts of two lives: if all started at once, all would be late."""
OVERDUE = 6.0
"""Seconds after `give_up_after` at which the end is no longer waited for."""


@dataclass(frozen=True, slots=True)
class Lived:
    """The result of one life; `faults` are those that it was built around."""

    number: int
    place: str
    story: str
    lies: tuple[str, ...]
    faults: tuple[str, ...]
    outcomes: tuple[str, ...]
    findings: tuple[tuple[str, str], ...]
    replay: str
    trace: tuple[str, ...] = ()


@dataclass
class Life:
    """A life that is being run."""

    plan: Plan
    liar: Liar
    events: dict[str, list[Event]] = field(default_factory=lambda: defaultdict(list))
    members: dict[str, list[Member]] = field(default_factory=dict)
    opened: dict[str, list[tuple[str, str]]] = field(default_factory=lambda: defaultdict(list))
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def hear(self, event: Event) -> None:
        """Take in an event; at the first `finished` of a cancellation, note the truth about its jobs at that time."""
        cancellation = str(event.get("cancellationid", ""))
        self.events[cancellation].append(event)
        if name_of(event) == "finished" and cancellation not in self.members:
            address = self.opened[cancellation][0][1] if cancellation in self.opened else self._first_address()
            self.members[cancellation] = self.liar.members(self.plan.job_id, address, at_of(event))
        self.changed.set()

    @property
    def over(self) -> bool:
        """Whether all its cancellations have ended."""
        return all(one in self.members for one in self.opened)

    def cases(self, lag: float) -> list[Case]:
        """Return what is to be judged."""
        return [self._case(one, asked, lag) for one, asked in self.opened.items()]

    def _case(self, cancellation: str, asked: Sequence[tuple[str, str]], lag: float) -> Case:
        plan, story, liar = self.plan, self.plan.story, self.liar
        gave = any(command.get("remote_stopped") for command in plan.commands)
        addresses = {address for _, address in asked}
        return Case(
            verb=plan.verb,
            kind=plan.place.system,
            times=plan.place.times,
            asked=asked,
            members=self.members.get(cancellation) or liar.members(plan.job_id, asked[0][1], liar.clock.now()),
            calls=[one for one in liar.calls if not one.address or one.address in addresses],
            events=self.events[cancellation],
            obeys=story.obeys,
            barred=story.barred,
            word=("refuted" if liar.refuted else "holds") if gave else "",
            lag=lag,
        )

    def _first_address(self) -> str:
        return address_of(self.plan.commands[0])


def address_of(command: Mapping[str, Any]) -> str:
    """Return the part of a command's `params` that is the job's address."""
    return str(command.get("params", {}).get("cluster_id", ""))


class Lives:
    """One product, and the lives that it works on."""

    def __init__(self, redis_url: str, seed: int, at_once: int) -> None:
        self._seed = seed
        self._free = asyncio.Semaphore(at_once)
        self._clock = Clock()
        self._lives: dict[int, Life] = {}
        self._product = Product(redis_url, self._probed)
        self._lag = 0.0
        self._helpers: list[asyncio.Task[None]] = []

    async def live(self, numbers: Iterable[int], *, trace: bool = False) -> AsyncIterator[Lived]:
        """Run these lives, many at once, and yield the result of each."""
        await self._product.start()
        self._helpers = [asyncio.create_task(self._listen()), asyncio.create_task(self._measure_lag())]
        under_way: set[asyncio.Task[Lived]] = set()
        try:
            for number in numbers:
                await self._free.acquire()
                await asyncio.sleep(APART)
                for helper in (one for one in self._helpers if one.done()):
                    helper.result()
                under_way.add(asyncio.create_task(self._one(plan(self._seed, number), trace=trace)))
                done = {task for task in under_way if task.done()}
                under_way -= done
                for task in done:
                    yield task.result()
            for ended in asyncio.as_completed(under_way):
                yield await ended
        finally:
            await self._end_helpers()
            await self._product.stop()

    async def _end_helpers(self) -> None:
        left = set(self._helpers)
        while left:  # redis-py may swallow a cancellation
            for helper in left:
                helper.cancel()
            _, left = await asyncio.wait(left, timeout=0.5)

    async def _one(self, made: Plan, *, trace: bool) -> Lived:
        life = Life(made, Liar(made, self._clock))
        self._lives[made.number] = life
        try:
            life.liar.begin()
            self._product.open(made.number, made.place.name, life.liar.exchange)
            for index, command in enumerate(made.commands):
                id_ = await self._product.send(made.number, command, f"{made.seed}:{made.number}:{index}")
                if id_:
                    life.opened[id_].append((made.job_id, address_of(command)))
            await self._end_of(life)
            await self._product.close(made.number, made.place.name)
        finally:
            del self._lives[made.number]
            self._free.release()
        return self._judged(life, trace=trace)

    async def _end_of(self, life: Life) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(life.plan.place.times.give_up_after + OVERDUE):
                while not life.over:
                    life.changed.clear()
                    await life.changed.wait()
        await asyncio.sleep(AFTERWARDS)

    def _judged(self, life: Life, *, trace: bool) -> Lived:
        made = life.plan
        if life.liar.broken:
            raise RuntimeError(f"the layer itself failed: {made.replay}") from life.liar.broken[0]
        found = [one for case in life.cases(self._lag) for one in findings(case)]
        found += [
            ("an error of the product's own", f"{line['event']}: {line.get('exception', '')[-300:]}")
            for line in self._product.surprises
            if life_of(line.get("traceparent")) == made.number
        ]
        fired = tuple(sorted(name for name in life.liar.fired if name))
        ends = tuple(case.data.get("outcome", "none") for case in life.cases(0.0))
        lines = (
            tuple(trace_of_life(made, life.liar.started, life.liar.traced, life.events, life.members))
            if found or trace
            else ()
        )
        return Lived(
            made.number,
            made.place.name,
            made.story.name,
            fired,
            faults_of(made, fired),
            ends,
            tuple(found),
            made.replay,
            lines,
        )

    def _probed(self, job_id: str) -> int:
        number = (int(job_id) - 10**12) // 1000
        life = self._lives.get(number)
        return life.liar.probe(job_id) if life else 503

    async def _listen(self) -> None:
        async for event in self._product.events():
            life = self._lives.get(life_of(event.get("traceparent")))
            if life:
                life.hear(event)

    async def _measure_lag(self) -> None:
        """Measure the delays of this loop and of Redis: a pass reads the time from a claim's reply, so both matter."""
        loop = asyncio.get_running_loop()
        while True:
            asked = loop.time()
            await asyncio.sleep(0.05)
            await self._product.ping()
            self._lag = max(loop.time() - asked - 0.05, self._lag * 0.999)


def faults_of(made: Plan, fired: Sequence[str]) -> tuple[str, ...]:
    """Return the faults that a finding of this life would point to: none if several lies were mixed."""
    theme, _, rest = made.story.name.partition(": ")
    if rest:
        return (theme.split(" ", 1)[0],)
    if made.story.gone_after is not None and not fired:
        return ("R1",)
    rows = [one.lie for one in made.tellings if one.lie.name in fired]
    return rows[0].faults if len(rows) == 1 else ()


async def lived(
    numbers: Iterable[int], seed: int, at_once: int, take: Callable[[Lived], None], *, trace: bool = False
) -> None:
    """Run lives on a separate embedded Redis; `take` gets the result of each."""
    with tempfile.TemporaryDirectory(prefix="liars-") as directory, Embedded(Path(directory), fsync="no") as embedded:
        async for one in Lives(embedded.url, seed, at_once).live(numbers, trace=trace):
            take(one)
