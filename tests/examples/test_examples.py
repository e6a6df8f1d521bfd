"""The examples do what they say, in a real deployment."""

from __future__ import annotations

import ast
import csv
import os
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import django.test
import pytest
from cloudevents.core.base import BaseCloudEvent
from examples import async_client, attest_held_force, celery_producer, events_consumer, many_commands, sync_client
from examples.fastapi_producer import app
from fastapi.testclient import TestClient
from support.cell import ROOT, Cell

CLEAN_UP = Path(__file__).with_name("clean_up.sh")


@pytest.fixture
def _celery() -> Iterator[None]:
    """Close the producer's connections."""
    yield
    celery_producer.celery_app.close()


def add_jobs(deployment: Cell, *job_ids: str) -> None:
    for job_id in job_ids:
        deployment.simulator.add_job("ess", job_id)


def wait_for_ends(deployment: Cell, *job_ids: str) -> list[str]:
    """Return the outcomes of jobs, once all have ended."""
    ended: dict[str, str] = {}

    def all_ended() -> bool:
        ended.update((event["subject"], event["outcome"]) for event in deployment.of("finished"))
        return ended.keys() >= set(job_ids)

    deployment.wait_until(all_ended)
    return [ended[job_id] for job_id in job_ids]


@pytest.mark.usefixtures("_celery")
def test_celery_stops_a_job(deployment: Cell) -> None:
    add_jobs(deployment, "10")
    command_ids = {celery_producer.cancel("10", "invoice-7") for _ in range(2)}

    assert wait_for_ends(deployment, "10") == ["cancelled"]
    assert deployment.finished("ess", "10")["data"]["command_ids"] == [*command_ids] == ["invoice-7:10"]


@pytest.mark.usefixtures("_celery")
def test_celery_stops_many_jobs_with_one_message(deployment: Cell) -> None:
    add_jobs(deployment, "20", "21")
    message_id = celery_producer.cancel_all(["20", "21"])

    assert wait_for_ends(deployment, "20", "21") == ["cancelled", "cancelled"]
    assert deployment.finished("ess", "21")["data"]["command_ids"] == [f"{message_id}:1"]


def test_the_celery_producer_imports_nothing_of_ours() -> None:
    tree = ast.parse(Path(celery_producer.__file__).read_bytes())
    imported = {node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}

    assert imported == {"__future__", "collections.abc", "celery"}


def test_the_client_stops_a_job(deployment: Cell) -> None:
    add_jobs(deployment, "30")

    assert sync_client.stop("30") == "30 has ended as cancelled; it may be started again"


async def test_the_async_client_stops_jobs_at_once(deployment: Cell) -> None:
    add_jobs(deployment, "40", "41")

    assert await async_client.stop_all(["40", "41"]) == {"40": "cancelled", "41": "cancelled"}


def test_many_commands_are_counted_by_outcome(deployment: Cell) -> None:
    add_jobs(deployment, *map(str, range(500, 550)))

    assert many_commands.stop_all([*map(str, range(500, 551))], "b-1") == {"cancelled": 50, "not_found": 1}


def test_a_fastapi_service_stops_a_job_and_tells_its_end(deployment: Cell) -> None:
    add_jobs(deployment, "60")
    with TestClient(app) as service:
        answer = service.post("/jobs/60/cancel")
        wait_for_ends(deployment, "60")

        assert answer.status_code == 202
        assert service.get(f"/cancellations/{answer.json()['command_id']}").json() == {"state": "cancelled"}


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [("POST", "/jobs/x%07/cancel", 422), ("GET", "/cancellations/nothing", 404)],
    ids=["an id that no job can have", "a command that nobody sent"],
)
def test_a_fastapi_service_says_what_is_wrong(deployment: Cell, method: str, path: str, code: int) -> None:
    assert deployment.workers
    with TestClient(app) as service:
        assert service.request(method, path).status_code == code


@pytest.fixture
def django_site(deployment: Cell) -> Iterator[django.test.Client]:
    """Import the site once the environment leads to a deployment, as it needs one to start."""
    assert deployment.workers
    site: Any = import_module("examples.django_producer")
    yield django.test.Client()
    site.client.close()


