"""The command line against a real deployment, and against broken ones."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from pathlib import Path

import pytest
from celery import Celery
from support.cell import Cell
from support.shell import lines, read_until, run, running

from worker.cli.exits import Exit

BROKEN = """
[backends.ess]
kind = "oracle-es"
base_url = "fusion"
auth = { type = "none" }
[backends.mrs]
kind = "mrs"
base_url = "http://h"
auth = { type = "none" }
polll = 3
"""


@pytest.fixture
def bare_env(tmp_path: Path) -> dict[str, str]:
    """Return an environment that says nothing about a deployment."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("CANCELLER_", "REDIS_", "CELERY_"))
    }
    return {**kept, "CANCELLER_DATA_DIR": str(tmp_path / "data")}


def test_sends_waits_and_tells_each_end(deployment: Cell) -> None:
    deployment.start_worker()
    for job_id, life in (("1", "runs"), ("2", "finished"), ("4", "forbidden")):
        deployment.simulator.add_job("ess", job_id, life)

    ended = run(deployment.env, "cancel", "ess", "1", "2", "--wait", "--json")
    missing = run(deployment.env, "cancel", "ess", "3", "--wait")
    refused = run(deployment.env, "cancel", "ess", "4", "--wait")
    rejected = run(deployment.env, "cancel", "nowhere", "4", "--wait")

    assert ended.returncode == Exit.DONE, ended.stderr
    assert {one["job_id"]: one["outcome"] for one in lines(ended)} == {"1": "cancelled", "2": "already_finished"}
    assert (missing.returncode, missing.stdout.split(";")[0]) == (Exit.NOT_AS_ASKED, "ess 3  not_found")
    assert refused.returncode == Exit.NOT_ALLOWED
    assert (rejected.returncode, "no backend has this name" in rejected.stdout) == (Exit.USAGE, True)


def test_an_operators_way_with_a_stuck_job(deployment: Cell) -> None:
    deployment.start_worker()
    deployment.simulator.add_job("ess", "9", "stuck")

    sent = lines(
        run(deployment.env, "cancel", "ess", "9", "--command-id", "k-1", "--by", "ops", "--label", "a=b", "--json")
    )
    deployment.wait_until(lambda: len(deployment.simulator.log("ess", "9", "look")) >= 2)
    waited = run(deployment.env, "wait", "k-1", "--timeout", "1s")
    words = run(deployment.env, "status", "ess", "9")
    state = json.loads(run(deployment.env, "status", "k-1", "--json").stdout)
    listed = lines(run(deployment.env, "list", "--json"))
    attested = run(deployment.env, "attest", "ess", "9", "--by", "ops", "--reason", "seen dead")
    after = run(deployment.env, "status", "k-1")
    aborted = run(deployment.env, "abort", "k-1", "--by", "ops", "--reason", "let it")
    again = run(deployment.env, "abort", "ess", "9", "--by", "ops", "--reason", "let it")
    finished = lines(run(deployment.env, "list", "--finished", "--json"))

    assert sent == [{"verb": "cancel", "backend": "ess", "job_id": "9", "command_id": "k-1"}]
    assert (waited.returncode, "still open" in waited.stdout) == (Exit.STILL_OPEN, True)
    assert "done: cancel sent at" in words.stdout
    assert "seen: cancelling (CANCELLING)" in words.stdout
    assert state["progress"]["sent"]["cancel"]["last"] == "accepted"
    assert [one["cancellation_id"] for one in listed] == [state["cancellation_id"]]
    assert attested.returncode == Exit.DONE, attested.stdout + attested.stderr
    assert "the word of ops: seen dead" in after.stdout
    assert aborted.returncode == Exit.DONE, aborted.stdout + aborted.stderr
    assert (again.returncode, "too late" in again.stdout) == (Exit.NOT_AS_ASKED, True)
    assert [one["outcome"] for one in finished] == ["aborted"]


def test_an_attestation_is_found_though_its_texts_are_kept_otherwise_than_given(deployment: Cell) -> None:
    deployment.start_worker()
    deployment.simulator.add_job("ess", "9", "stuck")
    run(deployment.env, "cancel", "ess", "9", "--command-id", "k-1")
    deployment.wait_until(lambda: bool(deployment.of("accepted")))

    attested = run(deployment.env, "attest", "k-1", "--by", "ann\udcff", "--reason", "\udcff gone")

    assert attested.returncode == Exit.DONE, attested.stdout + attested.stderr


