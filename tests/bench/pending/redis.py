"""Redis's figures for the benchmark `pending`: memory by kind of key, and how long each script takes."""

from __future__ import annotations

import hashlib
import math
import threading
import time
from collections import defaultdict
from importlib.resources import files
from types import TracebackType
from typing import Any, Self

import redis

from tests.bench.kit.report import quantile
from tests.chaos.world import EVENTS
from worker.store.scripts import source, text_of

BASE = "{canceller}:"
BACKEND = "ess"
DUE = f"{BASE}due:{BACKEND}:ip"
FIRSTS = f"{BASE}due:{BACKEND}:if"
OPEN = f"{BASE}open:{BACKEND}"
CLAIMS = f"{BASE}claims:{BACKEND}"
SAMPLE = 400
DAY = 86400
NOTED = 200
"""Microseconds from which on a script is noted."""
ENTRIES = 20_000
SLOW = 10.0


def used(client: redis.Redis) -> float:
    """Return the bytes that Redis uses for its data, without connections, buffers and the stream of events."""
    memory: Any = client.info("memory")
    rest = memory["mem_clients_normal"] + memory["mem_aof_buffer"] + memory["used_memory_scripts"]
    return float(memory["used_memory"] - rest - stream_bytes(client))


def stream_bytes(client: redis.Redis) -> int:
    """Return the bytes of the stream of events, exactly, not by sampling."""
    return client.memory_usage(EVENTS, samples=0) or 0


def resident(client: redis.Redis) -> float:
    """Return the resident bytes of Redis's process."""
    memory: Any = client.info("memory")
    return float(memory["used_memory_rss"])


def by_kind(client: redis.Redis) -> dict[str, float]:
    """Return the bytes of all keys of each kind, including their names and table entries; large ones are sampled."""
    number = client.hlen(OPEN)
    fields: Any = client.hrandfield(OPEN, SAMPLE, withvalues=True)
    ids = [one.decode() for one in (fields or [])[1::2]]
    found = {kind: _mean(client, [f"{BASE}{kind}:{id_}" for id_ in ids]) * number for kind in ("hot", "cold")}
    for name, key in (("open (job to id)", OPEN), ("due", DUE), ("claims", CLAIMS)):
        found[name] = float(client.memory_usage(key, samples=1000) or 0)
    shards = [f"{BASE}cmd:{week()}:{shard:04x}" for shard in range(0x10000)]
    found["cmd (command ids)"] = sum(_usages(client, shards))
    return found


def week() -> int:
    """Return the current week, which is part of the keys of command ids; see `lua/include/commands.lua`."""
    return int(time.time()) // (7 * DAY)


def encodings(client: redis.Redis) -> dict[str, str]:
    """Return Redis's encoding of one key of each kind that should be compact."""
    keys = {"cmd": next(client.scan_iter(f"{BASE}cmd:{week()}:*", count=100_000), b""), "open": OPEN, "due": DUE}
    found: dict[str, Any] = {name: client.object("encoding", key) for name, key in keys.items() if key}
    return {name: one.decode() for name, one in found.items() if one}


def _mean(client: redis.Redis, keys: list[str]) -> float:
    sizes = _usages(client, keys)
    return sum(sizes) / len(sizes) if sizes else 0.0


def _usages(client: redis.Redis, keys: list[str]) -> list[int]:
    pipe = client.pipeline(transaction=False)
    for key in keys:
        pipe.memory_usage(key, samples=0)
    return [size for size in pipe.execute() if size]


def digests() -> dict[str, str]:
    """Return the name of each script of the product by the digests under which its callers load it."""
    names = [path.name[: -len(".lua")] for path in files("worker.store.lua").iterdir() if path.name.endswith(".lua")]
    texts = ((name, text) for name in names for text in (source(name), text_of(name)))
    return {hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest(): name for name, text in texts}


class Scripts:
    """While entered, has Redis's slow log note every script that takes longer than `NOTED`, and reads the times there.

    The threshold keeps the commands that a script calls out of the log: logging them would take longer than they do.
    The p99 of the logged calls of a script is therefore an upper bound of its p99. The p99 of all scripts together is
    exact: it is from INFO's `latencystats`, which does not distinguish scripts.
    """

    def __init__(self, url: str) -> None:
        self.times: dict[str, list[float]] = defaultdict(list)
        """Milliseconds of each logged call, by script."""
        self._client = redis.Redis.from_url(url, socket_timeout=60)
        self._names = digests()
        self._end = threading.Event()
        self._last = -1

    def __enter__(self) -> Self:
        """Begin."""
        self._client.config_set("slowlog-max-len", ENTRIES)
        self._client.config_set("slowlog-log-slower-than", NOTED)
        self._client.slowlog_reset()
        self._client.config_resetstat()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End, and switch the slow log off."""
        self._end.set()
        self._thread.join(timeout=30)
        self._client.config_set("slowlog-log-slower-than", -1)
        self._client.slowlog_reset()
        self._all = self._together()
        self._client.close()

    def _run(self) -> None:
        while not self._end.wait(0.5):
            self._read()
        self._read()

    def _read(self) -> None:
        newest: Any = self._client.slowlog_get(1)
        number = newest[0]["id"] - self._last if newest else 0
        entries: Any = self._client.slowlog_get(min(number, ENTRIES)) if number > 0 else []
        for entry in entries:
            words = entry["command"].split(b" ", 2)
            if entry["id"] > self._last and words[0].upper() == b"EVALSHA":
                name = self._names.get(words[1].decode("latin-1"), "(kombu's)")
                self.times[name].append(entry["duration"] / 1000)
        self._last = max([self._last, *(entry["id"] for entry in entries)])

    def _together(self) -> dict[str, float]:
        calls: Any = self._client.info("commandstats")
        spread: Any = self._client.info("latencystats")
        times = {name: float(one) / 1000 for name, one in spread.get("latency_percentiles_usec_evalsha", {}).items()}
        number = calls.get("cmdstat_evalsha", {}).get("calls", 0)
        return {"calls": float(number), **{f"{name} ms": times.get(name, math.nan) for name in ("p50", "p99", "p99.9")}}

    def figures(self) -> dict[str, dict[str, float]]:
        """Return the times of all scripts together, and those of each script's logged calls."""
        return {"all": self._all} | {
            name: {
                "calls": float(len(times)),
                "p50 ms": quantile(times, 0.50),
                "p99 ms": quantile(times, 0.99),
                "max ms": max(times),
                "over 10 ms": float(sum(one > SLOW for one in times)),
            }
            for name, times in sorted(self.times.items())
        }
