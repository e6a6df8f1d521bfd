"""`python -m tests.chaos.run --kills 200`: kill workers (and Redis) under load, then judge the result.

This module does the killing; the deployment is in `world`, the jobs are in `plan`, the judgement is in `truth`.
"""

from __future__ import annotations

import argparse
import json
import pickle
import random
import sys
import tempfile
import time
from collections import Counter, defaultdict, deque
from dataclasses import dataclass, field
from operator import itemgetter
from pathlib import Path
from typing import Any

import psutil

from tests.chaos.broker import Broker, broker_of
from tests.chaos.plan import BY_NAME, ENV, PLACES, plan, write_backends
from tests.chaos.recovery import Recovery
from tests.chaos.report import MUST_BE_ZERO, Run, as_json, judge, show
from tests.chaos.sender import Sender
from tests.chaos.sim import Remote
from tests.chaos.upsets import Deploys, Pipe, Upset, clock_in, upsets
from tests.chaos.world import Reader, Server, Worker, environment
from tests.support.rabbitmq_node import NoRabbitMQ

AHEAD = 300
RETIRE_AFTER = 20.0
REVOKE_EVERY = 7.0
BURST = 600
STALL = 60.0
UPSET_EVERY = 25.0
"""Seconds between steps of Redis's clock, and before the first one."""
OURS = ("pass_failed", "command_failed", "batch_failed", "message_failed")
"""Log events of failures that the product did not expect."""


