"""`send_task(...).get()`: the read-only result backend as producers use it, beside real workers."""

from __future__ import annotations

import json
import pickle
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from canceller.client import Client, Rejected, UnknownCancellation
from canceller.settings.environment import Settings
from celery import Celery
from celery.exceptions import TimeoutError as CeleryTimeout
from celery.result import GroupResult, ResultSet
from support.cell import ROOT, Cell
from support.shell import run_program

LONG = 90
ANSWERED = {"outcome": "already_finished", "evidence": "reported", "safe_to_rerun": True}


@contextmanager
def producer(deployment: Cell, user: str = "") -> Iterator[Celery]:
    """Provide a Celery app whose commands have results."""
    broker = deployment.url.replace("unix://", "redis+socket://")
    app = Celery(broker=broker, backend=f"canceller+{deployment.url.replace('unix://', f'unix://{user}')}")
    app.conf.task_routes = {"worker.*": {"queue": "commands"}}
    with app:
        yield app
        app.backend.close()  # type: ignore[attr-defined]  # of ours


@pytest.fixture
def app(deployment: Cell) -> Iterator[Celery]:
    with producer(deployment) as one:
        yield one


def known(result: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in result.items() if name != "detail"}


def test_a_result_is_pending_then_started_then_there(deployment: Cell, app: Celery) -> None:
    deployment.simulator.add_job("ess", 1, "stuck")
    sent = app.send_task("worker.cancel", kwargs={"backend": "ess", "job_id": 1})
    assert (sent.state, sent.ready()) == ("PENDING", False)
    with pytest.raises(CeleryTimeout):
        sent.get(timeout=0)

    deployment.start_worker()
    deployment.wait_until(lambda: bool(deployment.of("cancel_sent")))
    assert (sent.state, sent.ready()) == ("STARTED", False)
    with pytest.raises(CeleryTimeout):
        sent.get(timeout=0.3)

    with Client(Settings.load(deployment.env)) as client:
        client.abort(sent.id, by="ann", reason="no longer wanted")
        end = sent.get(timeout=LONG)
    assert known(end) == {"outcome": "aborted", "evidence": "none", "safe_to_rerun": False}
    assert (sent.state, sent.successful(), app.AsyncResult(sent.id).result) == ("SUCCESS", True, end)
    assert sent.date_done is not None


def test_a_rejected_command_raises_what_the_client_does(deployment: Cell, app: Celery) -> None:
    deployment.start_worker()
    sent = app.send_task("worker.cancel", kwargs={"backend": "nowhere", "job_id": 1})

    with pytest.raises(Rejected, match="no backend has this name"):
        sent.get(timeout=LONG)
    assert isinstance(sent.get(timeout=LONG, propagate=False), Rejected)
    assert app.AsyncResult(sent.id).state == "FAILURE"


def test_results_of_many_come_in_order_whichever_way_they_are_waited_for(deployment: Cell, app: Celery) -> None:
    for job in range(1, 151):
        deployment.simulator.add_job("ess", job, "finished")
    deployment.start_worker()
    sent = [app.send_task("worker.cancel", kwargs={"backend": "ess", "job_id": job}) for job in range(1, 151)]
    sent.append(app.send_task("worker.cancel", kwargs={"backend": "ess", "job_id": 999}))
    *ends, last = ResultSet(list(sent)).get(timeout=LONG)

    assert last["outcome"] == "not_found"
    assert [known(one) for one in ends] == [ANSWERED] * 150
    again = [app.AsyncResult(one.id) for one in sent]
    assert GroupResult("group", again).get(timeout=LONG) == [*ends, last]
    assert ResultSet([app.AsyncResult(one.id) for one in sent]).join(timeout=LONG) == [*ends, last]
    found = dict(ResultSet([app.AsyncResult(one.id) for one in sent]).iter_native(timeout=LONG))
    assert [found[one.id]["result"] for one in sent] == [*ends, last]


ODD = {
    "too long": "x" * 300,
    "a little too long": "x" * 129,
    "with a line break": "nightly\n7",
}


@pytest.mark.parametrize("task_id", ODD.values(), ids=ODD.keys())
def test_a_task_id_that_can_not_be_a_commands_leads_to_the_result_all_the_same(
    task_id: str, deployment: Cell, app: Celery
) -> None:
    deployment.simulator.add_job("ess", 1, "finished")
    deployment.simulator.add_job("ess", 2, "stuck")
    deployment.start_worker()
    several = {"commands": [{"verb": "cancel", "backend": "ess", "job_id": 1}, {"verb": "cancel", "backend": "x"}]}
    wanted = {"backend": "ess", "job_id": 2}
    submitted = app.send_task("worker.submit", kwargs=several, task_id=f"{task_id}.several")
    refused = app.send_task("worker.cancel", kwargs={"backend": "x", "job_id": 1}, task_id=f"{task_id}.refused")
    sent = app.send_task("worker.cancel", kwargs=wanted, task_id=task_id)

    assert [one["outcome"] for one in submitted.get(timeout=LONG)] == ["already_finished", "rejected"]
    with pytest.raises(Rejected, match="no backend has this name"):
        refused.get(timeout=LONG)
    deployment.wait_until(lambda: bool(deployment.of("cancel_sent")))
    assert sent.state == "STARTED"
    with Client(Settings.load(deployment.env)) as client:
        assert client.get(task_id).record.cancellation.job_id == "2"
        client.abort(task_id, by="ann", reason="no longer wanted")
        assert client.wait(task_id, timeout=LONG).outcome == "aborted"
    assert sent.get(timeout=LONG)["outcome"] == "aborted"
    assert app.send_task("worker.cancel", kwargs=wanted, task_id=task_id).get(timeout=LONG)["outcome"] == "aborted"


