"""`canceller batch` as an operator runs it: plan, apply, watch, order, report."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.cell import Cell, cell
from support.shell import lines, read_until, run, running
from system.conftest import BACKENDS
from typer.testing import CliRunner

from worker.cli.app import command_line
from worker.cli.batch.plan_file import first_line, write_plan
from worker.cli.exits import Exit

KNOBS = {"ess": {"cancel_delay": 0.2, "page_size": 25}}
SENT = ("cancel", "delete", "force")


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cell]:
    with cell(tmp_path_factory.mktemp("batch"), BACKENDS, knobs=KNOBS) as one:
        one.start_worker()
        yield one


APP = command_line(["batch"])


def batch(deployment: Cell, *words: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command in this process: a separate process would spend most of its time starting."""
    done = CliRunner().invoke(APP, ["batch", *words], prog_name="canceller", input=stdin, env=deployment.env)
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return subprocess.CompletedProcess(words, done.exit_code, done.stdout, done.stderr)


def add_jobs(deployment: Cell, first: int, count: int, life: str = "runs", **script: Any) -> list[str]:
    """Add jobs with consecutive ids."""
    ids = [str(number) for number in range(first, first + count)]
    for job_id in ids:
        deployment.simulator.add_job("ess", job_id, life, **script)
    return ids


def planned(deployment: Cell, place: Path, *words: str, stdin: str = "") -> list[dict[str, Any]]:
    """Make a plan that sees every job, and return its lines."""
    done = batch(deployment, "plan", *words, "--reason", "INC-4711", "-o", str(place), stdin=stdin)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in place.read_text(encoding="utf-8").splitlines()]


def changing_calls(deployment: Cell, ids: list[str]) -> int:
    """Count the calls that would change one of these jobs."""
    return sum(entry.verb in SENT for job_id in ids for entry in deployment.simulator.log("ess", job_id))


def known(deployment: Cell) -> int:
    """Count the batches of the deployment."""
    return len(lines(batch(deployment, "list", "--limit", "1000", "--json")))


def test_a_plan_changes_nothing_and_apply_does_what_it_says(deployment: Cell, tmp_path: Path) -> None:
    place = tmp_path / "plan.jsonl"
    running_jobs, ended = add_jobs(deployment, 1000, 10), add_jobs(deployment, 1010, 3, "finished")
    first, *plan = planned(deployment, place, "-", "--backend", "ess", stdin="\n".join([*running_jobs, *ended, "1013"]))

    assert changing_calls(deployment, [*running_jobs, *ended]) == 0
    assert first["counts"] == {"selected": 14, "cancel": 10, "delete": 0, "nothing": 4, "unknown": 0}
    assert [(one["job_id"], one["would"]) for one in plan[9:11]] == [("1009", "cancel"), ("1010", "nothing")]
    assert {one["reason"] for one in plan} == {"INC-4711"}

    applied = batch(deployment, "apply", str(place), "--wait", "--json")
    sent, *_, end = lines(applied)
    assert sent == {"batch_id": first["digest"], "sent": 10}
    assert (applied.returncode, end["event"], end["batch_id"]) == (0, "ended", first["digest"])
    assert end["counts"]["finished"] == {"cancelled": 10}
    assert changing_calls(deployment, ended) == 0

    again = batch(deployment, "apply", str(place))
    assert again.returncode == 0
    assert "this plan was applied already, and nothing is sent" in again.stdout
    assert changing_calls(deployment, running_jobs) == 10


def test_a_job_that_has_changed_since_the_plan_is_left_alone_and_listed(deployment: Cell, tmp_path: Path) -> None:
    place = tmp_path / "plan.jsonl"
    ids = add_jobs(deployment, 2000, 60)
    planned(deployment, place, "-", "--backend", "ess", stdin="\n".join(ids))
    changed = ids[::10]
    for job_id in changed:
        deployment.simulator.add_job("ess", job_id, state="HOLD")
    before = changing_calls(deployment, changed)

    applied = batch(deployment, "apply", str(place), "--wait")
    listed = [line.split()[1] for line in applied.stdout.splitlines() if "  changed" in line]
    assert (applied.returncode, listed) == (3, changed)
    assert before == changing_calls(deployment, changed) == 0
    assert "54 cancelled, 6 changed" in applied.stdout


