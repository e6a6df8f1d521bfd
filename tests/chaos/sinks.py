"""A webhook receiver that fails and goes down, under load, while workers are killed: `python -m tests.chaos.sinks`.

The full run: `--events 20000 --kills 3`. Exit 1 if an event is missing, out of order or has two ids, if a signature
does not verify, or if the subject whose deliveries always fail delays others or does not end in dead letters.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import redis
from standardwebhooks import Webhook

from worker.local.embedded_redis import Embedded

SECRET = "whsec_c2VjcmV0LW9mLXRoaXJ0eS10d28tYnl0ZXMtYXQtbGVhc3Q="
STREAM = "{canceller}:events"
PER_CANCELLATION = 4
BACKENDS = """
[backends.ess]
kind = "oracle-ess"
base_url = "http://127.0.0.1:1"
auth = {{ type = "none" }}
[sinks.hook]
kind = "webhook"
url = "http://127.0.0.1:{port}/"
secret_env = "HOOK_SECRET"
believe_after = "20s"
"""


class Receiver(ThreadingHTTPServer):
    """Keeps when each event was taken; fails as it is told."""

    daemon_threads = True
    request_queue_size = 1024

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.failing = 0.0
        self.down = False
        self.lock = threading.Lock()
        self.taken: list[tuple[str, float]] = []
        self.unverified = 0
        self.tried: dict[str, int] = defaultdict(int)
        self.chance = random.Random(16)  # noqa: S311 - the same tries fail each time

    def handle_error(self, *_: object) -> None:
        """Log nothing about connections of killed workers."""


class Handler(BaseHTTPRequestHandler):
    """Verifies and answers."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: Receiver

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status = self.judge(body)
        self.send_response_only(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def judge(self, body: bytes) -> int:
        server = self.server
        with server.lock:
            try:
                event = Webhook(SECRET).verify(body, dict(self.headers))
            except Exception:  # noqa: BLE001 - each is a finding
                server.unverified += 1
                return 401
            server.tried[event["id"]] += 1
            if event["subject"] == "poisoned":
                return 422
            if server.down or server.chance.random() < server.failing:
                return 500
            server.taken.append((event["id"], time.time()))
            return 204


class Cell:
    """Workers of a deployment whose only work is the sink."""

    def __init__(self, directory: Path, url: str, port: int) -> None:
        file = directory / "backends.toml"
        file.write_text(BACKENDS.format(port=port))
        self.env = {**os.environ, "REDIS_URL": url, "CANCELLER_BACKENDS": str(file), "HOOK_SECRET": SECRET}
        self.log = (directory / "workers.log").open("ab")
        self.workers: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        command = [sys.executable, "-m", "celery", "-A", "worker", "worker", "-n", f"w{len(self.workers)}@%h"]
        self.workers.append(subprocess.Popen(command, env=self.env, stdout=self.log, stderr=subprocess.STDOUT))

    def kill_one(self) -> None:
        """Kill the oldest worker that lives, and start another."""
        alive = [one for one in self.workers if one.poll() is None]
        alive[0].kill()
        alive[0].wait()
        self.start()

    def stop(self) -> None:
        for one in self.workers:
            if one.poll() is None:
                one.terminate()
        for one in self.workers:
            one.wait(timeout=30)
        self.log.close()


def emit(client: Any, name: str, count: int, per_second: float, written: dict[str, float]) -> None:
    """Append `count` events of many cancellations at a pace."""
    started = time.monotonic()
    for index in range(count):
        group, place = divmod(index, 50 * PER_CANCELLATION)
        number, member = divmod(place, 50)
        cancellation = f"{name}{group}x{member}"
        written[append(client, cancellation, number + 1, cancellation)] = time.time()
        ahead = started + index / per_second - time.monotonic()
        if ahead > 0.005:
            time.sleep(ahead)


def append(client: Any, cancellation: str, number: int, subject: str) -> str:
    event = {
        "specversion": "1.0",
        "id": f"{cancellation}-{number}",
        "source": "/canceller/ess",
        "type": "canceller.cancellation.accepted.v1",
        "subject": subject,
        "backend": "ess",
        "cancellationid": cancellation,
        "sequence": f"{number:010}",
        "data": {"labels": {"team": "a"}, "reason": "x" * 300},
    }
    client.xadd(STREAM, {"event": json.dumps(event)})
    return str(event["id"])


def wait_for(receiver: Receiver, written: dict[str, float], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with receiver.lock:
            ids = {one for one, _ in receiver.taken}
        if written.keys() <= ids:
            return True
        time.sleep(0.2)
    return False


def delays(receiver: Receiver, written: dict[str, float]) -> list[float]:
    first: dict[str, float] = {}
    for one, at in receiver.taken:
        first.setdefault(one, at)
    return sorted(first[one] - at for one, at in written.items() if one in first)


def out_of_order(receiver: Receiver) -> int:
    last: dict[str, int] = {}
    wrong = 0
    for one in dict.fromkeys(event_id for event_id, _ in receiver.taken):
        cancellation, _, number = one.rpartition("-")
        wrong += int(number) <= last.get(cancellation, 0)
        last[cancellation] = int(number)
    return wrong


def say(text: str) -> None:
    """Write a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> int:
    """Run it, print what was seen, and judge."""
    options = argparse.ArgumentParser()
    options.add_argument("--events", type=int, default=4000)
    options.add_argument("--kills", type=int, default=3)
    options.add_argument("--down", type=float, default=15.0)
    options.add_argument("--rate", type=float, default=200.0)
    given = options.parse_args()
    receiver = Receiver()
    threading.Thread(target=receiver.serve_forever, daemon=True).start()
    problems: list[str] = []
    with tempfile.TemporaryDirectory() as folder, Embedded(Path(folder) / "redis") as embedded:
        client: Any = redis.Redis.from_url(embedded.url)
        cell = Cell(Path(folder), embedded.url, receiver.server_port)
        try:
            cell.start()
            cell.start()
            while not client.exists("{canceller}:sink:hook"):
                time.sleep(0.1)
            problems += calm(client, receiver, given)
            problems += stormy(client, receiver, cell, given)
        finally:
            cell.stop()
    receiver.shutdown()
    say("\n".join(problems) or "all as promised")
    return int(bool(problems))


def calm(client: Any, receiver: Receiver, given: argparse.Namespace) -> list[str]:
    """Everything works except for one subject that always fails."""
    append(client, "poisoned", 1, "poisoned")
    written: dict[str, float] = {}
    emit(client, "calm", given.events // 4, given.rate, written)
    arrived = wait_for(receiver, written, 60)
    found = delays(receiver, written)
    p99 = found[int(len(found) * 0.99) - 1]
    say(f"calm: {len(found)} events, p50 {statistics.median(found) * 1000:.0f} ms, p99 {p99 * 1000:.0f} ms")
    say(f"calm: the longest took {found[-1] * 1000:.0f} ms beside a subject that always fails")
    return [
        *([] if arrived else ["calm: events are missing"]),
        *([] if p99 < 1 else ["calm: p99 is over a second"]),
        *([] if found[-1] < 2 else ["calm: an event was delayed by more than two seconds"]),
    ]


def stormy(client: Any, receiver: Receiver, cell: Cell, given: argparse.Namespace) -> list[str]:
    """The receiver fails and goes down, and workers are killed."""
    receiver.failing = 0.3
    written: dict[str, float] = {}
    writer = threading.Thread(target=emit, args=(client, "storm", given.events, given.rate, written))
    writer.start()
    for kill in range(given.kills):
        time.sleep(3)
        cell.kill_one()
        if kill == given.kills // 2:
            receiver.down = True
            time.sleep(given.down)
            receiver.down = False
    writer.join()
    arrived = wait_for(receiver, written, 600)
    until = time.monotonic() + 60
    while not (letters := client.xrange("{canceller}:dead")) and time.monotonic() < until:
        time.sleep(0.5)
    dead = [fields[b"mark"].split()[0].decode() for _, fields in letters]
    say(f"storm: {len(written)} events, {given.kills} kills, down for {given.down:g} s, 30 % failures")
    twice = len(receiver.taken) - len({one for one, _ in receiver.taken})
    say(f"storm: {sum(receiver.tried.values())} tries, {twice} events came again")
    say(f"dead letters: {dead}")
    wrong = out_of_order(receiver)
    return [
        *([] if arrived else [f"storm: {len(written.keys() - {one for one, _ in receiver.taken})} events are missing"]),
        *([f"storm: {wrong} events are out of order"] if wrong else []),
        *([f"{receiver.unverified} signatures do not verify"] if receiver.unverified else []),
        *([] if "poisoned-1" in dead else ["the subject that always fails is no dead letter"]),
    ]


if __name__ == "__main__":
    sys.exit(main())
