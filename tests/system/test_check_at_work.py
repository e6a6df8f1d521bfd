"""`check` on a deployment at work: quiet when all is well, and it names what is left alone."""

from __future__ import annotations

import json
from typing import Any

from support.cell import Cell
from support.shell import run

from worker.cli.exits import Exit


def findings(one: Cell, *more: str) -> dict[str, dict[str, Any]]:
    done = run(one.env, "check", "--json", *more)
    assert done.returncode == Exit.DONE, done.stderr
    return {finding["what"]: finding for finding in json.loads(done.stdout)["findings"]}


def test_nothing_is_worth_a_word_while_a_worker_works(deployment: Cell) -> None:
    deployment.start_worker().wait_for("ready.")
    found = findings(deployment)

    assert {one["verdict"] for one in found.values()} == {"ok"}
    assert found["workers"]["text"] == "1 worker is running"


def test_what_is_open_on_a_backend_that_the_file_no_longer_names_is_a_warning(deployment: Cell) -> None:
    worker = deployment.start_worker()
    deployment.simulator.add_job("ess", "9", "stuck")
    deployment.send("cancel", backend="ess", job_id="9")
    deployment.wait_until(lambda: bool(deployment.of("accepted")))
    worker.stop()
    file = deployment.directory / "backends.toml"
    file.write_text(file.read_text().replace("[backends.ess]", "[backends.other]"))

    told = findings(deployment)["backend ess"]

    assert told["verdict"] == "warning"
    assert told["text"].startswith("1 cancellation is open, and the backends file does not name it")


def test_commands_in_a_queue_whose_name_is_mistyped_are_a_warning(deployment: Cell) -> None:
    deployment.sender.send_task("worker.cancel", kwargs={"backend": "ess", "job_id": "1"}, queue="cancels")
    told = findings(deployment)["queue commands"]

    assert told["verdict"] == "warning"
    assert told["text"].startswith("1 message in cancels, commands among them, which no worker reads: ")
