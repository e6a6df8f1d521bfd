"""Measures how long it takes until the records and messages of a killed worker are worked on again."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import redis

from tests.chaos.plan import PLACES
from tests.chaos.world import Server

WHERE = """
local base, out, now = '{canceller}:', {}, redis.call('TIME')
now = now[1] * 1000 + math.floor(now[2] / 1000) + (redis.call('HGET', base .. 'clock', 'o') or 0)
for index = 1, #ARGV, 3 do
  local backend, id, token = ARGV[index], ARGV[index + 1], ARGV[index + 2]
  local held = redis.call('HGET', base .. 'claims:' .. backend, id)
  local hot = redis.call('GET', base .. 'hot:' .. id)
  local place = 'orphan'
  if held then
    place = held == token and 'dead' or 'claimed'
  elseif not hot or cjson.decode(string.match(hot, '^[^\\n]*')).o ~= '' then
    place = 'finished'
  else
    for _, lane in ipairs({'i', 'b'}) do
      if redis.call('ZSCORE', base .. 'park:' .. backend .. ':' .. lane, id) then place = 'parked' end
    end
    for _, class in ipairs({'ip', 'if', 'bp', 'bf'}) do
      local due = redis.call('ZSCORE', base .. 'due:' .. backend .. ':' .. class, id)
      if due then place = tonumber(due) > now and 'waits' or 'due' end
    end
  end
  out[#out + 1] = place
end
return out
"""
"""The state of each record: still claimed by the dead worker, claimed by another, finished, waiting, due or parked."""

IN_WORK = frozenset({"claimed", "finished", "waits"})
PAUSE = 0.05


@dataclass
class Held:
    """One thing that a killed worker held: a record, or its list of taken messages."""

    kill: int
    backend: str
    name: str
    token: str
    intent: bool
    since: float
    count: int = 1
    seconds: float | None = None
    freed: float | None = None
    places: list[str] = field(default_factory=list)


class Recovery:
    """Watches, in a thread, everything that killed workers held, until it is worked on again."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.records: list[Held] = []
        self.messages: list[Held] = []
        self.skipped = 0
        self._stopping = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def killed(self, kill: int, worker: str) -> None:
        """Note what a worker held; as it is dead, none of this changes by itself."""
        now = time.monotonic()
        try:
            with self._server.client() as client:
                self._note(client, kill, worker, now)
        except (redis.RedisError, OSError):
            self.skipped += 1

    def open(self) -> tuple[list[Held], list[Held]]:
        """Return the records and lists that are not being worked on yet."""
        return [one for one in self.records if one.seconds is None], [
            one for one in self.messages if one.seconds is None
        ]

    def stop(self) -> None:
        """End the thread."""
        self._stopping = True
        self._thread.join(timeout=10)

    def _note(self, client: redis.Redis, kill: int, worker: str, now: float) -> None:
        taken: Any = client.llen(f"commands.taken:{worker}")
        for place in PLACES:
            claims: Any = client.hgetall(f"{{canceller}}:claims:{place.name}")
            for raw_id, raw_token in claims.items():
                name, token = raw_id.decode(), raw_token.decode()
                if token.startswith(f"{worker}/"):
                    hot: Any = client.get(f"{{canceller}}:hot:{name}")
                    intent = bool(hot) and "i" in json.loads(hot.partition(b"\n")[0])
                    self.records.append(Held(kill, place.name, name, token, intent, now))
        if taken:
            self.messages.append(Held(kill, "", f"commands.taken:{worker}", "", intent=False, since=now, count=taken))

    def _run(self) -> None:
        client = self._server.client()
        while not self._stopping:
            time.sleep(PAUSE)
            records, messages = self.open()
            try:
                for at in range(0, len(records), 300):
                    self._watch(client, records[at : at + 300])
                for one in messages:
                    if not client.exists(one.name):
                        one.seconds = time.monotonic() - one.since
            except (redis.RedisError, OSError):
                time.sleep(0.2)

    def _watch(self, client: redis.Redis, records: Sequence[Held]) -> None:
        asked = [part for one in records for part in (one.backend, one.name, one.token)]
        places: Any = client.eval(WHERE, 0, *asked)
        now = time.monotonic()
        for one, raw in zip(records, places, strict=True):
            place = raw.decode()
            if not one.places or one.places[-1] != place:
                one.places.append(place)
            if place != "dead" and one.freed is None:
                one.freed = now - one.since
            if place in IN_WORK:
                one.seconds = now - one.since
