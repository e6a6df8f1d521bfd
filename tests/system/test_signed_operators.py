"""The command line and the clients sign, and report rejections; events name the verified producer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from support.cell import Cell
from support.guarded import KEY, OTHER, guarded_cell
from support.shell import lines, run

from worker.cli.exits import Exit
from worker.client import AsyncClient, Client, Rejected
from worker.settings.environment import Settings

NOT_ACCEPTED = "the signature is not accepted"
NOT_ALLOWED = "this producer may not do this"


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[Cell]:
    with guarded_cell(tmp_path) as one:
        yield one


def by(one: Cell, producer: str, file: str) -> tuple[str, ...]:
    return ("--producer", producer, "--key", str(one.directory / file))


def signing(one: Cell, producer: str = "chief", file: str = "chief.pem") -> dict[str, str]:
    return {**one.env, "CANCELLER_PRODUCER": producer, "CANCELLER_KEY_FILE": str(one.directory / file)}


def stuck(one: Cell, job_id: int) -> str:
    """Cancel a job that does not stop; return the command's id."""
    one.simulator.add_job("ess", job_id, "stuck")
    env = signing(one, "billing", "billing.key")
    (sent,) = lines(run(env, "cancel", "ess", str(job_id), "--by", "a service", "--json"))
    one.wait_until(lambda: any(event["subject"] == str(job_id) for event in one.of("cancel_sent")))
    return str(sent["command_id"])


def test_every_command_of_an_operator_is_signed_and_told_by_the_verified_name(guarded: Cell) -> None:
    for job_id in (1, 2):
        guarded.simulator.add_job("ess", job_id)
    chief = by(guarded, "chief", "chief.pem")
    first, second = stuck(guarded, 8), stuck(guarded, 9)
    done = [
        run(guarded.env, "cancel", "ess", "1", "--by", "the boss", "--wait", *by(guarded, "ops", "ops.key")),
        run(signing(guarded), "delete", "ess", "2", "--by", "the boss", "--wait"),
        run(guarded.env, "attest", first, "--by", "the boss", "--reason", "seen dead", *chief),
        run(guarded.env, "abort", second, "--by", "the boss", "--reason", "let it", *chief),
    ]
    guarded.wait_finished(4)
    status = run(guarded.env, "status", second)
    ends = {event["subject"]: event["data"] for event in guarded.of("finished")}
    (attested,) = guarded.of("attested")

    assert [one.returncode for one in done] == [Exit.DONE] * 4, [one.stdout + one.stderr for one in done]
    assert {job: data["signed_by"] for job, data in ends.items()} == {
        "1": "ops",
        "2": "chief",
        "8": "billing",
        "9": "billing",
    }
    assert (ends["1"]["requested_by"], ends["8"]["requested_by"]) == ("the boss", "a service")
    action = {"by": "the boss", "signed_by": "chief"}
    assert attested["data"]["action"] == {"name": "attest", "reason": "seen dead", **action}
    assert ends["8"]["attestation_signed_by"] == "chief"
    assert ends["8"]["attested_by"] == "chief (signed) as the boss: seen dead"
    assert ends["9"]["action"] == {"name": "abort", "reason": "let it", **action}
    assert "withdrawn by chief (signed) as the boss: let it" in status.stdout
    assert "by billing (signed) as a service" in status.stdout
    logged = [json.loads(line) for line in guarded.logs().splitlines() if line.startswith("{")]
    orders = {"cancellation.attest", "cancellation.abort"}
    assert {(line["event"], line["signed_by"]) for line in logged if line["event"] in orders} == {
        ("cancellation.attest", "chief"),
        ("cancellation.abort", "chief"),
    }


ORDERS = [("abort", "--by", "the boss", "--reason", "no"), ("attest", "--by", "the boss", "--reason", "gone")]


@pytest.mark.parametrize("words", ORDERS, ids=["abort", "attest"])
def test_an_order_that_is_rejected_ends_with_the_reason(guarded: Cell, words: tuple[str, ...]) -> None:
    command_id = stuck(guarded, 9)
    order, *options = words
    unsigned = run(guarded.env, order, command_id, *options)
    as_json = run(guarded.env, order, command_id, *options, "--json")
    without_the_right = run(guarded.env, order, command_id, *options, *by(guarded, "billing", "billing.key"))
    anothers_key = run(guarded.env, order, command_id, *options, *by(guarded, "chief", "ops.key"))
    guarded.wait_until(lambda: len(guarded.of("rejected")) == 4)

    assert [(one.returncode, one.stdout.strip()) for one in (unsigned, without_the_right, anothers_key)] == [
        (Exit.NOT_ALLOWED, f"rejected: {NOT_ACCEPTED}"),
        (Exit.NOT_ALLOWED, f"rejected: {NOT_ALLOWED}"),
        (Exit.NOT_ALLOWED, f"rejected: {NOT_ACCEPTED}"),
    ]
    assert ["--key FILE" in one.stderr for one in (unsigned, without_the_right, anothers_key)] == [True, False, False]
    assert (as_json.returncode, lines(as_json)[0]["error"]) == (Exit.NOT_ALLOWED, NOT_ACCEPTED)
    assert [event["data"].get("signed_by") for event in guarded.of("rejected")] == [None, None, "billing", None]


def test_a_command_that_is_rejected_for_its_signature_is_not_allowed(guarded: Cell) -> None:
    billing = by(guarded, "billing", "billing.key")
    unsigned = run(guarded.env, "cancel", "ess", "1", "--wait")
    without_the_right = run(guarded.env, "delete", "ess", "1", "--wait", *billing)
    wrong = run(guarded.env, "cancel", "ess", "x", "--wait", *billing)

    assert [one.returncode for one in (unsigned, without_the_right, wrong)] == [
        Exit.NOT_ALLOWED,
        Exit.NOT_ALLOWED,
        Exit.USAGE,
    ]
    assert ["--key FILE" in one.stderr for one in (unsigned, without_the_right, wrong)] == [True, False, False]