def test_a_job_that_has_ended_since_the_plan_is_listed_as_drift(deployment: Cell, tmp_path: Path) -> None:
    place = tmp_path / "plan.jsonl"
    ids = add_jobs(deployment, 2100, 2)
    planned(deployment, place, "-", "--backend", "ess", stdin="\n".join(ids))
    deployment.simulator.add_job("ess", ids[0], "finished")

    applied = batch(deployment, "apply", str(place), "--wait", "--json")
    listed = [one for one in lines(applied) if one.get("event") == "drift"]

    assert applied.returncode == Exit.NOT_AS_ASKED
    assert [(one["job_id"], one["outcome"]) for one in listed] == [(ids[0], "already_finished")]


def test_a_plan_with_nothing_to_do_says_so(deployment: Cell, tmp_path: Path) -> None:
    place = tmp_path / "plan.jsonl"
    ids = add_jobs(deployment, 2200, 2, "finished")
    words = ("-", "--backend", "ess", "--reason", "INC-4711", "-o")
    made = batch(deployment, "plan", *words, str(place), stdin="\n".join(ids))
    written = batch(deployment, "plan", *words, "-", stdin="\n".join(ids))

    assert "2 jobs: nothing to do\n" in made.stdout
    assert [one.get("job_id") for one in lines(written)] == [None, *ids]
    assert "2 jobs: nothing to do\n" in written.stderr
    assert lines(batch(deployment, "apply", str(place), "--json")) == [{"batch_id": None, "sent": 0}]


def test_an_edited_plan_sends_nothing(deployment: Cell, tmp_path: Path) -> None:
    place = tmp_path / "plan.jsonl"
    (job_id,) = add_jobs(deployment, 2100, 1)
    planned(deployment, place, "-", "--backend", "ess", stdin=job_id)
    place.write_text(place.read_text(encoding="utf-8").replace(job_id, "2101"), encoding="utf-8")
    applied = batch(deployment, "apply", str(place))

    assert applied.returncode == 2
    assert "was edited or cut since it was written" in " ".join(applied.stderr.split())


def written_plan(place: Path, ids: list[str], planned_at: datetime, **more: Any) -> str:
    """Write a plan to cancel running jobs, as if it had been made at `planned_at`; return its digest."""
    header = {"verb": "cancel", "backends": ["ess"], "planned_at": planned_at.isoformat(), **more}
    plan = [
        {"job_id": one, "backend": "ess", "verb": "cancel", "raw_state": "RUNNING", "would": "cancel", "children": []}
        for one in ids
    ]
    first = first_line(header, plan)
    write_plan(place, first, plan)
    return str(first["digest"])


def test_a_plan_is_refused_after_a_day_unless_it_may_be_older(deployment: Cell, tmp_path: Path) -> None:
    place = tmp_path / "plan.jsonl"
    ids = add_jobs(deployment, 2200, 2)
    written_plan(place, ids, datetime.now(UTC) - timedelta(days=1, hours=2))
    refused = batch(deployment, "apply", str(place))
    told = " ".join(refused.stderr.replace("│", " ").split())

    assert refused.returncode == 2
    assert "is 1 d 2 h old, and jobs change: a plan must be applied within 1 d." in told
    assert "make a new one with `canceller batch plan`, or apply this one anyway with --max-age 2d" in told
    assert changing_calls(deployment, ids) == 0

    applied = batch(deployment, "apply", str(place), "--max-age", "2d", "--wait")
    assert (applied.returncode, changing_calls(deployment, ids)) == (0, 2)
    assert "this plan was applied already" in batch(deployment, "apply", str(place)).stdout


def test_a_plan_of_another_deployment_is_refused(deployment: Cell, tmp_path: Path) -> None:
    place, ids = tmp_path / "plan.jsonl", add_jobs(deployment, 2300, 1)
    here = planned(deployment, place, "-", "--backend", "ess", stdin=ids[0])[0]["places"]["ess"]
    written_plan(place, ids, datetime.now(UTC), places={"ess": "oracle-ess at https://staging.example.com"})
    refused = batch(deployment, "apply", str(place))
    told = " ".join(refused.stderr.replace("│", " ").split())

    assert (refused.returncode, changing_calls(deployment, ids)) == (2, 0)
    assert f"was made for ess as oracle-ess at https://staging.example.com, and here ess is {here}" in told


