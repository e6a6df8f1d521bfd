"""2,000 bad messages among good ones: each is reported and kept, the good ones finish, no worker restarts."""

from __future__ import annotations

import base64
import json
import random
import string
import uuid
from typing import Any

from support.cell import Cell

BAD = 2000
GOOD = 100
GOOD_COMMAND = {"backend": "ess", "job_id": "1"}
HOSTILE: list[Any] = [
    "a\x00b",
    "a\nb",
    "\x7f",
    "\ud800",
    "x" * 1_000_000,
    "..",
    ".",
    "",
    float("nan"),
    float("inf"),
    10**400,
    -1,
    0.5,
    True,
    None,
    [],
    {},
    {"a": {"b": {"c": "d"}}},
    ["1"],
]
"""Values that no field of a command should accept; in case a field does, another field is spoiled as well."""


def envelope(body: bytes, message_id: str, task: str = "worker.cancel") -> bytes:
    """Return a message as kombu writes it."""
    message = {
        "body": base64.b64encode(body).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {"task": task, "id": message_id},
        "properties": {"body_encoding": "base64"},
    }
    return json.dumps(message).encode()


def fuzzed_bytes(chance: random.Random) -> bytes:
    """Return bytes that are not a message."""
    return bytes(chance.randrange(256) for _ in range(chance.randrange(8, 200)))


def fuzzed_json(chance: random.Random) -> bytes:
    """Return a valid message with a character changed, so that it can't be parsed."""
    raw = bytearray(envelope(json.dumps([[], GOOD_COMMAND, {}]).encode(), uuid.UUID(int=chance.getrandbits(128)).hex))
    raw[chance.randrange(2, 9)] = ord(chance.choice("{}[]\\"))
    return bytes(raw)


def spoiled(chance: random.Random) -> bytes:
    """Return a message whose command has a hostile value, and a field that no command has."""
    field = chance.choice(["job_id", "backend", "reason", "labels", "params", "force_after", "remote_stopped", "lane"])
    command = {**GOOD_COMMAND, field: chance.choice(HOSTILE), "".join(chance.choices(string.ascii_letters, k=12)): 1}
    body = json.dumps([[], command, {}]).encode()
    return envelope(body, uuid.UUID(int=chance.getrandbits(128)).hex)


def misshapen(chance: random.Random) -> bytes:
    """Return a message whose task or arguments have an unknown shape."""
    message_id = uuid.UUID(int=chance.getrandbits(128)).hex
    deep = b'[[], {"a": ' + b"[" * 5000 + b"]" * 5000 + b"}, {}]"
    body = chance.choice([b"7", b"[]", b'{"a": 1, "a": 2}', b"[[1], {}, {}]", b"null", deep, b"[[], [], {}]"])
    return envelope(body, message_id, chance.choice(["worker.cancel", "worker.submit", "worker.unheard_of"]))


def test_every_bad_message_is_accounted_for(deployment: Cell) -> None:
    chance = random.Random(20261123)  # noqa: S311 - it makes test data
    worker = deployment.start_worker()
    for index in range(GOOD):
        deployment.simulator.add_job("ess", index + 1, "finished")
    makers = (fuzzed_bytes, fuzzed_json, spoiled, misshapen)
    for index in range(BAD):
        deployment.redis.lpush("commands", makers[index % len(makers)](chance))
        if index % (BAD // GOOD) == 0:
            deployment.send("cancel", backend="ess", job_id=index // (BAD // GOOD) + 1)
    deployment.wait_finished(GOOD)
    deployment.wait_until(lambda: len(deployment.of("rejected")) >= BAD)

    assert len(deployment.of("rejected")) == BAD
    assert deployment.redis.xlen("{canceller}:dead") == BAD
    assert all(event["data"]["error"] for event in deployment.of("rejected"))
    assert worker.process.poll() is None
    assert deployment.redis.llen("commands") == 0
    deployment.check_sequences()
