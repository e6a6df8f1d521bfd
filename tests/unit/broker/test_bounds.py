"""How the errors of a broker's client are translated."""

from __future__ import annotations

import pytest
from amqp.exceptions import AccessRefused, MessageNacked, NotAllowed, PreconditionFailed, RecoverableConnectionError
from kombu.exceptions import OperationalError

from worker.broker.bounds import worded
from worker.domain.errors import BrokerRefused, BrokerUnavailable, CancellerError

CLASSIC = (
    "PRECONDITION_FAILED - inequivalent arg 'x-queue-type' for queue 'commands' in vhost '/': "
    "received the value 'quorum' of type 'longstr' but current is none"
)
OTHER = "PRECONDITION_FAILED - inequivalent arg 'x-max-length' for queue 'commands'"
SAID: dict[str, tuple[Exception, type[CancellerError], str]] = {
    "a classic queue": (PreconditionFailed(CLASSIC), BrokerRefused, "commands is a classic queue.*rabbitmqctl delete"),
    "another shape": (PreconditionFailed(OTHER), BrokerRefused, "other arguments.*x-max-length"),
    "a message over the limit": (PreconditionFailed("message size 9 is larger"), BrokerRefused, "message size 9"),
    "a wrong password": (AccessRefused("ACCESS_REFUSED"), BrokerRefused, "refuses commands: ACCESS_REFUSED"),
    "no virtual host": (NotAllowed("vhost x not found"), BrokerRefused, "vhost x not found"),
    "not confirmed": (MessageNacked(), BrokerUnavailable, "full or has lost its nodes"),
    "no connection": (OperationalError("refused"), BrokerUnavailable, "can't be reached.*refused.*CELERY_BROKER_URL"),
    "a lost one": (RecoverableConnectionError(), BrokerUnavailable, "gave no answer"),
    "silence": (TimeoutError(), BrokerUnavailable, "gave no answer: TimeoutError"),
}


@pytest.mark.parametrize(("raised", "meant", "text"), SAID.values(), ids=SAID.keys())
def test_a_clients_error_is_raised_as_ours(raised: Exception, meant: type[CancellerError], text: str) -> None:
    with pytest.raises(meant, match=text), worded("commands"):
        raise raised


def test_an_error_that_kombu_wraps_is_translated_by_its_cause() -> None:
    with pytest.raises(BrokerRefused, match="classic queue"), worded("commands"):
        raise OperationalError("wrapped") from PreconditionFailed(CLASSIC)