def test_an_interrupted_apply_is_ended_as_it_was_begun(deployment: Cell, tmp_path: Path) -> None:
    place = tmp_path / "plan.jsonl"
    ids = [str(number) for number in range(9_000_000, 9_001_001)]
    digest = written_plan(place, ids, datetime.now(UTC))
    command = {"backend": "ess", "verb": "cancel", "expect": {"raw_state": "RUNNING"}}
    commands = [{**command, "job_id": one} for one in ids[:1000]]
    part = {"batch_id": digest, "part": 1, "parts": 2, "commands": commands, "options": {"max_open": 400}}
    deployment.send("batch", **part)
    deployment.wait_until(lambda: digest in batch(deployment, "list", "--json").stdout)
    others = [batch(deployment, "apply", str(place), *words) for words in ([], ["--on-changed", "apply"])]

    for other in others:
        told = " ".join(other.stderr.replace("│", " ").split())
        assert other.returncode == 2
        assert "part of this plan was sent before, with --max-open 400: repeat it that way to send the rest" in told

    ended = batch(deployment, "apply", str(place), "--max-open", "400", "--wait", "--json")
    assert lines(ended)[-1]["counts"]["finished"] == {"not_found": 1001}


def test_every_bad_line_is_named_and_nothing_is_sent(deployment: Cell, tmp_path: Path) -> None:
    file = tmp_path / "jobs.csv"
    file.write_text("job_id,verb,reason\n1,cancel,\n2,stop,\n3,cancel,a,b\n4,cancel,\n..,cancel,\n", encoding="utf-8")
    before = known(deployment)
    done = batch(deployment, "plan", str(file), "--backend", "ess")

    assert done.returncode == 2
    assert all(f"line {number}: " in done.stderr for number in (3, 4, 6))
    assert not any(f"line {number}: " in done.stderr for number in (2, 5))
    assert known(deployment) == before


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["-", "--backend", "ess"], "selects no job: there is nothing to do"),
        (["--backend", "ess", "--where", "submitter=nobody"], "lists no job with submitter=nobody"),
        (["--backend", "ess", "--where", "state=RUNING"], "did you mean RUNNING?"),
        (["--backend", "oml", "--where", "state=RUNNING"], "oml (oracle-ml) can't list its jobs by any key"),
        ([], "give either one FILE (or `-`) or --where KEY=VALUE"),
    ],
    ids=["empty", "nothing-listed", "no-such-state", "no-list", "neither"],
)
def test_a_selection_that_can_not_be_is_an_error(deployment: Cell, words: list[str], text: str) -> None:
    done = batch(deployment, "plan", *words)

    assert done.returncode == 2
    assert text in " ".join(done.stderr.replace("│", " ").split())


def test_what_a_backend_lists_is_planned(deployment: Cell, tmp_path: Path) -> None:
    ids = add_jobs(deployment, 3000, 30, submitter="ann", age=7200)
    add_jobs(deployment, 3030, 3, submitter="ann")
    where = ("--where", "submitter=ann", "older-than=1h", "--where", "state=running")
    _, *plan = planned(deployment, tmp_path / "plan.jsonl", "--backend", "ess", *where)

    assert [one["job_id"] for one in plan] == ids


def test_a_job_that_can_not_be_looked_at_is_said_and_not_sent(deployment: Cell, tmp_path: Path) -> None:
    place = tmp_path / "plan.jsonl"
    done = batch(deployment, "plan", "-", "--backend", "ess", "-o", str(place), stdin="no-number\n")

    assert done.returncode == 3
    assert "ess no-number  rejected: job_id: 'no-number' is not a request id" in done.stdout
    applied = batch(deployment, "apply", str(place))
    assert (applied.returncode, "nothing that would be sent" in applied.stderr) == (0, True)


def test_a_failed_canary_stops_the_rest_until_it_is_resumed(deployment: Cell, tmp_path: Path) -> None:
    bad, rest = add_jobs(deployment, 4000, 1, "forbidden"), add_jobs(deployment, 4001, 9)
    content = "\n".join([*bad, *rest])
    words = ("--unplanned", "-", "--max", "10", "--backend", "ess", "--canary", "1", "--wait")
    sent = batch(deployment, "apply", *words, stdin=content)

    assert sent.returncode == 3
    assert "paused by canceller: canary: member 0 ended as refused" in sent.stdout
    assert changing_calls(deployment, rest) == 0

    (latest,) = lines(batch(deployment, "list", "--limit", "1", "--json"))
    name = latest["batch_id"][:-2]
    assert batch(deployment, "resume", name, "--by", "ann", "--reason", "known").returncode == 0
    watched = batch(deployment, "watch", name, "--json")
    assert (watched.returncode, lines(watched)[-1]["counts"]["finished"]) == (3, {"refused": 1, "cancelled": 9})

    report = tmp_path / "report.csv"
    assert batch(deployment, "report", name, "-o", str(report)).returncode == 0
    with report.open(encoding="utf-8", newline="") as file:
        told = [(one["job_id"], one["outcome"]) for one in csv.DictReader(file)]
    assert told == [("4000", "refused"), *((job_id, "cancelled") for job_id in rest)]


