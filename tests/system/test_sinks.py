"""Real workers deliver to sinks; the receiver is the guide's own example."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import ThreadingHTTPServer
from typing import Any

import pytest
from examples.webhook_receiver import Receiver
from support.cell import Cell, Worker, cell
from support.shell import lines, run

from worker.cli.exits import Exit

SECRET = "whsec_c2VjcmV0LW9mLXRoaXJ0eS10d28tYnl0ZXMtYXQtbGVhc3Q="
BACKENDS = """
[backends.ess]
kind = "oracle-ess"
base_url = "{ess}"
auth = { type = "none" }
poll = { first = "200ms", max = "1s" }

[sinks.billing]
kind = "webhook"
url = "http://127.0.0.1:PORT/hooks"
secret_env = "BILLING_WEBHOOK_SECRET"
types = ["finished"]

[sinks.fragile]
kind = "webhook"
url = "http://localhost:PORT/fragile"
secret_env = ["BILLING_WEBHOOK_SECRET", "NEXT_SECRET"]
types = ["overdue"]
max_tries = 1

[sinks.jobs]
kind = "celery"
broker_url_env = "JOBS_BROKER_URL"
queue = "job-events"
task = "jobs.on_cancellation"
types = ["finished"]

[sinks.log]
kind = "stdout"
"""


class Server(ThreadingHTTPServer):
    """Runs the example, and keeps the events that it takes."""

    daemon_threads = True
    fails = ""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Kept)
        self.taken: list[tuple[str, dict[str, Any]]] = []


class Kept(Receiver):
    """The example, writing to a list instead of a terminal."""

    server: Server

    def take(self, event: dict[str, Any]) -> None:
        if self.server.fails and self.path == self.server.fails:
            raise ConnectionAbortedError
        self.server.taken.append((self.path, event))

    def log_message(self, *_: object) -> None:
        """Write nothing to a terminal."""


class Quiet(Server):
    """Reports no errors about requests that must fail."""

    def handle_error(self, *_: object) -> None:
        """Let the connection close without an answer."""


@dataclass
class Place:
    """A deployment with sinks, and what their receivers have received."""

    cell: Cell
    server: Server
    workers: list[Worker] = field(default_factory=list)

    def taken(self, path: str = "/hooks") -> list[dict[str, Any]]:
        return [event for where, event in self.server.taken if where == path]

    def subjects(self, path: str = "/hooks") -> set[str]:
        return {event["subject"] for event in self.taken(path)}

    def of(self, subject: str) -> list[dict[str, Any]]:
        """Return the events about a job that the webhook's receiver got; `outcome` is None for those without one."""
        return [{"outcome": None, **event} for event in self.taken() if event["subject"] == subject]

    def cancel(self, *job_ids: str, **more: Any) -> None:
        for job_id in job_ids:
            self.cell.simulator.add_job("ess", job_id)
            self.cell.send("cancel", backend="ess", job_id=job_id, **more)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with Quiet() as server, pytest.MonkeyPatch.context() as environment:
        environment.setenv("BILLING_WEBHOOK_SECRET", SECRET)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        backends = BACKENDS.replace("PORT", str(server.server_port))
        more = {"NEXT_SECRET": "plain", "BILLING_WEBHOOK_SECRET": SECRET}
        with cell(tmp_path_factory.mktemp("sinks"), backends, more=more) as one:
            one.env["JOBS_BROKER_URL"] = one.url
            here = Place(one, server)
            here.workers += [one.start_worker(), one.start_worker()]
            yield here
        server.shutdown()
        thread.join(timeout=60)


def test_every_end_arrives_once_it_is_there(place: Place) -> None:
    place.cancel(*map(str, range(1, 11)))
    place.cell.wait_until(lambda: place.subjects() >= {str(number) for number in range(1, 11)})

    assert {event["type"] for event in place.taken()} == {"canceller.cancellation.finished.v1"}


def test_a_command_has_its_events_delivered_where_it_says(place: Place) -> None:
    place.cancel("100", reply_to=["billing"])
    place.cell.wait_until(
        lambda: (
            [event["type"].split(".")[2] for event in place.taken() if event["subject"] == "100"][-1:] == ["finished"]
        )
    )
    events = [event for event in place.taken() if event["subject"] == "100"]

    assert [event["sequence"][-1] for event in events] == ["1", "2", "3"]
    assert {tuple(event["data"]["reply_to"]) for event in events} == {("billing",)}