@dataclass
class Chaos:
    """One run."""

    options: argparse.Namespace
    directory: Path
    dice: random.Random
    server: Server
    broker: Broker
    sim: Remote
    sender: Sender
    reader: Reader
    recovery: Recovery
    workers: list[Worker] = field(default_factory=list)
    upsets: list[Upset] = field(default_factory=list)
    kills: int = 0
    redis_kills: list[float] = field(default_factory=list)
    cpu: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    problems: list[tuple[str, str]] = field(default_factory=list)
    _made: int = 0
    _seen: int = 0
    _retired: int = 0
    _revoked: float = 0.0
    _open: deque[tuple[float, int]] = field(default_factory=deque)

    def torment(self) -> dict[str, float]:
        """Send and kill until all kills are done, then wait for the end; return how long things took."""
        for worker in self.workers:
            self._until(lambda worker=worker: worker.ready(called=False), 60)
        self.sim.do("spoil", self.options.faults)
        self.sender.start()
        began = time.monotonic()
        (self._kill_intake if self.options.intake else self._kill)()
        self.sender.allow(0)
        self.sender.stop()
        sent, sending = self.sender.sent, time.monotonic() - began
        behind = sent - len(self.reader.ended)
        faults_off = self._drain(sent)
        return {
            "seconds of sending": round(sending, 1),
            "commands per second": round(sent / sending, 1),
            "open when sending stopped": behind,
            "seconds until faults went off": round(faults_off, 1),
            "seconds until the last end": round(self.reader.last - began, 1),
        }

    def _kill(self) -> None:
        """Kill a random worker every 4 to 9 s, and Redis every 8 to 15 s."""
        due = time.monotonic() + self.dice.uniform(4, 9)
        redis_due = time.monotonic() + self.dice.uniform(8, 15)
        began = time.monotonic()
        while self.kills < self.options.kills or self.upsets or time.monotonic() < began + self.options.seconds:
            self._upset(time.monotonic() - began)
            self._keep(min(self._made, len(self.reader.ended) + self.options.max_open))
            now = time.monotonic()
            if self.options.kill_redis and now > redis_due:
                self.redis_kills.append(self.server.kill())
                redis_due = time.monotonic() + self.dice.uniform(8, 15)
            may = now > due and self.kills < self.options.kills
            ready = [worker for worker in self.workers if may and worker.ready()]
            if may and not ready and now > due + STALL:
                self.problems.append(
                    ("failures of the bench", f"no worker made a call for {STALL} s: {self.directory}")
                )
                return
            if ready:
                self._kill_one(self.dice.choice(ready))
                due = time.monotonic() + self.dice.uniform(4, 9)
            time.sleep(0.05)

    def _upset(self, at: float) -> None:
        while self.upsets and self.upsets[0][0] <= at:
            _, what, happen = self.upsets.pop(0)
            happen()
            sys.stdout.write(f"{what}\n")
            sys.stdout.flush()

    def _kill_intake(self) -> None:
        """Let a burst of commands go out and kill a worker while it takes them in."""
        while self.kills < self.options.kills:
            limit = self.sender.sent + BURST
            self._until(lambda limit=limit: self._keep(limit), 60, "jobs")
            for worker in self.workers:
                self._until(lambda worker=worker: worker.ready(called=False), 60)
            self.sender.allow(limit)
            self._until(lambda limit=limit: self.sender.sent > limit - BURST, 30)
            time.sleep(self.dice.uniform(0.0, 0.5))
            self._kill_one(self.dice.choice(self.workers))
            self._until(lambda limit=limit: self.sender.sent >= limit, 60)

    def _kill_one(self, worker: Worker) -> None:
        self._spend(worker)
        name = worker.kill()
        self.recovery.killed(self.kills, name)
        worker.start()
        self.kills += 1
        sent, ended = self.sender.sent, len(self.reader.ended)
        sys.stdout.write(f"kill {self.kills}/{self.options.kills}: {worker.log.stem} {name}; {ended}/{sent} ended\n")
        sys.stdout.flush()

    def _keep(self, limit: int) -> bool:
        """Create jobs ahead of the sender, let it go on, retire ended jobs; say whether `limit` jobs exist."""
        self._check_workers()
        wanted = max(self.sender.sent + AHEAD, limit if self.options.intake else 0)
        if wanted > self._made:
            self.sim.do("make", self._made, wanted)
            self._made = wanted
        if not self.options.intake:
            self.sender.allow(limit // 100 * 100)
        self._retire()
        if time.monotonic() - self._revoked > REVOKE_EVERY and not self.options.intake:
            self._revoked = time.monotonic()
            self.sim.do("revoke")
        return self._made >= limit

    def _retire(self) -> None:
        now = time.monotonic()
        for _, job_id in self.reader.ended[self._seen :]:
            self._open.append((now, (int(job_id) - 1_000_000) // 10 if job_id.isdigit() else int(job_id[4:])))
            self._seen += 1
        done = []
        while self._open and now - self._open[0][0] > RETIRE_AFTER:
            one = plan(self.options.seed, self._open.popleft()[1], finished=self.options.intake)
            if not one.joined:
                done.append((one.backend, one.family()))
        if done:
            self.sim.do("retire", done)

    def _drain(self, sent: int) -> float:
        began, faults_off = time.monotonic(), 0.0
        while time.monotonic() - began < self.options.patience:
            self._check_workers()
            self._retire()
            if not faults_off and len(self.reader.ended) >= 0.9 * sent:
                self.sim.do("spoil", 0.0)
                faults_off = time.monotonic() - began
            if faults_off and not self.left() and not any(self.recovery.open()):
                time.sleep(1.0)
                return faults_off
            time.sleep(0.3)
        return faults_off

    def left(self) -> dict[str, int]:
        """Return the open work that is left in Redis and the broker."""
        keys = {f"{{canceller}}:{kind}:{place.name}": kind for kind in ("open", "claims") for place in PLACES}
        names = [
            *(f"{{canceller}}:due:{place.name}:{lane}{kind}" for place in PLACES for lane in "ib" for kind in "fp"),
            *(f"{{canceller}}:lease:{place.name}:{lane}" for place in PLACES for lane in "ibx"),
            *(f"{{canceller}}:park:{place.name}:{lane}" for place in PLACES for lane in "ib"),
        ]
        found: dict[str, Any] = {}
        with self.server.client() as client:
            for name in keys:
                found[name] = client.hlen(name)
            for name in names:
                found[name] = client.zcard(name)
        open_ = {name: count for name, count in found.items() if count}
        return open_ or {name: count for name, count in self.broker.waiting().items() if count}

    def _check_workers(self) -> None:
        for worker in self.workers:
            if not worker.alive:
                self.problems.append(("workers that ended by themselves", f"{worker.log}: life {worker.lives}"))
                worker.start()

    def _until(self, done: Any, seconds: float, what: str = "workers") -> None:
        deadline = time.monotonic() + seconds
        while not done():
            if time.monotonic() > deadline:
                raise TimeoutError(f"no {what} after {seconds} s; see {self.directory}")
            if self.options.intake:
                self._retire()
            time.sleep(0.01)

    def _spend(self, worker: Worker) -> None:
        times = psutil.Process(worker._process.pid).cpu_times()
        self.cpu["workers"] += times.user + times.system

    def spent(self) -> dict[str, float]:
        """Return CPU seconds by role."""
        for worker in self.workers:
            self._spend(worker)
        server = self.server._embedded._server
        pids = {"redis since its start": server.pid if server else None, "simulator": self.sim._process.pid}
        for name, pid in pids.items():
            times = psutil.Process(pid).cpu_times()
            self.cpu[name] += times.user + times.system
        return {name: round(seconds, 1) for name, seconds in {**self.cpu, **self.broker.spent()}.items()}

    def read_logs(self) -> dict[str, int]:
        """Count the warnings and errors that the workers logged."""
        found: Counter[str] = Counter()
        for worker in self.workers:
            for line in worker.log.read_text(errors="replace").splitlines():
                if line.startswith("Traceback"):
                    found["bare tracebacks"] += 1
                if not line.startswith("{") or '"level": "info"' in line:
                    continue
                try:
                    name = str(json.loads(line).get("event", "?"))[:80]
                except ValueError:
                    continue  # a kill cut the line off
                found[name] += 1
                if any(word in name for word in OURS):
                    self.problems.append(("tracebacks in the logs", line[:1500]))
        return dict(found.most_common(25))


def run(options: argparse.Namespace, directory: Path) -> dict[str, Any]:
    """Set up a deployment, torment it, and judge it."""
    clock = clock_in(directory / "clock") if options.step_clock else None
    server = Server(directory / "redis", "always" if options.kill_redis else "everysec", clock)
    try:
        broker = broker_of(options.broker, server, directory)
    except BaseException:
        server.stop()
        raise
    sim = Remote(options.seed, finished=options.intake)
    file = write_backends(directory, sim.roots, options.in_flight)
    env = environment(server, file, {**ENV, **broker.env})
    rate = 0.0 if options.intake else options.rate
    chaos = Chaos(
        options,
        directory,
        random.Random(options.seed),  # noqa: S311 - repeatable dice
        server,
        broker,
        sim,
        Sender(broker.producer, options.seed, rate, finished=options.intake),
        Reader(server),
        Recovery(server),
    )
    try:
        names = [f"worker{at}" for at in range(options.workers)]
        pipes = {name: Pipe(directory / f"{name}.log") for name in names if options.unread_log}
        deploys = Deploys(file, sorted(BY_NAME), chaos.dice) if options.roll else None
        chaos.workers = [Worker(name, directory, env, pipes.get(name), deploys) for name in names]
        chaos.upsets = sorted(upsets(clock, list(pipes.values()), options.unread_log, UPSET_EVERY), key=itemgetter(0))
        notes: dict[str, Any] = {"seed": options.seed, "directory": str(directory), **chaos.torment()}
        notes |= {"kills": chaos.kills, "redis kills": len(chaos.redis_kills), "cpu seconds": chaos.spent()}
        chaos.problems += [("left in Redis", f"{name}: {count}") for name, count in chaos.left().items()]
        fates, logs, struck = sim.do("dump")
    finally:
        for worker in chaos.workers:
            worker.stop()
        chaos.recovery.stop()
        chaos.reader.stop()
        sim.stop()
        broker.stop()
        server.stop()
    notes["broker"] = options.broker
    notes["warnings and errors in the logs"] = chaos.read_logs()
    chaos.problems += [("failures of the bench", error) for error in chaos.reader.errors]
    notes["kills whose claims could not be read"] = chaos.recovery.skipped
    plans = [plan(options.seed, index, finished=options.intake) for index in range(chaos.sender.sent)]
    records, messages = chaos.recovery.records, chaos.recovery.messages
    outcome = Run(plans, chaos.reader.raw, fates, logs, struck, records, messages, notes, chaos.problems)
    (directory / "run.pickle").write_bytes(pickle.dumps(outcome))
    return as_json(outcome, judge(outcome))


def main() -> int:
    """Read the command line, run, report; return 1 if anything that must be zero is not."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.run", description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument(
        "--seconds", type=float, default=0, help="send for so long at least; with --kills 0: a baseline"
    )
    parser.add_argument("--rate", type=float, default=300, help="commands per second")
    parser.add_argument("--faults", type=float, default=0.05, help="share of the calls that go wrong")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10_000))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--kill-redis", action="store_true", help="kill Redis too; it runs with appendfsync always")
    parser.add_argument("--unread-log", type=float, default=0, help="seconds for which nobody reads the workers' logs")
    parser.add_argument("--step-clock", action="store_true", help="step Redis's clock: +31 min, -1 h, +25 h")
    parser.add_argument("--roll", action="store_true", help="each start of a worker may add and remove a backend")
    parser.add_argument(
        "--broker",
        choices=("redis", "amqp"),
        default="redis",
        help="amqp: a RabbitMQ node of its own carries the commands",
    )
    parser.add_argument("--intake", action="store_true", help="bursts of 600 commands for jobs that have ended")
    parser.add_argument("--max-open", type=int, default=6000, help="the sender waits while more are unfinished")
    parser.add_argument("--in-flight", type=int, default=24, help="calls at once per backend, of all workers")
    parser.add_argument("--patience", type=float, default=300, help="seconds to wait for the end")
    parser.add_argument("--json", type=Path, help="write the report there too")
    options = parser.parse_args()
    if options.intake:
        options.faults = 0.0
    directory = Path(tempfile.mkdtemp(prefix="chaos", dir="/tmp"))
    try:
        report = run(options, directory)
    except NoRabbitMQ as error:
        sys.stderr.write(f"--broker amqp: {error}\n")
        return 2
    show(report)
    if options.json:
        options.json.write_text(json.dumps(report, indent=1, default=str))
    wrong = {name: count for name, count in report["zeros"].items() if count}
    sys.stdout.write(f"{'FAILED: ' + str(wrong) if wrong else 'all ' + str(len(MUST_BE_ZERO)) + ' zeros are zero'}\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
