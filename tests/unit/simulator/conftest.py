"""A bench for the systems: a world, a clock moved by hand, calls without a socket."""

from __future__ import annotations

import json
from typing import Any

import pytest

from worker.simulator.dispatch import answer
from worker.simulator.knobs import Knobs
from worker.simulator.spec import add
from worker.simulator.truth import truth
from worker.simulator.wire import Call, Reply
from worker.simulator.world import World

T = 1_763_899_200.0


class Bench:
    """A world and a clock moved by hand."""

    def __init__(self, **knobs: Any) -> None:
        self.world = World(knobs=Knobs().changed(knobs))
        self.at = T

    def job(self, system: str, job_id: str = "1", **spec: Any) -> None:
        add(self.world, {"system": system, "id": job_id, **spec}, self.at)

    def call(self, line: str, body: object = None, **headers: str) -> Reply:
        method, _, raw = line.partition(" ")
        content = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else b""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return answer(self.world, Call(method, raw, self.at, named, content)).reply

    def http(self, line: str, body: object = None, **headers: str) -> int:
        return self.call(line, body, **headers).http

    def json(self, line: str, body: object = None, **headers: str) -> Any:
        return json.loads(self.call(line, body, **headers).body)

    def state(self, system: str, job_id: str = "1") -> str:
        return truth(self.world, system, job_id, self.at).state


@pytest.fixture
def new_bench() -> type[Bench]:
    return Bench
