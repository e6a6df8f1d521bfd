"""Workers with different backends files, as in a rolling deploy that adds a backend or removes one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from support.cell import Cell, Worker
from support.rolling import file_without, start_without
from support.shell import lines, run

from worker.cli.exits import Exit


def prepare(cell: Cell, job_ids: Sequence[int]) -> None:
    for job_id in job_ids:
        cell.simulator.add_job("ess", job_id)


def cancel(cell: Cell, job_ids: Sequence[int], command_id: str = "k") -> None:
    for job_id in job_ids:
        cell.send("cancel", backend="ess", job_id=job_id, command_id=f"{command_id}-{job_id}")


def in_the_way(cell: Cell, command_id: str) -> str:
    """Return what is in a cancellation's way once its backend counts as unserved; nothing before that."""
    told = json.loads(run(cell.env, "status", command_id, "--json").stdout)
    return "" if told["backend_served"] else "\n".join(told["words"]["in_the_way"])


def test_no_command_is_rejected_that_one_of_two_workers_knows(deployment: Cell) -> None:
    prepare(deployment, range(1, 61))
    deployment.start_worker()
    start_without(deployment, "ess")
    cancel(deployment, range(1, 41))
    several = [{"verb": "cancel", "backend": "ess", "job_id": job_id} for job_id in range(41, 61)]
    for first in range(0, 20, 5):
        deployment.send("submit", commands=several[first : first + 5])
    cancel(deployment, range(1, 41))  # the same jobs again
    deployment.wait_finished(60)

    assert deployment.of("rejected") == []
    assert len(deployment.of("accepted")) == len(deployment.of("finished")) == 60
    assert {event["outcome"] for event in deployment.of("finished")} == {"cancelled"}
    assert [deployment.simulator.job("ess", job_id).effects("cancel") for job_id in range(1, 61)] == [1] * 60
    deployment.check_sequences()


def test_a_worker_that_knows_a_backend_and_is_killed_keeps_no_command_from_the_next_one(deployment: Cell) -> None:
    prepare(deployment, range(1, 41))
    knows = deployment.start_worker()
    start_without(deployment, "ess")
    cancel(deployment, range(1, 21))
    knows.kill()
    cancel(deployment, range(21, 41))
    deployment.start_worker()
    deployment.wait_finished(40)

    assert (deployment.of("rejected"), len(deployment.of("accepted"))) == ([], 40)


def test_a_backend_is_added_and_another_removed_under_load(deployment: Cell) -> None:
    """The workers are replaced one after the other; commands for a backend come as soon as one worker serves it."""
    for number in range(1, 91):
        for system in ("ess", "sahara"):
            deployment.simulator.add_job(system, number, **({"project": "p1"} if system == "sahara" else {}))
    old = [start_without(deployment, "ess") for _ in range(2)]
    numbers = iter(range(1, 91))

    def load(*backends: str) -> None:
        for number in [next(numbers) for _ in range(30)]:
            for backend in backends:
                deployment.send("cancel", backend=backend, job_id=str(number))

    load("sahara")
    for number, worker in enumerate(old):
        start_without(deployment, *(["sahara"] if number else []))
        load("ess", "sahara")
        worker.stop()
    deployment.wait_finished(30 + 60 + 60, seconds=120)

    assert deployment.of("rejected") == []
    assert len(deployment.of("accepted")) == len(deployment.of("finished")) == 150
    deployment.check_sequences()


def test_a_command_for_a_backend_that_nobody_knows_is_rejected_with_those_that_anybody_knows(deployment: Cell) -> None:
    start_without(deployment, "ess")
    deployment.start_worker()
    for number in range(4):
        deployment.send("cancel", backend="esss", job_id=number)
    deployment.wait_until(lambda: len(deployment.of("rejected")) == 4)

    assert {event["data"]["error"] for event in deployment.of("rejected")} == {
        "backend: no backend has this name; known: ess, mrs, oml, sahara; did you mean ess?"
    }


DEADLINE = 20.0


def remove(deployment: Cell, give_up_after: float) -> None:
    """Send a cancel for a job on a backend; then replace the worker by one whose file lacks the backend."""
    deployment.simulator.add_job("ess", "9", "stuck")
    worker = deployment.start_worker()
    deployment.send("cancel", backend="ess", job_id="9", command_id="k-9", give_up_after=give_up_after)
    deployment.wait_until(lambda: bool(deployment.of("cancel_sent")))
    worker.stop()
    deployment.env["CANCELLER_BACKENDS"] = file_without(deployment, "ess")
    deployment.start_worker()


@pytest.fixture
def removed(deployment: Cell) -> Cell:
    remove(deployment, 3600.0)
    return deployment


def test_an_abort_on_a_removed_backend_is_done(removed: Cell) -> None:
    done = run(removed.env, "abort", "k-9", "--by", "ops", "--reason", "it is gone", "--json")
    removed.wait_finished(1)
    ended = removed.finished("ess", "9")

    assert (done.returncode, lines(done)[0]["order"]) == (Exit.DONE, "aborted")
    assert ended["data"]["detail"].startswith("withdrawn by ops: it is gone; it was ended without a call")