def test_half_a_signer_sends_nothing(guarded: Cell) -> None:
    done = run(guarded.env, "cancel", "ess", "1", "--key", str(guarded.directory / "ops.key"))
    looked = run({**guarded.env, "CANCELLER_KEY_FILE": "/nowhere"}, "list")

    assert (done.returncode, "--producer: is not set" in done.stderr) == (Exit.USAGE, True)
    assert looked.returncode == Exit.DONE, looked.stderr
    assert guarded.redis.xlen("{canceller}:events") == 0


def test_a_client_signs_all_that_it_sends(guarded: Cell) -> None:
    for job_id in (1, 2, 3, 4):
        guarded.simulator.add_job("ess", job_id)
    for job_id in (8, 9):
        guarded.simulator.add_job("ess", job_id, "stuck")
    commands = [{"verb": "cancel", "backend": "ess", "job_id": job_id} for job_id in (3, 4)]
    with Client(Settings.load(signing(guarded))) as client:
        sent = [client.cancel("ess", 1, force_after=1800.0), client.delete("ess", "2"), *client.submit_many(commands)]
        outcomes = [one.wait(timeout=60).outcome for one in sent]
        held, kept = client.cancel("ess", 8), client.cancel("ess", 9)
        guarded.wait_until(lambda: len(guarded.of("cancel_sent")) >= 6)
        client.attest(held.command_id, by="the boss", reason="seen dead")
        client.abort(kept.command_id, by="the boss", reason="let it")
        outcomes += [held.wait(timeout=60).outcome, kept.wait(timeout=60).outcome]
    guarded.wait_finished(6)

    assert outcomes == ["cancelled", "deleted", "cancelled", "cancelled", "force_cancelled", "aborted"]
    assert {event["data"]["signed_by"] for event in guarded.events} == {"chief"}


async def test_an_order_of_a_client_that_was_rejected_is_found_by_its_id(guarded: Cell) -> None:
    client = AsyncClient.from_env(Settings.load(signing(guarded, "billing", "billing.key")))
    try:
        sent = await client.cancel("ess", "77")
        await sent.wait(timeout=60)
        order = await client.abort(sent.command_id, by="the boss", reason="no")
        async with asyncio.timeout(60):
            with pytest.raises(Rejected, match=NOT_ALLOWED):
                await client.wait(order)
    finally:
        await client.aclose()


PAST = datetime(2026, 1, 1, tzinfo=UTC)


def test_whoever_replays_a_command_vouches_for_it(guarded: Cell) -> None:
    guarded.simulator.add_job("ess", 1)
    forged = guarded.send("cancel", backend="ess", job_id="1")
    command = {"backend": "ess", "job_id": "1"}
    guarded.sender.send_task("worker.cancel", kwargs=command, queue="commands", expires=PAST)
    guarded.sender.send_task("worker.cancel", kwargs=command, queue="commands", link=guarded.sender.signature("x"))
    guarded.wait_until(lambda: len(guarded.of("rejected")) == 3)
    letters = lines(run(guarded.env, "dead-letters", "list", "--json"))
    (letter,) = [one for one in letters if one["mark"].startswith(forged)]
    unnamed = run(signing(guarded), "dead-letters", "replay", "--all")
    named = run(signing(guarded), "dead-letters", "replay", letter["id"])
    guarded.wait_finished(1)

    assert (unnamed.stdout, "3 left where they are" in unnamed.stderr) == ("", True)
    assert named.returncode == Exit.DONE, named.stderr
    assert guarded.finished("ess", "1")["data"]["signed_by"] == "chief"
    assert guarded.finished("ess", "1")["data"]["command_ids"] == [forged]


def test_no_key_and_no_token_is_written_anywhere(guarded: Cell) -> None:
    command_id = stuck(guarded, 9)
    chief = by(guarded, "chief", "chief.pem")
    told = [
        run(guarded.env, "attest", command_id, "--by", "x", "--reason", "y", *by(guarded, "ops", "ops.key")),
        run({**guarded.env, "CANCELLER_KEY": OTHER, "CANCELLER_PRODUCER": "ops"}, "cancel", "ess", "9", "--wait"),
        run({**guarded.env, "CANCELLER_KEY_FILE": OTHER, "CANCELLER_PRODUCER": "ops"}, "cancel", "ess", "9"),
        run(guarded.env, "abort", command_id, "--by", "x", "--reason", "y", *chief),
        run(guarded.env, "events", "--json"),
        run(guarded.env, "status", command_id, "--json"),
    ]
    private = (guarded.directory / "chief.pem").read_text().splitlines()[1]
    written = f"{stored(guarded)} {guarded.logs()} {[one.stdout + one.stderr for one in told]}"

    assert "signed_by" in written
    assert not [secret for secret in (KEY, OTHER, private, "eyJ") if secret in written]


def stored(one: Cell) -> list[Any]:
    """Return everything in Redis, of whatever type."""
    redis: Any = one.redis
    readers = {
        b"string": redis.get,
        b"hash": redis.hgetall,
        b"set": redis.smembers,
        b"list": lambda key: redis.lrange(key, 0, -1),
        b"zset": lambda key: redis.zrange(key, 0, -1),
        b"stream": redis.xrange,
    }
    return [(key, readers[redis.type(key)](key)) for key in redis.scan_iter()]
