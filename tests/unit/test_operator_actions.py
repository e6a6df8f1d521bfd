"""One entry of the table defines an operator action: everything that follows from it."""

from __future__ import annotations

import inspect

import pytest
from redis.asyncio import Redis

from worker.client import AsyncClient, Client
from worker.domain.errors import ActionRejected, UnknownCancellation
from worker.intake.decoder import ActionRequest, read
from worker.intake.strays import OURS
from worker.protocol.operator_actions import ACTIONS, OperatorAction, backend_acted_on
from worker.settings.celery import celery_settings
from worker.settings.environment import Settings
from worker.store.scripts import load

ORDER = {"id": "c-1", "by": "ann", "reason": "why"}
EACH = pytest.mark.parametrize("action", ACTIONS.values(), ids=ACTIONS.keys())


@EACH
def test_each_is_read_from_its_task(action: OperatorAction) -> None:
    item = read(f"worker.{action.name}", "m-1", [], ORDER, {})
    assert isinstance(item, ActionRequest)
    assert item.action == action.name


@EACH
def test_each_has_a_script(action: OperatorAction) -> None:
    assert action.name in load(Redis()).actions


@EACH
def test_each_is_sent_to_the_command_queue_and_known_beside_it(action: OperatorAction) -> None:
    routes = celery_settings(Settings.load({"REDIS_URL": "redis://localhost", "CANCELLER_QUEUE": "q"}))["task_routes"]
    assert routes == {"worker.*": {"queue": "q"}}
    assert f"worker.{action.name}" in OURS


@EACH
@pytest.mark.parametrize("client", [Client, AsyncClient])
def test_each_is_a_method_of_both_clients(client: type, action: OperatorAction) -> None:
    parameters = inspect.signature(getattr(client, action.name)).parameters
    assert list(parameters)[:4] == ["self", "reference", "by", "reason"]
    assert len(parameters) == 4 + len(action.fields)


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        pytest.param(b"ended deleted", "it has ended already: deleted", id="ended"),
        pytest.param(b"not_held", "it is not held", id="not-held"),
        pytest.param(b"requester", "ann requested this cancellation", id="a-requester"),
        pytest.param(b"unsigned", "only with a signature", id="unsigned"),
    ],
)
def test_what_a_script_has_against_it_is_told_in_words(wrong: bytes, text: str) -> None:
    with pytest.raises(ActionRejected, match=text):
        backend_acted_on([b"ess", wrong], "c1", "ann")


def test_a_script_that_has_nothing_against_it_tells_the_backend() -> None:
    assert backend_acted_on([b"ess", b""], "c1", "ann") == "ess"
    with pytest.raises(UnknownCancellation, match="c1"):
        backend_acted_on(None, "c1", "ann")
