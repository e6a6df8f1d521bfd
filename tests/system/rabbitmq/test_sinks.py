"""A Celery sink whose broker is RabbitMQ."""

from __future__ import annotations

import pytest
from support.webhooks import body, deliver
from system.rabbitmq.place import Place

from worker.domain.errors import BrokerRefused
from worker.sinks.celery_task import CeleryTask


async def test_a_queue_that_is_not_there_is_a_failure_and_one_that_is_gets_the_task(place: Place) -> None:
    sink = CeleryTask(place.url, "job-events", "jobs.on_cancellation")
    failure = await deliver(sink, "c-1", body("c", 1))
    with pytest.raises(BrokerRefused):
        await sink.reach()
    with place.channel() as channel:
        channel.queue_declare("job-events", durable=True, auto_delete=False)
        delivered = await deliver(sink, "c-1", body("c", 1))
        reached = await sink.reach()
        message = channel.basic_get("job-events", no_ack=True)
    await sink.aclose()

    assert failure is not None
    assert "NO_ROUTE" in failure.reason
    assert (delivered, reached) == (None, "its broker accepts connections")
    assert message.headers["id"] == "c-1"
