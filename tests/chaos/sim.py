"""The simulated backends of the chaos bench: one process with a world per backend, controlled through a pipe."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import multiprocessing
import signal
from collections import defaultdict
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

from aiohttp import web

from tests.chaos.plan import PLACES, Place, faults, plan
from worker.simulator import Simulator
from worker.simulator.dispatch import CHANGING
from worker.simulator.job import Job
from worker.simulator.systems import COURSES, MOMENTS

LOOKS = frozenset({"look", "refresh", "list"})


class Asked(NamedTuple):
    """One request about a job, from the simulator's log."""

    number: int
    at: float
    verb: str
    http: int | None
    effect: bool
    fault: str


class Fate(NamedTuple):
    """How a job really ended; times in seconds since 1970."""

    state: str
    since: float
    ended_at: float | None
    deleted_at: float | None
    natural_end: float | None


class World(Simulator):
    """A simulator that also notes which job a batch delete or a list of children is about, as the path does not say."""

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()  # aiohttp keeps it, so the next read returns at once
        at = len(self.world.journal)
        try:
            return await super()._serve(request)
        finally:
            job_id = request.query.get("q", "").removeprefix("absParentRequestId eq ")
            if request.path.endswith("/batch-delete"):
                (job_id,) = json.loads(body)["job_id_list"]
            if job_id:
                self.world.journal[at] = dataclasses.replace(self.world.journal[at], job_id=job_id)


class Backends:
    """All worlds of a run."""

    def __init__(self, seed: int, *, finished: bool) -> None:
        self._seed, self._finished = seed, finished
        self.worlds = {place.name: World(knobs=place.knobs) for place in PLACES}
        self._fates: dict[str, dict[str, Fate]] = {place.name: {} for place in PLACES}

    def make(self, start: int, stop: int) -> None:
        """Create the jobs of some commands."""
        for index in range(start, stop):
            one = plan(self._seed, index, finished=self._finished)
            spec = one.spec()
            self.worlds[one.backend].add_job(spec.pop("system"), spec.pop("id"), spec.pop("life"), **spec)

    def spoil(self, share: float) -> None:
        """Put faults into force, or lift them all."""
        for at, place in enumerate(PLACES):
            self.worlds[place.name].clear_faults()
            for rule in faults(share, self._seed * 10 + at, place) if share else ():
                self.worlds[place.name].add_fault(**rule)

    def revoke(self) -> None:
        """Revoke all tokens that were issued."""
        for world in self.worlds.values():
            world.revoke_tokens()

    def retire(self, jobs: list[tuple[str, list[str]]]) -> None:
        """Note how jobs ended and forget them, as otherwise the lists of children and of jobs would keep growing."""
        for backend, ids in jobs:
            world = self.worlds[backend].world
            for job_id in ids:
                self._note(backend, job_id)
            for job_id in ids:
                job = world.jobs.pop((_system(backend), job_id), None)
                if job:
                    world._heirs.pop((job.system, job_id), None)

    def dump(self) -> tuple[dict[str, dict[str, Fate]], dict[str, dict[str, list[Asked]]], dict[str, int]]:
        """Return all fates, all requests by job, and how often each fault struck."""
        logs: dict[str, dict[str, list[Asked]]] = {}
        struck: dict[str, int] = defaultdict(int)
        for backend, world in self.worlds.items():
            for system, job_id in list(world.world.jobs):
                assert system == _system(backend)
                self._note(backend, job_id)
            found: dict[str, list[Asked]] = defaultdict(list)
            for entry in world.world.journal:
                struck[entry.fault] += bool(entry.fault)
                if entry.verb in CHANGING or entry.verb in LOOKS:
                    asked = Asked(entry.number, entry.at, entry.verb, entry.http, entry.effect, entry.fault)
                    found[entry.job_id].append(asked)
            logs[backend] = dict(found)
        return self._fates, logs, dict(struck)

    def calls(self) -> int:
        """Return how many requests came in."""
        return sum(len(world.world.journal) for world in self.worlds.values())

    def _note(self, backend: str, job_id: str) -> None:
        system, simulator = _system(backend), self.worlds[backend]
        job: Job | None = simulator.world.jobs.get((system, job_id))
        if job is None or job_id in self._fates[backend]:
            return
        here = MOMENTS[system](simulator.world, job, simulator.clock.now())
        ended = here.since if here.state in COURSES[system].terminal else None
        natural = None if job.life.ends_after is None else job.created_at + job.life.ends_after
        self._fates[backend][job_id] = Fate(here.state, here.since, ended, job.deleted_at, natural)


def _system(backend: str) -> str:
    return next(place.system for place in PLACES if place.name == backend)


async def _run(pipe: Connection, backends: Backends) -> None:
    for world in backends.worlds.values():
        await world.start()
    loop = asyncio.get_running_loop()
    pipe.send({name: world.url for name, world in backends.worlds.items()})
    while True:
        name, *args = await loop.run_in_executor(None, pipe.recv)
        if name == "stop":
            return
        pipe.send(getattr(backends, name)(*args))


def main(pipe: Connection, seed: int, finished: bool) -> None:  # noqa: FBT001 - a process's arguments
    """Run all worlds until told to stop."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    asyncio.run(_run(pipe, Backends(seed, finished=finished)))


class Remote:
    """The worlds, seen from the bench's own process."""

    def __init__(self, seed: int, *, finished: bool) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=main, args=(theirs, seed, finished), daemon=True)
        self._process.start()
        self.roots: dict[str, str] = self._pipe.recv()

    def do(self, name: str, *args: Any) -> Any:
        """Have something done in that process, and wait for it."""
        self._pipe.send((name, *args))
        return self._pipe.recv()

    def stop(self) -> None:
        """End the process."""
        self._pipe.send(("stop",))
        self._process.join(timeout=5)
        self._process.kill()


__all__ = ["Asked", "Fate", "Place", "Remote"]