def test_two_hundred_threads_wait_with_few_connections(deployment: Cell, app: Celery) -> None:
    sent = [app.send_task("worker.cancel", kwargs={"backend": "ess", "job_id": job}) for job in range(1, 201)]
    ends: list[object] = []
    threads = [threading.Thread(target=lambda one=one: ends.append(one.get(timeout=LONG)["outcome"])) for one in sent]
    before = deployment.redis.info("clients")["connected_clients"]
    for thread in threads:
        thread.start()
    deployment.start_worker()
    peak = deployment.redis.info("clients")["connected_clients"]
    for thread in threads:
        thread.join(LONG)

    assert ends == ["not_found"] * 200
    assert peak - before < 60


def test_a_submit_answers_for_each_of_its_commands_in_order(deployment: Cell, app: Celery) -> None:
    deployment.simulator.add_job("ess", 1, "finished")
    deployment.start_worker()
    commands = [
        {"verb": "cancel", "backend": "ess", "job_id": 1},
        {"verb": "cancel", "backend": "nowhere", "job_id": 2},
        {"verb": "delete", "backend": "ess", "job_id": 3},
    ]
    first, second, third = app.send_task("worker.submit", kwargs={"commands": commands}).get(timeout=LONG)

    assert known(first) == ANSWERED
    assert (second["outcome"], "no backend has this name" in second["detail"]) == ("rejected", True)
    assert third["outcome"] == "not_found"

    own = app.send_task("worker.submit", kwargs={"commands": [{**commands[0], "command_id": "mine"}]})
    with pytest.raises(UnknownCancellation, match="ids of their own"):
        own.get(timeout=LONG)
    assert app.AsyncResult("mine").get(timeout=LONG)["outcome"] == "already_finished"
    with pytest.raises(Rejected, match="a list"):
        app.send_task("worker.submit", kwargs={"commands": 1}).get(timeout=LONG)


def test_a_user_of_redis_who_may_only_read_gets_results(deployment: Cell, app: Celery) -> None:
    deployment.redis.execute_command(
        "ACL", "SETUSER", "reader", "on", ">secret", "~*", "+@read", "+@connection", "+eval", "+evalsha", "+time"
    )
    deployment.start_worker()
    sent = [app.send_task("worker.cancel", kwargs={"backend": name, "job_id": 1}) for name in ("ess", "nowhere")]
    submitted = app.send_task("worker.submit", kwargs={"commands": [{"verb": "cancel", "backend": "ess", "job_id": 2}]})
    with producer(deployment, "reader:secret@") as reader:
        assert reader.AsyncResult(sent[0].id).get(timeout=LONG)["outcome"] == "not_found"
        with pytest.raises(Rejected):
            reader.AsyncResult(sent[1].id).get(timeout=LONG)
        assert [one["outcome"] for one in reader.AsyncResult(submitted.id).get(timeout=LONG)] == ["not_found"]
        assert "secret" not in reader.backend.as_uri()


def test_a_result_survives_pickling(deployment: Cell, app: Celery) -> None:
    deployment.start_worker()
    sent = app.send_task("worker.cancel", kwargs={"backend": "ess", "job_id": 1})
    app.set_current()
    copied = pickle.loads(pickle.dumps(sent))  # noqa: S301

    assert copied.get(timeout=LONG)["outcome"] == "not_found"
    copied.backend.close()


FORKING = """
import json, os, sys
from celery import Celery
app = Celery(broker={broker!r}, backend={backend!r})
app.conf.task_routes = {{"worker.*": {{"queue": "commands"}}}}

def stop(job):
    return app.send_task("worker.cancel", kwargs={{"backend": "ess", "job_id": job}})

sent = stop(1)
print(json.dumps(sent.get(timeout=60)["outcome"]), flush=True)
other = stop(2)
for job in (3, 4):
    if os.fork() == 0:
        print(json.dumps(stop(job).get(timeout=60)["outcome"] + " " + other.get(timeout=60)["outcome"]), flush=True)
        sys.exit()
    os.wait()
print(json.dumps(stop(5).get(timeout=60)["outcome"]), flush=True)
"""


def test_results_are_found_in_forked_children_and_go_on_in_the_parent(deployment: Cell) -> None:
    deployment.start_worker()
    broker, backend = deployment.url.replace("unix://", "redis+socket://"), f"canceller+{deployment.url}"
    done = run_program(deployment.env, FORKING.format(broker=broker, backend=backend))

    assert done.stderr == ""
    alone, pair = "not_found", "not_found not_found"
    assert [json.loads(line) for line in done.stdout.splitlines()] == [alone, pair, pair, alone]


def test_the_guides_example_does_what_it_says(deployment: Cell) -> None:
    for job in (300100, 300101, 300102):
        deployment.simulator.add_job("ess", job)
    deployment.start_worker()
    page = (ROOT / "worker/guide/sending.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"<!-- results-example -->\n```python\n(.*?)```", page, re.DOTALL)
    example = example.replace("canceller+redis://localhost:6379/0", f"canceller+{deployment.url}")
    example = example.replace("redis://localhost:6379/0", deployment.url.replace("unix://", "redis+socket://"))
    told: dict[str, Any] = {}
    exec(example, told)  # noqa: S102
    promised = dict(re.findall(r'"(outcome|evidence)": "(\w+)"', example))
    told["commands"].backend.close()
    end, ends = told["end"], told["ends"]

    assert {name: end[name] for name in promised} == promised
    assert [(one["outcome"], one["safe_to_rerun"]) for one in ends] == [("cancelled", True)] * 2
