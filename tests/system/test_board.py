"""The board as an operator starts it: a process, a page over a socket, an orderly end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys

import httpx
from redis import Redis
from support.cell import ROOT

COMMAND = [sys.executable, "-m", "worker", "board", "--json"]


def test_it_serves_until_it_is_ended_although_somebody_watches(redis_url: str, sync_redis: Redis) -> None:
    sync_redis.ping()
    env = {**os.environ, "REDIS_URL": redis_url}
    process = subprocess.Popen([*COMMAND, "--listen", "127.0.0.1:0"], env=env, cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout
    try:
        url = json.loads(process.stdout.readline())["url"]
        assert "No worker is running" in httpx.get(url, timeout=30).text
        assert httpx.get(url, headers={"host": "evil.example"}, timeout=30).status_code == 421
        with httpx.stream("GET", f"{url}stream/overview", timeout=30) as stream:
            lines = stream.iter_lines()
            assert next(lines).startswith("data: ")
            process.send_signal(signal.SIGTERM)
            assert process.wait(timeout=60) == 0
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
