"""What a newcomer types, and what they should read."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from support.cell import ROOT, Cell
from support.shell import COMMAND, lines, read_until, run, running

from worker.backends.registry import TABLES
from worker.cli.exits import Exit
from worker.settings.backends_file.load import load_deployment


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    """Return an environment without a deployment."""
    ours = ("CANCELLER_", "REDIS_", "CELERY_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**kept, "CANCELLER_DATA_DIR": str(tmp_path / "data")}


def test_a_wait_without_a_worker_says_so_within_seconds(deployment: Cell) -> None:
    deployment.send("cancel", backend="ess", job_id=2)
    with running(deployment.env, "cancel", "ess", "1", "--wait") as waiting:
        read_until(waiting, r"no worker is running \(2 commands in 'commands' waiting\): start one with `canceller up`")
        read_until(waiting, "ess 1: no worker has taken it in yet")


def test_an_empty_list_tells_of_commands_that_nobody_takes_in(deployment: Cell) -> None:
    deployment.send("cancel", backend="ess", job_id=1)
    done = run(deployment.env, "list")

    assert "no worker is running (1 command in 'commands' waiting)" in done.stderr


@pytest.mark.parametrize("words", [("list",), ("list", "--finished")], ids=" ".join)
def test_a_mistyped_backend_is_a_mistake_with_the_ones_there_are(words: tuple[str, ...], deployment: Cell) -> None:
    deployment.start_worker()
    done = run(deployment.env, *words, "--backend", "saharra")

    told = " ".join(done.stderr.replace("│", " ").split())
    assert (done.returncode, "did you mean sahara?" in told) == (Exit.USAGE, True)
    assert "there are ess, mrs, oml or sahara" in told


def test_an_id_that_nobody_knows_is_no_open_cancellation_while_workers_are_idle(deployment: Cell) -> None:
    deployment.start_worker().wait_for("ready.")
    done = run(deployment.env, "wait", "nope", "--timeout", "1s")

    assert Exit.ERROR == done.returncode
    assert "nope  not known; no cancellation or command has this id (1 worker is running)" in done.stdout


def test_a_command_that_waits_for_a_worker_is_still_open_when_the_wait_ends(deployment: Cell) -> None:
    command = deployment.send("cancel", backend="ess", job_id=1)

    assert Exit.STILL_OPEN == run(deployment.env, "wait", command, "--timeout", "1s").returncode


@pytest.mark.parametrize("started", [True, False], ids=["one worker", "none"])
def test_check_counts_workers_and_waiting_commands(deployment: Cell, *, started: bool) -> None:
    if started:
        deployment.start_worker().wait_for("ready.")
    else:
        deployment.send("cancel", backend="ess", job_id=1)
    (told,) = lines(run(deployment.env, "check", "--json"))
    (found,) = [one for one in told["findings"] if one["what"] == "workers"]

    assert ("ok", "1 worker is running") == (found["verdict"], found["text"]) or (
        found["verdict"] == "warning"
        and found["text"].startswith("no worker is running (1 command in 'commands' waiting)")
    )
    assert started == (found["verdict"] == "ok")


VARIABLES = {
    "CANCELLER_BACKEND": "CANCELLER_BACKEND: is not read; did you mean CANCELLER_BACKENDS?",
    "CANCELLER_LOGLEVEL": "CANCELLER_LOGLEVEL: is not read; did you mean CANCELLER_LOG_LEVEL?",
    "CANCELLER_XYZZY": "CANCELLER_XYZZY: is not read\n",
    "CANCELLER_TRANSPORT": "CANCELLER_TRANSPORT: is no longer read: all calls are made by aiohttp; remove it",
}


@pytest.mark.parametrize(("name", "told"), VARIABLES.items(), ids=VARIABLES)
def test_a_variable_that_nobody_reads_is_reported(name: str, told: str, env: dict[str, str]) -> None:
    assert told in run({**env, name: "x"}, "check").stderr


def test_a_worker_reports_a_variable_that_nobody_reads(deployment: Cell) -> None:
    deployment.env["CANCELLER_SLOT"] = "7"
    deployment.start_worker()
    (line,) = [one for one in deployment.logs().splitlines() if "settings.not_read" in one]

    assert "CANCELLER_SLOT: is not read; did you mean CANCELLER_SLOTS?" == json.loads(line)["problem"]


def test_a_variable_that_the_backends_file_names_is_read(tmp_path: Path, env: dict[str, str]) -> None:
    file = tmp_path / "b.toml"
    auth = '{ type = "bearer", token_env = "CANCELLER_TOKEN" }'
    file.write_text(f'[backends.x]\nkind = "oracle-ess"\nbase_url = "http://h"\nauth = {auth}', encoding="utf-8")
    env |= {"CANCELLER_BACKENDS": str(file), "CANCELLER_TOKEN": "x"}

    assert "CANCELLER_TOKEN" not in run(env, "check").stderr


def test_mistakes_of_the_configuration_are_json_where_that_is_asked_for(env: dict[str, str]) -> None:
    done = run(env, "check", "--json")
    (told,) = lines(done)

    assert (done.returncode, told["ok"]) == (Exit.USAGE, False)
    assert ["REDIS_URL", "CANCELLER_BACKENDS"] == [problem.partition(":")[0] for problem in told["problems"]]


def test_a_missing_backends_file_names_the_way_to_one(env: dict[str, str]) -> None:
    assert "`canceller init` writes a commented one" in run(env, "up").stderr


def test_init_writes_a_backends_file_that_is_right(env: dict[str, str], tmp_path: Path) -> None:
    done = run(env, "init", str(tmp_path / "b.toml"))

    assert Exit.DONE == done.returncode
    assert "ess" in load_deployment(tmp_path / "b.toml", TABLES, environ={}).backends


def test_init_writes_a_backend_from_options(env: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "b.toml"
    words = ("--kind", "oracle-ess", "--base-url", "https://h/", "--auth", "bearer", "--set", "max_in_flight=8")
    done = run(env, "init", str(file), *words)

    assert "next: set ESS_TOKEN, then canceller up --backends" in done.stderr
    assert load_deployment(file, TABLES, environ={"ESS_TOKEN": "x"}).backends["ess"].max_in_flight == 8


INCOMPLETE = {
    "no address": (("--kind", "sahara"), "--base-url is missing"),
    "no key that its kind needs": (
        ("--kind", "sahara", "--base-url", "http://h", "--auth", "none"),
        "project_id: is required and missing: add it",
    ),
    "a secret in place of its variable": (
        ("--kind", "mrs", "--base-url", "http://h", "--auth", "token", "--set", "auth.token_env=s3 cret"),
        "auth.token_env: must be the name of an environment variable, not the secret itself",
    ),
    "another kind": (("--kind", "saara"), "did you mean sahara?"),
}


@pytest.mark.parametrize(("words", "told"), INCOMPLETE.values(), ids=INCOMPLETE)
def test_init_writes_nothing_if_something_is_missing_or_wrong(
    words: tuple[str, ...], told: str, env: dict[str, str], tmp_path: Path
) -> None:
    done = run(env, "init", str(tmp_path / "b.toml"), *words)

    assert (done.returncode, (tmp_path / "b.toml").exists()) == (Exit.USAGE, False)
    assert told in " ".join(done.stderr.replace("│", " ").split())
    assert "s3 cret" not in done.stderr


def test_init_asks_on_a_terminal_until_an_answer_will_do(env: dict[str, str], tmp_path: Path) -> None:
    answers = ["saara", "sahara", "os prod", "prod", "h", "https://h", "token", "", "demo"]
    told = on_a_terminal(env, answers, "init", str(tmp_path / "b.toml"))

    assert all(text in told for text in ("did you mean sahara?", "the name must match", "must be http:// or https://"))
    found = load_deployment(tmp_path / "b.toml", TABLES, environ={"PROD_TOKEN": "x"}).backends
    assert (list(found), found["prod"].base_url) == (["prod"], "https://h")


def on_a_terminal(env: dict[str, str], answers: Sequence[str], *words: str) -> str:
    """Run a command on a terminal and give an answer to each question; return what it showed."""
    ours, theirs = os.openpty()
    with subprocess.Popen([*COMMAND, *words], cwd=ROOT, env=env, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        killer = threading.Timer(120, process.kill)
        killer.start()
        waiting, shown = list(answers), b""
        with suppress(OSError):  # the end of the output, on Linux
            while read := os.read(ours, 4096):
                shown += read
                if waiting and shown.endswith(b": "):
                    os.write(ours, f"{waiting.pop(0)}\n".encode())
        killer.cancel()
    os.close(ours)
    return shown.decode()


def test_init_leaves_a_file_as_it_is(env: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "b.toml").write_text("mine", encoding="utf-8")
    done = run(env, "init", str(tmp_path / "b.toml"))

    assert (Exit.ERROR, "mine") == (done.returncode, (tmp_path / "b.toml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("words", [("-V",), ("--version",), ("version",)], ids=" ".join)
def test_the_version_is_told_however_it_is_asked_for(words: tuple[str, ...], env: dict[str, str]) -> None:
    assert run(env, *words).stdout.startswith("canceller ")


@pytest.mark.parametrize("words", [("--version",), ("guide",), ("guide", "--json")], ids=" ".join)
def test_output_that_is_closed_is_no_crash(words: tuple[str, ...], env: dict[str, str]) -> None:
    command = ["sh", "-c", '"$@" <&- >&-', "sh", *COMMAND, *words]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, check=False)

    assert (done.returncode, done.stderr) == (Exit.DONE, b"")


@pytest.mark.parametrize("place", ["before", "behind"])
def test_an_env_file_is_read_first(place: str, env: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "env").write_text("REDIS_URL=unix:///nowhere?password=s3cret\nCANCELLER_QUEUES=x\n", encoding="utf-8")
    option = ["--env-file", str(tmp_path / "env")]
    done = run(env, *(["list", *option] if place == "behind" else [*option, "list"]))

    assert "check REDIS_URL, and that this server is running" in done.stderr
    assert done.stderr.count("CANCELLER_QUEUES: is not read; did you mean CANCELLER_QUEUE?") == 1
    assert "s3cret" not in done.stderr


def test_a_mistake_in_an_env_file_is_told_by_its_line(env: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "env").write_text("CANCELLER_QUEUE=x\ns3cret\n", encoding="utf-8")
    done = run(env, f"--env-file={tmp_path / 'env'}", "list")

    assert (done.returncode, "s3cret" in done.stderr) == (Exit.USAGE, False)
    assert f"{tmp_path / 'env'}:2: has no `=`: write NAME=VALUE" in done.stderr


def test_a_worker_reads_its_env_file(deployment: Cell) -> None:
    file = deployment.directory / "env"
    moved = {name: deployment.env.pop(name) for name in ("REDIS_URL", "CANCELLER_BACKENDS")}
    file.write_text("".join(f"{name}={value}\n" for name, value in moved.items()) + "CANCELLER_SLOT=7\n", "utf-8")
    deployment.env["CANCELLER_ENV_FILE"] = str(file)
    deployment.start_worker()
    deployment.simulator.add_job("ess", "1")
    deployment.send("cancel", backend="ess", job_id=1)
    deployment.wait_finished(1)

    assert "CANCELLER_SLOT: is not read; did you mean CANCELLER_SLOTS?" in deployment.logs()


@pytest.mark.parametrize("option", ["-o json", "--output json", "--output=json", "-ojson"])
def test_json_is_asked_for_as_in_other_tools(option: str, deployment: Cell) -> None:
    deployment.send("cancel", backend="ess", job_id=1)

    assert [] == lines(run(deployment.env, "list", *option.split()))


def test_json_before_the_command_says_where_it_stands(env: dict[str, str]) -> None:
    done = run(env, "--json", "list")

    assert (done.returncode, "put it after the command" in done.stderr) == (Exit.USAGE, True)


def test_a_mistyped_choice_is_answered_with_the_one_that_was_meant(env: dict[str, str]) -> None:
    told = run(env, "cancel", "ess", "1", "--force", "atested").stderr.replace("│", " ").split()

    assert "'atested' is not auto, attested or never; did you mean attested?" in " ".join(told)


def test_an_attestation_with_a_coloured_reason_is_seen_to_be_taken_in(deployment: Cell) -> None:
    deployment.start_worker()
    deployment.simulator.add_job("ess", "1", "stuck")
    deployment.send("cancel", backend="ess", job_id=1)
    deployment.wait_until(lambda: bool(deployment.of("accepted")))

    assert (
        Exit.DONE
        == run(deployment.env, "attest", "ess", "1", "--by", "ann", "--reason", "\x1b[1mgone\x1b[0m").returncode
    )
