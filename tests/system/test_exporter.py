"""`canceller exporter` and `CANCELLER_HTTP` as operators use them."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.ports import free_ports
from support.served import get, series, until
from support.shell import BACKENDS, read_until, run, running

from worker.cli.exits import Exit
from worker.local.embedded_redis import Embedded


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[Embedded]:
    with Embedded(tmp_path / "redis") as embedded:
        yield embedded


@pytest.fixture
def env(redis: Embedded, tmp_path: Path) -> dict[str, str]:
    file = tmp_path / "backends.toml"
    file.write_text(BACKENDS)
    return {**os.environ, "REDIS_URL": redis.url, "CANCELLER_BACKENDS": str(file)}


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that is already in use."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


def test_the_exporter_answers_503_while_redis_is_away_and_goes_on_afterwards(
    env: dict[str, str], redis: Embedded
) -> None:
    with running(env, "exporter", "--listen", "127.0.0.1:0") as exporter:
        url = read_until(exporter, r"(http://\S+/metrics)")[1]
        assert series(get(url)[1])["canceller_workers"] == 0
        redis.__exit__()
        try:
            assert until(lambda: get(url)[0] == 503)
            assert get(url)[1].startswith("Redis: ")
        finally:
            redis.__enter__()

        assert until(lambda: get(url)[0] == 200)
        exporter.terminate()
        assert exporter.wait(60) == Exit.DONE


def test_an_address_that_is_taken_is_a_mistake_of_the_command_line(env: dict[str, str], taken: int) -> None:
    done = run(env, "exporter", "--listen", f"127.0.0.1:{taken}")

    assert done.returncode == Exit.USAGE
    assert f"--listen: can't listen on 127.0.0.1:{taken}: address already in use" in done.stderr


def test_check_says_that_the_address_of_workers_is_taken(env: dict[str, str], taken: int) -> None:
    done = run(env | {"CANCELLER_HTTP": f"127.0.0.1:{taken}"}, "check", "--json")
    (found,) = [one for one in json.loads(done.stdout)["findings"] if one["what"] == "CANCELLER_HTTP"]

    assert (found["verdict"], f"no worker can listen on 127.0.0.1:{taken}" in found["text"]) == ("wrong", True)


def test_up_gives_each_worker_a_port_of_its_own_which_check_knows(env: dict[str, str]) -> None:
    port, _ = free_ports(2)
    env |= {"CANCELLER_HTTP": f"127.0.0.1:{port}"}
    with running(env, "up", "--workers", "2") as up:
        assert all(
            until(lambda own=own: get(f"http://127.0.0.1:{own}/readyz") == (200, "ok\n"))  # type: ignore[misc]
            for own in (port, port + 1)
        )
        (found,) = [
            one for one in json.loads(run(env, "check", "--json").stdout)["findings"] if one["what"] == "CANCELLER_HTTP"
        ]
        up.terminate()
        assert up.wait(60) == Exit.DONE

    assert found["text"] == f"a worker listens on 127.0.0.1:{port}, and takes commands in"


def test_a_worker_whose_port_is_taken_names_it_and_exits_2_with_up(env: dict[str, str], taken: int) -> None:
    done = run(env | {"CANCELLER_HTTP": f"127.0.0.1:{taken}"}, "up", "--workers", "1")

    assert done.returncode == Exit.USAGE
    assert f"CANCELLER_HTTP: can't listen on 127.0.0.1:{taken}" in done.stdout + done.stderr


def test_up_names_a_port_that_there_is_none_of(env: dict[str, str]) -> None:
    done = run(env | {"CANCELLER_HTTP": "127.0.0.1:65535"}, "up", "--workers", "2")

    assert done.returncode == Exit.USAGE
    assert "CANCELLER_HTTP: leaves no port for worker 2: it would be 65536" in done.stderr