def test_too_many_failures_pause_a_batch_and_it_says_why(deployment: Cell) -> None:
    bad, rest = add_jobs(deployment, 5000, 20, "forbidden"), add_jobs(deployment, 5020, 200)
    words = ("--unplanned", "-", "--max", "220", "--backend", "ess", "--stop-at", "10%", "--max-open", "5", "--wait")
    sent = batch(deployment, "apply", *words, "--json", stdin="\n".join([*bad, *rest]))
    *_, end = lines(sent)

    assert (sent.returncode, end["state"], end["by"]) == (3, "paused", "canceller")
    assert "more than 10%" in end["reason"]
    assert changing_calls(deployment, rest) <= 10

    aborted = batch(deployment, "abort", end["batch_id"], "--by", "ann", "--reason", "wrong jobs", "--json")
    (told,) = lines(aborted)
    assert (aborted.returncode, told["order"], told["state"]) == (0, "aborted", "finished")
    assert sum(told["counts"]["finished"].values()) == 220
    late = batch(deployment, "pause", end["batch_id"], "--by", "ann", "--reason", "late")
    assert (late.returncode, late.stdout.startswith("too late: ")) == (3, True)


def test_more_jobs_than_allowed_are_not_sent(deployment: Cell) -> None:
    ids = add_jobs(deployment, 6000, 3)
    sent = batch(deployment, "apply", "--unplanned", "-", "--max", "2", "--backend", "ess", stdin="\n".join(ids))

    assert sent.returncode == 2
    assert "3 jobs, but --max allows 2: nothing was sent" in sent.stderr
    assert changing_calls(deployment, ids) == 0


def test_an_interrupt_leaves_the_batch_running_and_says_how_to_return(deployment: Cell, tmp_path: Path) -> None:
    file = tmp_path / "jobs.txt"
    stuck, others = add_jobs(deployment, 7000, 1, "stuck"), add_jobs(deployment, 7001, 9)
    file.write_text("\n".join([*stuck, *others]), encoding="utf-8")
    words = ("apply", "--unplanned", str(file), "--max", "10", "--backend", "ess", "--wait")
    with running(deployment.env, "batch", *words) as process:
        read_until(process, r"of 10 ended")
        (latest,) = lines(batch(deployment, "list", "--limit", "1", "--json"))
        resumed = batch(deployment, "resume", latest["batch_id"], "--by", "ann", "--reason", "none")
        assert (resumed.returncode, resumed.stdout.strip()) == (3, "rejected: it is not paused")
        process.send_signal(signal.SIGINT)
        way = read_until(process, r"the batch goes on: canceller batch watch (\S+)")
        assert process.wait(timeout=60) != 0

    deployment.simulator.add_job("ess", stuck[0], state="CANCELLED")
    *_, end = lines(batch(deployment, "watch", way[1], "--json"))
    assert (end["state"], sum(end["counts"]["finished"].values())) == ("finished", 10)


def test_a_report_names_every_member_once(deployment: Cell, tmp_path: Path) -> None:
    place = tmp_path / "plan.jsonl"
    ids = add_jobs(deployment, 8000, 12)
    first, *_ = planned(deployment, place, "-", "--backend", "ess", stdin="\n".join(ids))
    sent = batch(deployment, "apply", str(place))
    assert (sent.returncode, sent.stdout.strip()) == (0, first["digest"])
    assert batch(deployment, "watch", sent.stdout.strip()).returncode == 0

    short = run(deployment.env, "batch", "status", first["digest"][:8])
    assert (short.returncode, "is too short for the beginning of a batch's id: give 4" in short.stderr) == (1, True)

    told = lines(batch(deployment, "report", first["digest"][:14]))
    assert told == lines(batch(deployment, "report", str(place)))
    assert told == lines(batch(deployment, "report", str(place), "-o", "-"))
    assert [one["job_id"] for one in told] == ids
    assert Counter(one["outcome"] for one in told) == {"cancelled": 12}
    assert {one["safe_to_rerun"] for one in told} == {True}


def test_an_unknown_batch_is_an_error_that_says_where_to_look(deployment: Cell) -> None:
    done = run(deployment.env, "batch", "status", "nowhere")
    nameless = run(deployment.env, "batch", "status", "")

    assert (done.returncode, nameless.returncode) == (1, 1)
    assert "no batch is known as nowhere: `canceller batch list` shows those that are kept" in done.stderr
    assert "no batch is known as '': `canceller batch list`" in nameless.stderr
