"""Joining, upgrading, rejecting, attesting, holding, warning, as producers and operators see them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.cell import Cell, cell
from support.shell import run

BACKENDS = """
[backends.ess]
kind = "oracle-ess"
base_url = "{ess}"
auth = { type = "none" }
force_after = "1s"
warn_after = "2s"
poll = { first = "200ms", max = "500ms" }
[backends.strict]
kind = "oracle-ess"
base_url = "{ess}"
auth = { type = "none" }
require = ["reason"]
"""


@pytest.fixture
def ess(tmp_path: Path) -> Iterator[Cell]:
    with cell(tmp_path, BACKENDS, knobs={"ess": {"cancel_delay": 0.5, "force_window": 1.0}}) as one:
        one.start_worker()
        yield one


def test_a_later_delete_upgrades_the_open_cancellation(ess: Cell) -> None:
    ess.simulator.add_job("ess", 1, "stuck")
    first = ess.send("cancel", backend="ess", job_id=1)
    second = ess.send("delete", backend="ess", job_id="1", reason="clean up")
    ess.wait_until(lambda: bool(ess.of("joined")))
    ess.simulator.add_job("ess", 1, state="CANCELLED")
    ess.wait_finished(1)
    (joined,) = ess.of("joined")

    assert joined["data"]["verb"] == "delete"
    assert ess.finished("ess", "1")["outcome"] == "deleted"
    assert ess.finished("ess", "1")["data"]["command_ids"] == [first, second]


def test_a_held_force_says_why_once_and_goes_on_when_somebody_attests(ess: Cell) -> None:
    ess.simulator.add_job("ess", 1, life="stuck")
    command_id = ess.send("cancel", backend="ess", job_id=1)
    ess.wait_until(lambda: bool(ess.of("overdue") and ess.of("force_held")))
    (held,) = ess.of("force_held")
    met = {name: one["met"] for name, one in held["data"]["gate"].items() if name != "earliest_at"}

    assert [name for name, value in met.items() if value is False] == ["remote_stopped"]
    assert ess.simulator.job("ess", 1).verbs().count("force") == 0

    attestation = {"id": command_id, "by": "ops", "reason": "the process is gone"}
    ess.sender.send_task("worker.attest", kwargs=attestation, queue="commands")
    ess.wait_finished(1)
    event = ess.finished("ess", "1")

    assert (event["outcome"], event["data"]["evidence"]) == ("force_cancelled", "attested")
    assert event["data"]["attested_by"] == "ops: the process is gone"
    assert len(ess.of("force_held")) == 1
    (attested,) = ess.of("attested")
    assert attested["data"]["action"] == {"name": "attest", "by": "ops", "reason": "the process is gone"}


def test_a_synchronous_request_is_never_forced(ess: Cell) -> None:
    ess.simulator.add_job("ess", 1, life="sync")
    ess.send("cancel", backend="ess", job_id=1, remote_stopped=True)
    ess.wait_until(lambda: bool(ess.of("overdue") and ess.of("force_held")))
    looks = ess.simulator.job("ess", 1).verbs().count("look")
    ess.wait_until(lambda: ess.simulator.job("ess", 1).verbs().count("look") >= looks + 3)
    ess.catch_up()
    (held,) = ess.of("force_held")

    assert held["data"]["gate"]["asynchronous"]["met"] is False
    assert len(ess.of("overdue")) == 1
    assert not ess.of("finished")
    assert ess.simulator.job("ess", 1).verbs().count("force") == 0


def test_the_same_command_twice_is_one(ess: Cell) -> None:
    ess.simulator.add_job("ess", 1)
    for _ in range(2):
        ess.send("cancel", backend="ess", job_id=1, command_id="c-1")
    ess.wait_finished(1)

    assert len(ess.of("accepted")) == 1
    assert not ess.of("joined")


BAD = {
    "an unknown field": ({"backend": "ess", "job_id": 1, "cancle": True}, "cancle"),
    "an unknown backend": ({"backend": "nowhere", "job_id": 1}, "nowhere|backend"),
    "a bad job id": ({"backend": "ess", "job_id": ".."}, "job_id"),
    "a missing reason": ({"backend": "strict", "job_id": 1}, "reason"),
    "an unknown parameter": ({"backend": "ess", "job_id": 1, "params": {"cluster_id": "x"}}, "cluster_id"),
    "a wrong type": ({"backend": "ess", "job_id": 1, "remote_stopped": "yes"}, "remote_stopped"),
}


def test_bad_commands_are_rejected_and_kept_and_stop_nothing(ess: Cell) -> None:
    ess.simulator.add_job("ess", 77)
    ids = {name: ess.send("cancel", **command) for name, (command, _) in BAD.items()}
    ess.redis.lpush("commands", b"\xff garbage")
    ess.send("submit", commands=[{"verb": "cancel", "backend": "ess", "job_id": 77}, "no command"])
    ess.wait_until(lambda: len(ess.of("rejected")) >= len(BAD) + 2)
    ess.wait_finished(1)
    errors = {event["data"]["command_id"]: event["data"]["error"] for event in ess.of("rejected")}

    for name, (_, named) in BAD.items():
        assert any(word in errors[ids[name]] for word in named.split("|")), errors[ids[name]]
    assert len(errors) == len(BAD) + 2
    assert all("cancellationid" not in event for event in ess.of("rejected"))
    dead = ess.redis.xrange("{canceller}:dead")
    assert len(dead) == len(BAD) + 2
    assert all(fields[b"reason"] and fields[b"raw"] for _, fields in dead)


def test_submit_takes_a_thousand_commands_at_once(ess: Cell) -> None:
    for number in range(1000):
        ess.simulator.add_job("ess", 1000 + number, life="finished")
    commands = [{"verb": "cancel", "backend": "ess", "job_id": 1000 + number} for number in range(1000)]
    task_id = ess.send("submit", commands=commands)
    ess.wait_finished(1000)
    accepted = {event["data"]["command_ids"][0] for event in ess.of("accepted")}

    assert accepted == {f"{task_id}:{index}" for index in range(1000)}
    ess.check_sequences()
    assert json.dumps(ess.of("finished")[0]["data"]["labels"]) == "{}"


def test_commands_that_lie_beside_the_queue_are_reported_by_workers_and_check(deployment: Cell) -> None:
    deployment.sender.conf.broker_transport_options = {"global_keyprefix": "shop_"}
    deployment.send("cancel", backend="ess", job_id=1)
    worker = deployment.start_worker()
    warning = json.loads(worker.wait_for("redis_consumer.stranded"))
    checked = json.loads(run(deployment.env, "check", "--json").stdout)
    (finding,) = [one for one in checked["findings"] if one["what"] == "queue commands"]

    assert (warning["level"], warning["list"], warning["messages"]) == ("warning", "shop_commands", 1)
    assert "CANCELLER_QUEUE=shop_commands" in warning["hint"]
    assert finding["verdict"] == "warning"
    assert "1 message in shop_commands" in finding["text"]
    assert "CANCELLER_QUEUE=shop_commands" in finding["text"]