def test_many_ids_come_from_standard_input(deployment: Cell) -> None:
    deployment.start_worker()
    ids = [str(number) for number in range(100, 160)]
    for job_id in ids:
        deployment.simulator.add_job("ess", job_id)

    done = run(deployment.env, "delete", "ess", "-", "--wait", "--json", stdin="\n".join(ids))

    assert done.returncode == Exit.DONE, done.stderr
    assert {one["job_id"] for one in lines(done) if one["outcome"] == "deleted"} == set(ids)


def test_events_are_whole_objects_with_their_positions(deployment: Cell) -> None:
    deployment.start_worker()
    run(deployment.env, "cancel", "ess", "77", "--wait")

    told = lines(run(deployment.env, "events", "--json"))
    rest = lines(run(deployment.env, "events", "--json", "--after", told[0]["position"]))

    assert [one["type"].split(".")[2] for one in told] == ["accepted", "cancel_sent", "finished"]
    assert rest == told[1:]
    assert run(deployment.env, "events", "--backend", "oml").stdout == ""


def test_events_follow_until_interrupted(deployment: Cell) -> None:
    deployment.start_worker()
    with running(deployment.env, "events", "--follow", "--after", "0") as follower:
        run(deployment.env, "cancel", "ess", "78")
        read_until(follower, r"ess 78  finished  not_found")
        follower.send_signal(signal.SIGINT)
        assert follower.wait(timeout=60) == Exit.DONE


def test_check_looks_at_everything(deployment: Cell) -> None:
    done = run(deployment.env, "check", "--json")

    told = json.loads(done.stdout)
    found = {finding["what"]: finding["verdict"] for finding in told["findings"]}
    assert (done.returncode, told["ok"]) == (Exit.DONE, True), done.stdout
    assert {"backend ess", "backend oml", "backend mrs", "backend sahara", "after a crash"} <= found.keys()


def test_check_finds_a_backend_that_refuses_its_credential(deployment: Cell) -> None:
    deployment.simulator.set_knobs({"ess.auth": "bearer"})

    done = run(deployment.env, "check")

    assert done.returncode == Exit.ERROR
    assert re.search(r"wrong\tbackend ess\t.*refuses", done.stdout)
    assert re.search(r"ok\tbackend oml", done.stdout)


def test_check_says_what_a_probe_proves(deployment: Cell) -> None:
    file = Path(deployment.env["CANCELLER_BACKENDS"])
    probe = f'remote_probe = {{ url = "{deployment.simulator.url}/agent/{{job_id}}", gone_when = "404" }}'
    file.write_text(f"{file.read_text(encoding='utf-8')}\n{probe}\n", encoding="utf-8")  # in the last table, sahara's

    done = run(deployment.env, "check")

    assert done.returncode == Exit.DONE, done.stdout
    assert re.search(r"ok\tprobe of backend sahara\tit answers 404 .* make sure", done.stdout)
    assert "probe of backend ess" not in done.stdout


@pytest.mark.parametrize("command", [["check"], ["up"]], ids=["check", "up"])
def test_a_broken_configuration_names_every_mistake(
    command: list[str], bare_env: dict[str, str], tmp_path: Path
) -> None:
    file = tmp_path / "broken.toml"
    file.write_text(BROKEN)

    done = run({**bare_env, "CANCELLER_SLOTS": "many"}, *command, "--backends", str(file))

    assert done.returncode == Exit.USAGE
    for mistake in ("CANCELLER_SLOTS", "[backends.ess] kind", "[backends.ess] base_url", "project_id", "polll"):
        assert mistake in done.stderr
    assert "Traceback" not in done.stderr


