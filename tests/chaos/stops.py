"""Abort, pause and hold around a due force, while workers are killed: `python -m tests.chaos.stops --moments 200`.

Each moment is a fresh batch or single cancellation on one deployment with two workers; most of its jobs hang in
CANCELLING until they are forced, and some moments have a slow backend. At a random time around the due force, work is
told to stop; `moments` judges the result. Exit 1 if a changing call began after the acknowledgement, if anything
started after a pause, if work did not go on and end correctly after a resume or release, or if anything was lost.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import re
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from aiohttp import web
from redis.asyncio import Redis
from rich.console import Console
from rich.table import Table

from tests.chaos.moments import AIMS, KINDS, MUST_BE_ZERO, SLOW, Call, Job, Moment, Told, judge, plan, row
from tests.chaos.world import EVENTS, Server, environment
from tests.support.cell import READY, Worker
from worker.client import AsyncClient
from worker.settings.environment import Settings
from worker.simulator import Simulator

WHO: dict[str, Any] = {"by": "ann", "reason": "stop"}
KNOBS = {"ess": {"cancel_delay": 0.3, "force_window": 1.0}}
BACKENDS = """
[backends.ess]
kind = "oracle-ess"
base_url = "{url}"
auth = {{ type = "none" }}
force = "attested"
force_after = "1s"
poll = {{ first = "100ms", max = "400ms" }}
timeout = "1s"
breaker = {{ failures = 200, pause = "1s" }}
"""
CHANGING = re.compile(r"(?:POST|DELETE) .*/requests/\d+(/cancel|/forceCancel|)")
VERBS = {"/cancel": "cancel", "/forceCancel": "force", "": "delete"}
JOB = re.compile(r"/requests/(\d+)")
QUIET, QUIET_AFTER_A_KILL = 1.5, 7.0
"""Seconds for which an order is watched; the records of a killed worker are worked on again within 6 s."""
PATIENCE = 60.0


class Backend(Simulator):
    """A slow simulator that notes each changing call as it arrives, before handling it."""

    def __init__(self, seed: int) -> None:
        super().__init__(knobs=KNOBS)
        self.calls: dict[str, list[Call]] = defaultdict(list)
        self.slow: dict[str, float] = {}
        self._dice = random.Random(seed)  # noqa: S311 - repeatable dice

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        call = Call("look", time.time())
        job = JOB.search(request.path)
        job_id = job[1] if job else ""
        if changing := CHANGING.fullmatch(f"{request.method} {request.path}"):
            call.verb = VERBS[changing[1]]
            self.calls[job_id].append(call)
        late = self._dice.uniform(0.0, self.slow.get(job_id, 0.0))
        try:
            await asyncio.sleep(late / 2)
            response = await super()._serve(request)
            await asyncio.sleep(late / 2)
            return response
        finally:
            call.left = time.time()


class Storm:
    """One deployment, and the moments on it."""

    def __init__(self, options: argparse.Namespace, folder: Path, server: Server, backend: Backend) -> None:
        self.options, self.folder, self.backend, self.server = options, folder, backend, server
        file = folder / "backends.toml"
        file.write_text(BACKENDS.format(url=backend.url))
        self.env = environment(server, file, {})
        self.workers: dict[Path, Worker] = {}
        self.numbers = count()
        self.client = AsyncClient.from_env(Settings.load(self.env))
        self.told: dict[str, list[Told]] = defaultdict(list)
        self.news = asyncio.Condition()
        self.moments: list[Moment] = []
        self.kills: list[float] = []
        self.lived = 0
        self.lags: dict[float, float] = {}
        self.problems: list[tuple[str, str]] = []

    async def read(self) -> None:
        """Read the events as they come."""
        position = "0-0"
        async with Redis.from_url(self.server.url) as client:
            while True:
                reply: Any = await client.xread({EVENTS: position}, count=1000, block=1000)
                for _, entries in reply or []:
                    for entry, fields in entries:
                        position = entry.decode()
                        event = json.loads(fields[b"event"])
                        name = event["type"].removeprefix("canceller.").removesuffix(".v1")
                        self.told[event.get("subject", "")].append(
                            Told(int(position.split("-")[0]) / 1000, name, event)
                        )
                async with self.news:
                    self.news.notify_all()

    async def until(self, done: Callable[[], object], seconds: float = PATIENCE) -> bool:
        """Wait until a condition on the events is true; say whether it is."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds), self.news:
                await self.news.wait_for(lambda: bool(done()))
                return True
        return False

    def start(self) -> Worker:
        """Start a worker process."""
        log = self.folder / f"worker{next(self.numbers)}.log"
        return self.workers.setdefault(log, Worker(self.env, log))

    def running(self) -> list[Path]:
        """Return the logs of the workers that are ready; a worker that has ended by itself is a finding."""
        for log, worker in list(self.workers.items()):
            if worker.ended():
                del self.workers[log]
                self.problems.append(("workers that ended by themselves", str(log)))
                self.start()
        return [log for log in self.workers if log.exists() and READY in log.read_text()]

    async def measure(self) -> None:
        """Measure how long after its cancel a job is forced, for each slowness."""
        for number, slow in enumerate(SLOW):
            jobs = [Job(str(9_000_000 + 100 * number + at), "stuck", "cancel") for at in range(6)]
            one = Moment("batch abort", number, f"measure-{number}", jobs, "", slow, told=self.told)
            await self.send(one)
            if not await self.until(partial(one.first, one.name, "batch.finished")):
                raise TimeoutError(f"not ended: {one}")
            lags = []
            for job in jobs:
                at = {call.verb: call.arrived for call in self.backend.calls[job.id]}
                lags.append(at["force"] - at["cancel"])
            self.lags[slow] = sorted(lags)[len(lags) // 2]

    def plan(self, kind: str, number: int) -> Moment:
        """Choose a moment."""
        one = plan(self.options.seed, kind, number)
        turn = number + list(KINDS).index(kind)  # so that the kills are spread over the kinds
        one.killed = bool(self.options.kill_every) and turn % self.options.kill_every == 0
        one.told, one.calls = self.told, self.backend.calls
        return one

    async def send(self, one: Moment, **options: Any) -> None:
        """Create a moment's jobs, and ask for them to be stopped."""
        for job in one.jobs:
            self.backend.add_job("ess", job.id, job.life)
            self.backend.slow[job.id] = one.slow
        if not one.terms.about_batch:
            await self.client.cancel("ess", one.jobs[0].id, command_id=one.name, remote_stopped=True)
            return
        fields = {"backend": "ess", "remote_stopped": True}
        commands = [{"verb": job.verb, "job_id": job.id, **fields} for job in one.jobs]
        await self.client.batch(commands, batch_id=one.name, **options)

    async def moment(self, one: Moment) -> None:
        """Run one moment."""
        dice = random.Random(f"{self.options.seed} {one.name}")  # noqa: S311 - repeatable dice
        self.moments.append(one)
        await self.send(one, **({"rate": rate} if (rate := dice.choice([None, 5, 20])) else {}))
        await self.come_close(one, dice)
        kill = asyncio.create_task(self.kill(one, dice.uniform(0.0, 0.15))) if one.killed else None
        await asyncio.sleep(0.05 if kill else 0.0)
        one.sent_at = time.time()
        await self.order(one)
        await self.until(lambda: one.acknowledged)
        if kill:
            await kill
        await asyncio.sleep(QUIET_AFTER_A_KILL if one.killed else QUIET)
        await self.go_on(one)
        ended = "batch.finished" if one.terms.about_batch else "cancellation.finished"
        if not await self.until(lambda: one.first(one.subject, ended)):
            self.problems.append(("unfinished", str(one)))
        elif one.terms.about_batch:
            members = self.client.batch_by_id(one.name).report()
            one.report = [(member.outcome, member.cancellation_id) async for member in members]
        for job in one.jobs:  # otherwise the lists of jobs would keep growing
            self.backend.world.jobs.pop(("ess", job.id), None)

    async def come_close(self, one: Moment, dice: random.Random) -> None:
        """Wait until it is time for the order."""
        _, least, most = AIMS[one.aim]
        begun = "batch.started" if one.terms.about_batch else "cancellation.accepted"
        await self.until(lambda: one.first(one.subject, begun))
        await self.until(lambda: any(one.calls.get(job.id) for job in one.jobs), 0 if one.aim == "starting" else 20)
        cancelled = [called[0].arrived for job in one.jobs if (called := one.calls.get(job.id))]
        due = dice.choice(cancelled) + self.lags[one.slow] if cancelled else time.time()
        begin = time.time() if one.aim == "starting" else due
        await asyncio.sleep(begin + dice.uniform(least, most) - time.time())

    async def order(self, one: Moment) -> None:
        """Give the order."""
        batch = self.client.batch_by_id(one.name)
        orders: dict[str, Callable[[], Awaitable[str]]] = {
            "batch abort": lambda: batch.abort(**WHO),
            "batch pause": lambda: batch.pause(**WHO),
            "batch pause --hold": lambda: batch.pause(**WHO, hold=True),
            "hold": lambda: self.client.hold(one.name, **WHO),
            "abort": lambda: self.client.abort(one.name, **WHO),
        }
        await orders[one.kind]()

    async def go_on(self, one: Moment) -> None:
        """Lift the order."""
        if one.terms.ends:
            return
        if one.terms.about_batch:
            await self.client.batch_by_id(one.name).resume(**WHO)
        else:
            await self.client.release(one.name, **WHO)

    async def kill(self, one: Moment, seconds: float) -> None:
        """Kill a worker after a while and start another, unless only one runs."""
        await asyncio.sleep(seconds)
        running = self.running()
        one.killed = len(running) > 1
        if one.killed:
            self.kills.append(time.time())
            self.workers.pop(random.Random(one.name).choice(running)).kill()  # noqa: S311 - repeatable dice
            self.start()

    async def run(self) -> None:
        """Run all moments, some at a time, and check what is left."""
        try:
            async with asyncio.TaskGroup() as group:
                reading = group.create_task(self.read())
                for worker in [self.start() for _ in range(2)]:
                    await asyncio.to_thread(worker.wait_for, READY)
                await self.measure()
                left = (self.plan(kind, at) for at in range(self.options.moments) for kind in self.options.kinds)
                await asyncio.gather(*(self.live(left) for _ in range(self.options.at_once)))
                reading.cancel()
            await self.check_left()
        finally:
            for worker in self.workers.values():
                worker.stop()
            await self.client.aclose()

    async def live(self, left: Iterator[Moment]) -> None:
        """Run one moment after the other."""
        for one in left:
            try:
                await self.moment(one)
            except Exception as error:  # noqa: BLE001 - it stops no other
                self.problems.append(("failures of the bench", f"{error!r}: {one}"))
            self.lived += 1
            if self.lived % 50 == 0:
                say(f"{self.lived} moments, {len(self.kills)} kills")

    async def check_left(self) -> None:
        """Check that Redis has no open work, and that no worker logged an unexpected failure."""
        async with Redis.from_url(self.server.url) as client:
            for name in ("open:ess", "claims:ess"):
                if count := await client.hlen(f"{{canceller}}:{name}"):
                    self.problems.append(("left in Redis", f"{name}: {count}"))
        for log in self.folder.glob("worker*.log"):
            for line in log.read_text(errors="replace").splitlines():
                if line.startswith("Traceback") or '"exception"' in line:
                    self.problems.append(("tracebacks in the logs", line[:1500]))


def say(text: str) -> None:
    """Write a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


async def storm(options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Set up a deployment, run all moments, judge."""
    began = time.monotonic()
    server = Server(folder / "redis", "everysec")
    try:
        async with Backend(options.seed) as backend:
            one = Storm(options, folder, server, backend)
            await one.run()
    finally:
        server.stop()
    findings = judge(one.moments, one.kills)
    for name, text in one.problems:
        findings.add(name, text)
    return {
        "seed": options.seed,
        "directory": str(folder),
        "seconds": round(time.monotonic() - began),
        "kills": len(one.kills),
        "kinds": {kind: row([of for of in one.moments if of.kind == kind], one.kills) for kind in options.kinds},
        "zeros": {name: findings.zeros.get(name, 0) for name in MUST_BE_ZERO} | dict(findings.zeros),
        "examples": dict(findings.examples),
    }


def show(report: dict[str, Any]) -> None:
    """Print the report for people."""
    console = Console(width=170)
    columns = list(next(iter(report["kinds"].values())))
    table = Table("order", *columns, title=f"seed {report['seed']}, {report['seconds']} s, {report['kills']} kills")
    for kind, figures in report["kinds"].items():
        table.add_row(kind, *(str(figures[column]) for column in columns))
    console.print(table)
    for name, texts in report["examples"].items():
        console.print(f"[red]{name}: {report['zeros'][name]}[/red]")
        for text in texts:
            console.print(f"  {text}", markup=False, highlight=False, soft_wrap=True)


def main() -> int:
    """Read the command line, run, report; return 1 if anything that must be zero is not."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.stops", description=__doc__)
    parser.add_argument("--moments", type=int, default=20, help="moments of each kind of order")
    parser.add_argument("--kinds", nargs="+", choices=list(KINDS), default=list(KINDS), help="which orders, in turns")
    parser.add_argument(
        "--kill-every", type=int, default=2, help="kill in one moment of so many, if both workers run; 0: never"
    )
    parser.add_argument("--at-once", type=int, default=6, help="moments at a time")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10_000))
    parser.add_argument("--json", type=Path, help="write the report there too")
    options = parser.parse_args()
    report = asyncio.run(storm(options, Path(tempfile.mkdtemp(prefix="stops", dir="/tmp"))))
    show(report)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1))
    wrong = {name: count for name, count in report["zeros"].items() if count}
    say(f"FAILED: {wrong}" if wrong else f"all {len(MUST_BE_ZERO)} zeros are zero")
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
