"""Patches of other packages' classes: a worker applies them, importing does not."""

from __future__ import annotations

import subprocess
import sys

WORKERS_ALONE = """
from amqp.serialization import PROPERTY_CLASSES
from amqp.spec import Basic
from kombu.transport.redis import Channel
from redis.exceptions import ConnectionError as ConnectionLost

stock = Channel._connparams, PROPERTY_CLASSES[Basic.CLASS_ID]
import worker.celery, worker.celery.tasks, worker.celery.bootstep
from worker.celery import patches
assert (Channel._connparams, PROPERTY_CLASSES[Basic.CLASS_ID]) == stock, "patched by an import"

patches.apply()
patches.apply()
closed = Channel.__new__(Channel)
closed.connection = None
try:
    closed._connparams()
except ConnectionLost as lost:
    print(lost)
print(PROPERTY_CLASSES[Basic.CLASS_ID](b"", 0)[0]["content_type"])

import os
import sys
from celery.apps import worker as stock_worker
reader, writer = os.pipe()
with os.fdopen(writer, "wb", buffering=0) as pipe:
    stock_worker.safe_say("hello", pipe)
    print(os.read(reader, 100).decode().strip())
    os.set_blocking(writer, False)
    while pipe.write(b"x" * 65536):
        pass
    os.set_blocking(writer, True)
    stock_worker.safe_say("never", pipe)
stock_worker.safe_say("never", pipe)
stock_worker.safe_say("never", None)
stock_worker.safe_say("bye", sys.__stdout__)
"""


def test_a_worker_outlives_a_closed_channel_unreadable_headers_and_a_full_pipe_once_it_has_started() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WORKERS_ALONE], capture_output=True, text=True, check=False, timeout=60
    )

    assert done.stderr.split() == ["bye"]
    assert done.stdout.splitlines() == [
        "the connection to the broker is closed",
        "unreadable headers, error",
        "hello",
    ]