def test_a_command_that_joins_adds_its_sinks(place: Place) -> None:
    place.cell.simulator.add_job("ess", "101", "stuck")
    place.cell.send("cancel", backend="ess", job_id="101")
    place.cell.wait_until(lambda: any(event["subject"] == "101" for event in place.cell.of("cancel_sent")))
    place.cell.send("cancel", backend="ess", job_id="101", reply_to=["billing"])
    place.cell.wait_until(lambda: "101" in place.subjects())

    assert place.taken()[-1]["type"] == "canceller.cancellation.joined.v1"


def test_a_sink_that_nobody_has_configured_is_a_reason_to_reject(place: Place) -> None:
    done = run(place.cell.env, "cancel", "ess", "102", "--reply-to", "biling", "--wait", "--timeout", "30s")

    assert done.returncode == Exit.USAGE
    assert "reply_to: no sink has this name; known: billing, fragile, jobs, log; did you mean billing?" in done.stdout


def test_another_application_gets_a_task(place: Place) -> None:
    place.cancel("103")
    place.cell.wait_until(lambda: "103" in place.subjects())

    def tasks() -> list[dict[str, Any]]:
        found: Any = place.cell.redis.lrange("job-events", 0, -1)
        return [json.loads(one) for one in found]

    (end,) = place.of("103")
    place.cell.wait_until(lambda: end["id"] in {task["headers"]["id"] for task in tasks()})

    assert {task["headers"]["task"] for task in tasks()} == {"jobs.on_cancellation"}


def test_standard_output_gets_every_event(place: Place) -> None:
    place.cancel("104")
    place.cell.wait_until(lambda: "104" in place.subjects())

    def written() -> list[dict[str, Any]]:
        logs = [log.read_text() for log in place.cell.directory.glob("worker*.log")]
        found = [json.loads(line) for log in logs for line in log.splitlines() if line.startswith('{"specversion"')]
        return [event for event in found if event.get("subject") == "104"]

    place.cell.wait_until(lambda: len(written()) == 3)


def test_celerys_banner_is_not_among_the_events(place: Place) -> None:
    assert all("[config]" not in log.read_text() for log in place.cell.directory.glob("worker*.log"))


def test_the_sinks_are_listed(place: Place) -> None:
    place.cancel("105")
    place.cell.wait_until(lambda: "105" in place.subjects())
    listed: dict[str, dict[str, Any]] = {}

    def settled() -> bool:
        listed.update((one["sink"], one) for one in lines(run(place.cell.env, "sinks", "--json")))
        return not (listed["billing"]["owed"] or listed["log"]["owed"])

    place.cell.wait_until(settled)

    assert listed.keys() == {"billing", "fragile", "jobs", "log"}
    assert [(listed[name]["kind"], listed[name]["owed"]) for name in ("billing", "log")] == [
        ("webhook", 0),
        ("stdout", 0),
    ]
    assert run(place.cell.env, "sinks").stdout.startswith("billing\twebhook\t")


def test_check_tries_each_sink_without_an_event(place: Place) -> None:
    before = len(place.server.taken)
    found = lines(run(place.cell.env, "check", "--json"))[0]["findings"]

    assert {one["what"]: one["verdict"] for one in found if one["what"].startswith("sink ")} == {
        f"sink {name}": "ok" for name in ("billing", "fragile", "jobs", "log")
    }
    assert len(place.server.taken) == before


def test_a_dead_letter_is_replayed_from_the_command_line(place: Place) -> None:
    place.server.fails = "/fragile"
    place.cancel("106", reply_to=["fragile"])
    letters: list[dict[str, Any]] = []

    def dead() -> bool:
        letters[:] = [one for one in lines(run(place.cell.env, "dead-letters", "list", "--json")) if one["sink"]]
        return len(letters) == 3

    place.cell.wait_until(dead)
    place.server.fails = ""
    done = run(place.cell.env, "dead-letters", "replay", *(one["id"] for one in letters))
    place.cell.wait_until(lambda: len(place.taken("/fragile")) == 3)

    assert done.returncode == Exit.DONE
    assert {event["id"] for event in place.taken("/fragile")} == {one["mark"].split()[0] for one in letters}


def test_a_killed_workers_sinks_are_taken_over(place: Place) -> None:
    place.cancel("107")
    place.cell.wait_until(lambda: "107" in place.subjects())
    serves = {one["sink"]: one["worker"] for one in lines(run(place.cell.env, "sinks", "--json"))}
    holder = next(one for one in place.workers if f'"worker":"{serves["billing"]}"' in one._log.read_text())
    holder.kill()
    place.cancel(*map(str, range(200, 230)))
    place.cell.wait_until(lambda: place.subjects() >= {str(number) for number in range(200, 230)})
    ends = [event for event in place.taken() if event["type"].endswith("finished.v1")]
    assert len({event["id"] for event in ends}) == len({event["cancellationid"] for event in ends})