def test_a_django_view_stops_a_job(deployment: Cell, django_site: django.test.Client) -> None:
    add_jobs(deployment, "70")
    answer = django_site.post("/jobs/70/cancel", {"reason": "duplicate"})
    wait_for_ends(deployment, "70")
    data = deployment.finished("ess", "70")["data"]

    assert answer.status_code == 202
    assert (data["outcome"], data["reason"]) == ("cancelled", "duplicate")
    assert data["command_ids"] == [answer.json()["command_id"]]


def test_a_consumer_goes_on_behind_what_it_has_handled(deployment: Cell) -> None:
    add_jobs(deployment, "80", "81")
    seen: list[BaseCloudEvent] = []
    for job_id in ("80", "81"):
        sync_client.stop(job_id)
        events_consumer.consume(deployment.redis, seen.append, block=1)
    deployment.catch_up()
    ends = [event for event in seen if event.get_type() == "canceller.cancellation.finished.v1"]

    assert [event.get_id() for event in seen] == [event["id"] for event in deployment.events]
    assert [(event.get_subject(), event.get_extension("outcome")) for event in ends[-2:]] == [
        ("80", "cancelled"),
        ("81", "cancelled"),
    ]


def test_a_consumer_prints_how_cancellations_end(deployment: Cell, capsys: pytest.CaptureFixture[str]) -> None:
    add_jobs(deployment, "82")
    sync_client.stop("82")
    deployment.redis.delete(events_consumer.POSITION)
    events_consumer.consume(deployment.redis, events_consumer.report, block=1)

    assert "ess 82 cancelled" in capsys.readouterr().out.splitlines()


def test_a_held_force_goes_out_once_somebody_attests(deployment: Cell, capsys: pytest.CaptureFixture[str]) -> None:
    deployment.simulator.add_job("ess", "90", "stuck")
    result = attest_held_force.stop("90", operator="ann")

    assert (result.outcome, result.evidence) == ("force_cancelled", "attested")
    assert "can't be forced yet, for lack of: " in capsys.readouterr().out


@pytest.fixture
def service(tmp_path: Path) -> Path:
    """Return the folder of another project's tests, in which warnings are errors."""
    settings = "[pytest]\nfilterwarnings = error\nasyncio_default_fixture_loop_scope = function\n"
    (tmp_path / "pytest.ini").write_text(settings, encoding="utf-8")
    (tmp_path / "test_service.py").write_bytes(Path(__file__).with_name("service_tests.py").read_bytes())
    return tmp_path


def run_by_others(service: Path, *words: str) -> str:
    """Run Python in another project's folder; return its output."""
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, *words]
    done = subprocess.run(command, cwd=service, env=env, capture_output=True, text=True, timeout=180, check=False)
    return done.stdout + done.stderr


def test_a_service_is_tested_with_our_fixtures(service: Path) -> None:
    assert "3 passed" in run_by_others(service, "-m", "pytest", "-q", "-p", "worker.cli.pytest_plugin")


def test_our_fixtures_load_nothing_before_a_test_asks_for_one(service: Path) -> None:
    program = "import sys, worker.cli.pytest_plugin; print(*sorted({name.partition('.')[0] for name in sys.modules}))"
    loaded = run_by_others(service, "-c", program).split()

    assert not {"aiohttp", "asyncio", "celery", "pydantic", "redis", "structlog", "typer"} & {*loaded}
    assert "pytest" in loaded


def test_a_clean_up_stops_what_a_file_lists_and_reports_it(deployment: Cell, tmp_path: Path) -> None:
    running, ended = [*map(str, range(600, 640))], ["640", "641"]
    add_jobs(deployment, *running)
    for job_id in ended:
        deployment.simulator.add_job("ess", job_id, "finished")
    (tmp_path / "jobs.txt").write_text("\n".join([*running, *ended]), encoding="utf-8")
    program = f"canceller() {{ '{sys.executable}' -m worker \"$@\"; }}; set -- jobs.txt; . '{CLEAN_UP}'"
    env = {**deployment.env, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(["sh", "-c", program], cwd=tmp_path, env=env, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert "42 jobs: would cancel 40; 2 need nothing" in done.stdout
    with (tmp_path / "report.csv").open(encoding="utf-8", newline="") as file:
        assert [(one["job_id"], one["outcome"]) for one in csv.DictReader(file)] == [
            (one, "cancelled") for one in running
        ]