def test_check_names_every_missing_variable(bare_env: dict[str, str]) -> None:
    done = run({**bare_env, "CANCELLER_SLOTS": "many"}, "check")

    assert done.returncode == Exit.USAGE
    assert [line.split(":")[0] for line in done.stderr.split("\n  ")[1:]] == [
        "CANCELLER_SLOTS",
        "REDIS_URL",
        "CANCELLER_BACKENDS",
    ]


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (["list"], Exit.USAGE, "canceller up"),
        (["cancel", "ess", ".."], Exit.USAGE, "not job ids"),
        (["cancel", "ess", "1", "--force-after", "3 weeks"], Exit.USAGE, "is not a duration"),
        (["cancel", "ess", "1", "--label", "x"], Exit.USAGE, "not key=value"),
        (["events", "--after", "now"], Exit.USAGE, "is not a position"),
        (["abort", "x", "--by", " ", "--reason", "y"], Exit.USAGE, "can't be empty"),
        (["status", "a", "b", "c"], Exit.USAGE, "give one ID"),
        (["up"], Exit.USAGE, "CANCELLER_BACKENDS"),
        (["simulator", "--jobs", "nowhere.toml"], Exit.USAGE, "--jobs: nowhere.toml can't be read (No such file"),
        (
            ["cancel", "ess", "1", "--producer", "ops", "--key", "nowhere.pem"],
            Exit.USAGE,
            "--key: the file cannot be read (No such file",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_mistake_is_told_with_the_way_out(words: list[str], code: Exit, text: str, bare_env: dict[str, str]) -> None:
    done = run(bare_env, *words)

    assert done.returncode == code, done.stderr
    assert text in " ".join(done.stderr.replace("│", " ").split())
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("words", [["list"], ["status", "x"], ["cancel", "ess", "1"], ["events"]], ids=" ".join)
def test_a_redis_that_is_away_is_one_clear_line(words: list[str], bare_env: dict[str, str]) -> None:
    done = run({**bare_env, "REDIS_URL": "redis://127.0.0.1:1"}, *words)

    assert done.returncode == Exit.ERROR
    assert done.stderr.startswith("canceller: ")
    assert done.stderr.endswith("check REDIS_URL, and that this server is running\n")
    assert done.stderr.count("\n") == 1


def test_a_stale_address_says_how_to_start_the_server(bare_env: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/redis.url").write_text(f"unix://{tmp_path}/data/redis.sock\n")

    done = run(bare_env, "list")

    assert (done.returncode, "start it with `canceller up`" in done.stderr) == (Exit.ERROR, True)


def test_the_simulator_tells_where_it_listens(bare_env: dict[str, str]) -> None:
    with running(bare_env, "simulator", "--port", "0", "--json") as process:
        assert json.loads(read_until(process, r"^\{.*\}$")[0])["url"].startswith("http://127.0.0.1:")
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == Exit.DONE


def test_up_runs_everything_restarts_a_worker_and_ends(deployment: Cell, bare_env: dict[str, str]) -> None:
    env = {**bare_env, "CANCELLER_BACKENDS": deployment.env["CANCELLER_BACKENDS"], "CANCELLER_LOG_FORMAT": "json"}
    deployment.simulator.add_job("ess", "1")
    with running(env, "up", "--workers", "1") as up:
        read_until(up, "embedded Redis at unix://")
        broker = read_until(up, r"producers that use only Celery: (redis\+socket://\S+)")[1]
        read_until(up, "engine.started")
        os.kill(worker_of(up.pid), signal.SIGKILL)
        read_until(up, "worker 1 has died by SIGKILL")
        read_until(up, "engine.started")
        assert run(env, "cancel", "ess", "1", "--wait", "--timeout", "30s").returncode == Exit.DONE
        with Celery(broker=broker) as producer:
            producer.send_task("worker.cancel", kwargs={"backend": "ess", "job_id": "2"}, queue="commands")
        assert run(env, "wait", "ess", "2", "--patience", "30s").returncode == Exit.NOT_AS_ASKED
        second = run(env, "up")
        up.send_signal(signal.SIGTERM)
        read_until(up, "stopping the embedded Redis")
        assert up.wait(timeout=60) == Exit.DONE
    assert (second.returncode, f"held by process {up.pid}" in second.stderr) == (Exit.ERROR, True)


def worker_of(pid: int) -> int:
    """Find the worker process that a process has started."""
    listed = subprocess.run(["ps", "-eo", "pid=,ppid=,args="], capture_output=True, text=True, check=True).stdout
    rows = [line.split(None, 2) for line in listed.splitlines()]
    (found,) = [int(own) for own, parent, args in rows if int(parent) == pid and "celery" in args]
    return found
