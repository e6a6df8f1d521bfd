"""`worker.client` as producers use it, beside real workers."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from uuid import uuid4

import pytest
from support.cell import Cell

import worker.client
from worker.client import CancellerError, Client, InvalidCommand, Rejected, StillOpen, UnknownCancellation
from worker.client.async_client import AsyncClient
from worker.settings.environment import Settings

ERRORS = {
    "BrokerRefused",
    "BrokerUnavailable",
    "CancellerError",
    "ConfigurationError",
    "InvalidCommand",
    "NewerFormat",
    "Rejected",
    "StillOpen",
    "StoreUnavailable",
    "UnknownBatch",
    "UnknownCancellation",
    "UnreadableRecord",
}


@pytest.fixture
def client(deployment: Cell) -> Iterator[Client]:
    with Client(Settings.load(deployment.env)) as one:
        yield one


def test_waits_for_the_end(deployment: Cell, client: Client) -> None:
    deployment.simulator.add_job("ess", 1)
    deployment.start_worker()
    sent = client.cancel("ess", "1", reason="budget")
    result = sent.wait(timeout=60)

    assert (result.outcome, result.evidence, result.safe_to_rerun) == ("cancelled", "reported", True)
    assert result.data["reason"] == "budget"
    assert result.data["finished_at"] >= result.data["cancel_sent_at"]
    assert client.wait(sent.command_id, timeout=60) == result
    assert client.get(sent.command_id).command_ids == (sent.command_id,)


def test_sends_many_at_once(deployment: Cell, client: Client) -> None:
    for number in range(700):
        deployment.simulator.add_job("ess", number + 1, "finished")
    deployment.start_worker()
    commands = [{"verb": "cancel", "backend": "ess", "job_id": number + 1} for number in range(700)]
    results = [sent.wait(timeout=60) for sent in client.submit_many(commands)]

    assert {result.outcome for result in results} == {"already_finished"}


def test_says_when_a_command_was_rejected(deployment: Cell, client: Client) -> None:
    deployment.start_worker()

    with pytest.raises(Rejected, match="no backend has this name"):
        client.cancel("nowhere", "1").wait(timeout=60)


def test_another_jobs_end_is_never_taken_for_this_ones(deployment: Cell, client: Client) -> None:
    deployment.simulator.add_job("ess", 1, "finished")
    deployment.simulator.add_job("ess", 2)
    deployment.start_worker()
    client.cancel("ess", "1", command_id="same").wait(timeout=60)

    with pytest.raises(Rejected, match="used by another command"):
        client.cancel("ess", "2", command_id="same").wait(timeout=60)


def test_nor_is_another_commands_with_the_same_id_and_job(deployment: Cell, client: Client) -> None:
    deployment.simulator.add_job("ess", 1, "finished")
    deployment.start_worker()
    client.cancel("ess", "1", command_id="same").wait(timeout=60)

    for send in (client.delete, partial(client.cancel, reason="another")):
        with pytest.raises(Rejected, match="used by another command"):
            send("ess", "1", command_id="same").wait(timeout=60)
        with pytest.raises(Rejected, match="used by another command"):  # although no event reports it again
            send("ess", "1", command_id="same").wait(timeout=60)
    assert client.cancel("ess", 1, command_id="same").wait(timeout=60).outcome == "already_finished"


def test_no_command_id_is_as_good_as_none_given(deployment: Cell, client: Client) -> None:
    deployment.simulator.add_job("ess", 1, "finished")
    deployment.start_worker()

    assert client.cancel("ess", "1", command_id=None).wait(timeout=60).outcome == "already_finished"


def test_an_id_may_be_a_uuid(deployment: Cell, client: Client) -> None:
    job = uuid4()
    deployment.simulator.add_job("sahara", str(job), "finished")
    deployment.start_worker()
    sent = [client.cancel("sahara", job), *client.submit_many([{"verb": "delete", "backend": "sahara", "job_id": job}])]

    assert {one.wait(timeout=60).data["job_id"] for one in sent} == {str(job)}


def test_says_when_it_is_still_open(deployment: Cell, client: Client) -> None:
    deployment.simulator.add_job("ess", 1, "stuck")
    deployment.start_worker()

    with pytest.raises(StillOpen, match="still open"):
        client.cancel("ess", "1").wait(timeout=0.5)


def test_sends_nothing_that_is_wrong(client: Client, deployment: Cell) -> None:
    with pytest.raises(InvalidCommand, match="job_id"):
        client.cancel("ess", "..")
    with pytest.raises(InvalidCommand, match=r"commands\.1"):
        client.submit_many([{"verb": "cancel", "backend": "ess", "job_id": 1}, {"verb": "cancel", "backend": "ess"}])
    with pytest.raises(InvalidCommand, match="child"):
        client.attest("c-1", by="ann", reason="dead", child="..")
    assert deployment.redis.llen("commands") == 0


def test_every_error_of_a_client_is_at_hand_beside_it() -> None:
    public = {name: getattr(worker.client, name) for name in worker.client.__all__}
    errors = {name for name, one in public.items() if isinstance(one, type) and issubclass(one, Exception)}

    assert errors == ERRORS
    assert {name for name in errors if not issubclass(public[name], CancellerError)} == {"ConfigurationError"}
    assert issubclass(StillOpen, TimeoutError)


def test_follows_events(deployment: Cell, client: Client) -> None:
    deployment.simulator.add_job("ess", 1, "finished")
    deployment.start_worker()
    client.cancel("ess", "1").wait(timeout=60)

    assert [event.name for event in client.events(follow=False)] == ["accepted", "cancel_sent", "finished"]


async def test_does_the_same_within_asyncio(deployment: Cell) -> None:
    deployment.simulator.add_job("ess", 1)
    deployment.start_worker()
    client = AsyncClient.from_env(Settings.load(deployment.env))
    sent = await client.delete("ess", 1)

    assert (await sent.wait(timeout=60)).outcome == "deleted"
    with pytest.raises(UnknownCancellation):
        await client.open_of("ess", "1")
    await client.aclose()
