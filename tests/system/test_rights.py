"""A Redis user who lacks a right: `check` and workers name it in a line, and the line to copy grants what is needed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.cell import Cell, Worker
from support.ports import HOST, free_ports
from support.sentinel import start_server
from support.shell import run

from worker.cli.exits import Exit
from worker.settings.environment import Settings
from worker.store.rights import acl_line

REFUSED = [
    pytest.param("~* &* +@all -@scripting", "evalsha", id="no-scripts"),
    pytest.param("~* resetchannels +@all", "channel", id="no-channels"),
    pytest.param("~* &* +@all -@dangerous", "info", id="no-info"),
    pytest.param("~* &* +@all -blmove", "blmove", id="no-blocking-move"),
    pytest.param("~* &* +@all -zadd", "zadd", id="no-command-of-scripts"),
    pytest.param("~{canceller}:* ~commands* &* +@all", "key", id="no-keys-of-kombu"),
    pytest.param("~commands* ~_kombu* ~unacked* ~canceller* ~*.pidbox &* +@all", "key", id="no-prefix"),
]


def as_user(one: Cell, rules: str) -> dict[str, str]:
    """Make a user with these rights; return its environment."""
    one.redis.execute_command("ACL", "SETUSER", "u", "reset", "on", ">secret", *rules.split())  # type: ignore[no-untyped-call]
    return {**one.env, "REDIS_URL": one.url.replace("unix://", "unix://u:secret@")}


def start(one: Cell, env: dict[str, str]) -> Worker:
    worker = Worker(env, one.directory / f"worker{len(one.workers)}.log")
    one.workers.append(worker)
    return worker


def findings(env: dict[str, str]) -> tuple[int, list[dict[str, Any]]]:
    done = run(env, "check", "--json")
    return done.returncode, json.loads(done.stdout)["findings"]


def wrong(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [one for one in found if one["verdict"] == "wrong"]


@pytest.mark.parametrize(("rules", "named"), REFUSED)
def test_check_names_what_is_refused_and_its_line_gives_the_rights(rules: str, named: str, deployment: Cell) -> None:
    env = as_user(deployment, rules)
    code, found = findings(env)

    assert code == Exit.ERROR
    (refused,) = [one for one in wrong(found) if one["what"] == "Redis rights"]
    assert named in refused["text"].lower()
    assert "secret" not in json.dumps(found)

    deployment.redis.execute_command(*refused["to_copy"].split())  # type: ignore[no-untyped-call]
    code, found = findings(env)

    assert (code, wrong(found)) == (Exit.DONE, [])


def test_check_leaves_nothing_behind(deployment: Cell) -> None:
    run(deployment.env, "check")

    assert deployment.redis.keys("*") == []


def test_without_remote_control_a_worker_needs_no_channels_and_no_keys_of_celerys(deployment: Cell) -> None:
    worker = start(deployment, as_user(deployment, "~{canceller}:* ~commands* resetchannels +@all"))
    worker.wait_for("ready.")
    deployment.simulator.add_job("ess", "1")
    deployment.send("cancel", backend="ess", job_id="1")
    deployment.wait_finished(1)

    assert "refuse" not in deployment.logs()


@pytest.mark.parametrize(("rules", "named"), REFUSED)
def test_a_worker_says_in_a_line_what_is_refused_and_works_once_it_may(
    rules: str, named: str, deployment: Cell
) -> None:
    env = {**as_user(deployment, rules), "CANCELLER_REMOTE_CONTROL": "true"}
    worker = start(deployment, env)
    line = json.loads(worker.wait_for("canceller check"))
    deployment.simulator.add_job("ess", "1")
    deployment.send("cancel", backend="ess", job_id="1")
    (refused,) = [one for one in wrong(findings(env)[1]) if one["what"] == "Redis rights"]
    log = (deployment.directory / "worker0.log").read_text()

    assert named in line["error"].lower()
    assert log.count("canceller check") <= 3
    assert "Traceback" not in log
    assert "Frequent restarts" not in log

    deployment.redis.execute_command(*refused["to_copy"].split())  # type: ignore[no-untyped-call]
    worker.wait_for("ready.")
    deployment.wait_finished(1)
    assert worker.process.poll() is None


def test_a_user_with_just_the_rights_of_the_line_runs_workers_and_commands(deployment: Cell) -> None:
    line = acl_line(Settings.load(deployment.env)).replace("PASSWORD", "secret")
    deployment.redis.execute_command(*line.split())  # type: ignore[no-untyped-call]
    env = {**deployment.env, "REDIS_URL": deployment.url.replace("unix://", "unix://canceller:secret@")}
    workers = [start(deployment, env), start(deployment, env)]
    for worker in workers:
        worker.wait_for("ready.")
    for index in range(30):
        deployment.simulator.add_job("oml", f"j-{index}")
    deployment.simulator.add_job("ess", "9", "stuck")

    ended = run(env, "cancel", "oml", *(f"j-{index}" for index in range(30)), "--wait", "--json")
    run(env, "cancel", "nobody", "1", "--wait", "--timeout", "10s")
    run(env, "cancel", "ess", "9", "--command-id", "k-9")
    deployment.wait_until(lambda: len(deployment.of("accepted")) == 31)
    rest = [
        run(env, *words)
        for words in (
            ("list",),
            ("list", "--finished"),
            ("status", "k-9"),
            ("attest", "k-9", "--by", "ann", "--reason", "gone"),
            ("abort", "k-9", "--by", "ann", "--reason", "not needed"),
            ("events",),
            ("dead-letters", "list"),
            ("check",),
        )
    ]
    for worker in workers:
        worker.stop()

    assert ended.returncode == Exit.DONE, ended.stderr
    assert [one.returncode for one in rest] == [Exit.DONE] * len(rest), [one.stderr for one in rest]
    assert "ermission" not in deployment.logs()
    assert "refuse" not in deployment.logs()


@contextmanager
def server(directory: Path, *options: str) -> Iterator[str]:
    """Run a server with its own options; yield its address."""
    (port,) = free_ports(1)
    with ExitStack() as stack:
        start_server(stack, directory, port, "--appendonly", "yes", *options)
        yield f"redis://{HOST}:{port}/0"


def test_check_names_a_cluster(tmp_path: Path, deployment: Cell) -> None:
    (bus,) = free_ports(1)
    with server(tmp_path, "--cluster-enabled", "yes", "--cluster-port", str(bus)) as url:
        code, found = findings({**deployment.env, "REDIS_URL": url})

    assert code == Exit.ERROR
    (one,) = wrong(found)
    assert "node of a cluster, which is not supported" in one["text"]


@pytest.mark.parametrize("command", ["EVAL", "EVALSHA", "BLMOVE", "PSUBSCRIBE", "INFO"])
def test_check_names_a_command_that_was_taken_away(command: str, tmp_path: Path, deployment: Cell) -> None:
    with server(tmp_path, "--rename-command", command, "") as url:
        code, found = findings({**deployment.env, "REDIS_URL": url})

    assert code == Exit.ERROR
    (one,) = [one for one in wrong(found) if one["what"] == "Redis rights"]
    assert command in one["text"].upper()
