"""What a worker answers to probes while its loop hangs, while Redis is away, and afterwards."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from support.served import LATE, Served, served

from worker.runtime.process import Runtime
from worker.runtime.wiring import deployment_of
from worker.settings.environment import Settings
from worker.settings.errors import ConfigurationError

BACKENDS = """
[backends.ess]
kind = "oracle-ess"
base_url = "{ess}"
auth = { type = "none" }
"""
OK = 200, "ok\n"


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("health"), BACKENDS) as place:
        yield place


def redis_pid(one: Served) -> int:
    return int(one.cell.redis.info("server")["process_id"])  # type: ignore[arg-type,index]


def limit(one: Served, share: float) -> None:
    """Limit Redis's memory so that this share of it is used; 0 removes the limit."""
    used = int(one.cell.redis.info("memory")["used_memory"])  # type: ignore[arg-type,index]
    one.cell.redis.config_set("maxmemory", int(used / share) if share else 0)


def test_a_worker_at_work_is_alive_and_ready(one: Served) -> None:
    assert one.until(lambda: one.get("/readyz") == OK)
    assert one.get("/healthz") == OK


def test_healthz_fails_while_the_loop_hangs_and_recovers(one: Served) -> None:
    with one.blocked():
        assert one.until(lambda: one.get("/healthz", seconds=1) == (LATE, ""))

    assert one.until(lambda: one.get("/healthz") == OK)


def test_readyz_fails_while_redis_hangs_and_recovers(one: Served) -> None:
    pid = redis_pid(one)
    os.kill(pid, signal.SIGSTOP)
    try:
        assert one.until(lambda: one.get("/readyz")[0] == 503)
        assert "Redis" in one.get("/readyz")[1]
        assert one.get("/healthz") == OK
    finally:
        os.kill(pid, signal.SIGCONT)

    assert one.until(lambda: one.get("/readyz") == OK)


def test_readyz_fails_while_redis_is_down_and_recovers(one: Served) -> None:
    server = one.cell.embedded
    assert server is not None
    server.__exit__()
    try:
        assert one.until(lambda: one.get("/readyz")[0] == 503)
        assert "Redis" in one.get("/readyz")[1]
    finally:
        server.__enter__()

    assert one.until(lambda: one.get("/readyz") == OK)


def test_readyz_fails_while_redis_is_full_and_recovers(one: Served) -> None:
    limit(one, 0.95)
    try:
        assert one.until(lambda: one.get("/readyz")[0] == 503)
        assert one.get("/readyz")[1] == "nothing new is taken in: over 90% of Redis's maxmemory is in use\n"
    finally:
        limit(one, 0)

    assert one.until(lambda: one.get("/readyz") == OK)


def test_a_port_that_is_taken_is_a_mistake_in_the_configuration(one: Served) -> None:
    settings = Settings.load(one.cell.env)
    second = Runtime(settings, deployment_of(settings))
    try:
        with pytest.raises(ConfigurationError, match=r"CANCELLER_HTTP: can't listen on .*: address already in use"):
            second.start()
    finally:
        second.stop()
        second.close()


def test_nothing_else_is_served(one: Served) -> None:
    assert one.get("/")[0] == 404
