"""Where one cancellation's CPU time goes in a worker: `python -m tests.bench.profile` (needs `pip install py-spy`).

The load is `chunks` of the benchmark `throughput`: POST, GET, `finished` event. py-spy samples, 200 times a second, the
stack of the thread that holds the interpreter lock. Each sample counts for the innermost of our own files in it, so
the work that aiohttp does for a call counts for the call. The shares are of the worker's whole CPU time for one
cancellation. py-spy slows the worker a little, so the sum is more than the benchmark `throughput` shows.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.bench.kit.cell import Meter, cell, ess
from tests.bench.kit.events import EVENTS_EACH, wait
from tests.bench.kit.remote import Remote
from tests.bench.kit.report import parser, table, write
from tests.bench.kit.send import FIRST, commands, sender, submit

WARM = 500
RATE = 200
PATIENCE = 600.0

PARTS: dict[str, tuple[str, ...]] = {
    "HTTP client, credentials": (
        "worker/http/client", "worker/http/transport", "worker/http/tls", "worker/http/credentials",
        "worker/http/blanking", "worker/http/content_coding", "worker/http/probe",
    ),
    "translation: adapters": ("worker/backends/",),
    "deciding: evidence, escalation, gate, evolve, facts": (
        "worker/domain/escalation", "worker/domain/force_gate", "worker/domain/evolve",
        "worker/domain/event_drafts", "worker/domain/outcome",
        "worker/domain/polling", "worker/engine/stop_times", "worker/domain/decision",
        "worker/domain/cancellation", "worker/domain/model",
    ),
    "logs": ("worker/observability/log", "worker/celery/worker_logs", "worker/engine/reconcile.py:_tell"),
    "packing records and events": ("worker/store/codec", "worker/store/compression", "worker/store/transitions"),
    "Redis client": ("worker/store/store", "worker/aio/coalescer", "worker/store/scripts"),
    "taking in commands": (
        "worker/intake/redis_consumer", "worker/intake/decoder", "worker/intake/admission",
        "worker/intake/handler", "worker/protocol/envelope",
        "worker/intake/delivery",
    ),
    "claims and the window of passes": (
        "worker/engine/dispatcher", "worker/engine/engine", "worker/engine/look_many",
        "worker/engine/look_groups", "worker/engine/reconcile", "worker/engine/clock",
        "worker/engine/calls", "worker/engine/backend", "worker/engine/alarm", "worker/engine/window",
        "worker/engine/next_claim",
    ),
}  # fmt: skip
BELOW = {"redis/": "Redis client", "aiohttp/": "HTTP client, credentials"}
"""The parts of stacks without any file of ours: data arriving at a socket."""
LOOP = "asyncio's loop, Celery's main thread"


def part_of(frames: Sequence[str]) -> str:
    """Name the part that a stack belongs to, by the innermost of our own files in it."""
    for frame in reversed(frames):
        for part, starts in PARTS.items():
            if any(start in frame for start in starts):
                return part
    return next((part for start, part in BELOW.items() if any(start in frame for frame in frames)), LOOP)


def parts(lines: Iterable[str]) -> Counter[str]:
    """Count the samples of each part in py-spy's raw format: `outermost;…;innermost samples`."""
    found: Counter[str] = Counter()
    for line in lines:
        stack, _, samples = line.rpartition(" ")
        found[part_of([_named(frame) for frame in stack.split(";")])] += int(samples)
    return found


def _named(frame: str) -> str:
    """Turn `Pass._tell (worker/engine/reconcile.py:300)` into `worker/engine/reconcile.py:_tell`."""
    function, _, place = frame.partition(" (")
    return f"{place.partition(':')[0].rstrip(')')}:{function.rpartition('.')[2]}"


def main() -> int:
    """Read the command line, measure, report."""
    options = parser("profile", __doc__, rounds=1, n=8000).parse_args()
    spy = shutil.which("py-spy") or shutil.which("py-spy", path=str(Path(sys.executable).parent))
    if spy is None:
        sys.stderr.write("py-spy is not on PATH: pip install py-spy\n")
        return 2
    with Remote() as remote, tempfile.NamedTemporaryFile() as raw, cell(ess("ess", remote.base_url())) as one:
        worker = one.worker_pids[0]
        with one.client() as client, sender(one.broker) as app:
            submit(app, commands(range(1, WARM + 1)))
            wait(client, EVENTS_EACH * WARM, PATIENCE)
            meter = Meter(worker=worker)
            command = [spy, "record", "--pid", str(worker), "--gil", "-r", str(RATE), "-f", "raw", "-o", raw.name]
            with subprocess.Popen(
                [*command, "-d", "600"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            ) as spying:
                submit(app, commands(range(FIRST, FIRST + options.n)))
                wait(client, EVENTS_EACH * (WARM + options.n), PATIENCE)
                spent = meter.spent()["worker"] / options.n * 1000
                spying.send_signal(2)
        found = parts(Path(raw.name).read_text(encoding="utf-8").splitlines())
    rows = [(part, f"{n / found.total():.0%}", f"{spent * n / found.total():.3f}") for part, n in found.most_common()]
    table(
        f"CPU of one cancellation in the worker: {spent:.2f} ms",
        ("where", "share", "ms"),
        [*rows, ("all", "100%", f"{spent:.3f}")],
    )
    write(options.json, "profile", options, {}, parts=dict(found), worker_ms=spent)
    return 0


if __name__ == "__main__":
    sys.exit(main())