def test_the_commands_name_a_removed_backend(removed: Cell) -> None:
    removed.wait_until(lambda: in_the_way(removed, "k-9").startswith("no living worker knows its backend"))
    listed = run(removed.env, "list").stdout
    checked: dict[str, Any] = {
        one["what"]: one for one in json.loads(run(removed.env, "check", "--json").stdout)["findings"]
    }

    assert "no living worker knows its backend; timed_out at" in listed
    assert checked["backend ess"]["verdict"] == "warning"
    assert "no living worker knows it" in checked["backend ess"]["text"]


def test_the_deadline_on_a_removed_backend_holds_without_a_call(deployment: Cell) -> None:
    remove(deployment, DEADLINE)
    calls = len(deployment.simulator.job("ess", "9").verbs())
    deployment.wait_finished(1)
    ended = deployment.finished("ess", "9")

    assert (ended["outcome"], ended["data"]["safe_to_rerun"]) == ("timed_out", False)
    assert "no living worker knows its backend" in ended["data"]["detail"]
    assert calls == len(deployment.simulator.job("ess", "9").verbs())
    deployment.check_sequences()


def test_a_backend_that_is_put_back_goes_on(removed: Cell) -> None:
    removed.env["CANCELLER_BACKENDS"] = str(removed.directory / "backends.toml")
    before = removed.simulator.job("ess", "9").verbs()
    removed.start_worker()
    removed.wait_until(lambda: len(removed.simulator.job("ess", "9").verbs()) > len(before))

    assert set(removed.simulator.job("ess", "9").verbs()[len(before) :]) == {"look"}


def test_a_join_of_a_newer_record_waits_for_a_newer_worker_without_haste(deployment: Cell) -> None:
    deployment.simulator.add_job("ess", "9", "stuck")
    worker = deployment.start_worker()
    deployment.send("cancel", backend="ess", job_id="9")
    deployment.wait_until(lambda: bool(deployment.of("cancel_sent")))
    worker.stop()
    (found,) = [event["cancellationid"] for event in deployment.of("accepted")]
    hot = deployment.redis.get(f"{{canceller}}:hot:{found}")
    assert isinstance(hot, bytes)
    deployment.redis.set(f"{{canceller}}:hot:{found}", hot.replace(b'"f":1', b'"f":9'))
    deployment.start_worker()
    cancel(deployment, [9])
    deployment.simulator.add_job("ess", "1")
    cancel(deployment, [1])
    deployment.wait_finished(1)
    calls = deployment.redis.info("commandstats")["cmdstat_evalsha"]["calls"]
    deployment.read(3)
    more = deployment.redis.info("commandstats")["cmdstat_evalsha"]["calls"] - calls

    assert more < 200
    assert "Traceback" not in deployment.logs()
    assert [event["subject"] for event in deployment.of("joined")] == []
    assert deployment.redis.hlen("{canceller}:handover:ess") == 1


def test_what_was_taken_in_before_its_backend_was_removed_is_not_rejected_when_it_comes_again(removed: Cell) -> None:
    command = {"backend": "ess", "job_id": "9", "command_id": "k-9"}
    removed.send("cancel", **command, give_up_after=3600.0)
    removed.send("cancel", **command, reason="another")
    removed.wait_until(lambda: bool(removed.of("rejected")))
    removed.wait_until(lambda: not removed.redis.exists("{canceller}:handover:ess"))

    (event,) = removed.of("rejected")
    assert event["data"]["reason"] == "another"


def test_what_older_workers_sent_to_wake_others_is_left_alone(deployment: Cell) -> None:
    for backend in ("ess", "commands"):
        deployment.sender.send_task(
            "worker.reconcile", kwargs={"backend": backend}, queue=f"canceller.reconcile.{backend}"
        )
    prepare(deployment, [1])
    deployment.start_worker()
    cancel(deployment, [1])
    deployment.wait_finished(1)
    checked = run(deployment.env, "check", "--json")

    assert [deployment.redis.llen(f"canceller.reconcile.{backend}") for backend in ("ess", "commands")] == [1, 1]
    assert deployment.of("rejected") == []
    assert "canceller.reconcile" not in checked.stdout + deployment.logs()
    assert checked.returncode == Exit.DONE


def test_an_older_worker_leaves_alone_what_only_newer_ones_know_and_works_on_the_rest(deployment: Cell) -> None:
    file = deployment.directory / "backends.toml"
    newer = '[backends.slurm]\nkind = "http"\nmanifest = "slurm"\n[sinks.topic]\nkind = "kafka"\n'
    file.write_text(f"colour = 1\n{file.read_text()}\n{newer}")
    deployment.env["CANCELLER_UNKNOWN_KEYS"] = "warn"
    worker = Worker(deployment.env, deployment.directory / "worker0.log")
    deployment.workers.append(worker)
    warned = [json.loads(worker.wait_for("backends_file.left_alone")) for _ in range(3)]
    prepare(deployment, [1])
    deployment.send("cancel", backend="ess", job_id=1, reply_to=["topic"])
    deployment.wait_finished(1)
    checked = json.loads(run(deployment.env, "check", "--json").stdout)["findings"]

    places = [f"{file}: {place}: no such " for place in ("colour", "[backends.slurm] kind", "[sinks.topic] kind")]
    assert [one["level"] for one in warned] == ["warning"] * 3
    for told in ([one["problem"] for one in warned], [one["text"] for one in checked if one["verdict"] == "warning"]):
        assert [text.startswith(place) for text, place in zip(told, places, strict=True)] == [True] * 3
