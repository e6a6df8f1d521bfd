"""Time limits for sending to the broker, and the translation of its errors."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from amqp.exceptions import AMQPError, ChannelError, MessageNacked, NotAllowed
from kombu.exceptions import KombuError
from redis.exceptions import RedisError

from ..domain.errors import BrokerRefused, BrokerUnavailable

CONFIRM = 5.0
"""Seconds that RabbitMQ may take to confirm a message; it never does while it is short of memory or disk."""
AGAIN = {"max_retries": 1, "interval_start": 0, "interval_step": 0.2, "interval_max": 1}
"""An idle connection may be dead, so there is one retry on a fresh one; if that fails too, the broker is down."""
CHECK = "check CELERY_BROKER_URL or REDIS_URL, and that this server runs"


@contextmanager
def producer_of(app: Any) -> Iterator[Any]:
    """Lend a producer from the pool; after a failure its connection is dropped without a clean close.

    A blocked broker does not answer a clean close either; kombu would wait for an answer.
    """
    with app.producer_pool.acquire(block=True) as producer:
        try:
            yield producer
        except BaseException:
            producer.connection.collect()
            raise


@contextmanager
def worded(queue: str, check: str = CHECK) -> Iterator[None]:
    """Translate the exceptions of the broker's client; `check` says what to do if the broker can't be reached."""
    try:
        yield
    except MessageNacked:
        raise BrokerUnavailable(f"the broker did not take the message: {queue} is full or has lost its nodes") from None
    except (ChannelError, NotAllowed) as error:
        raise BrokerRefused(refusal(queue, error)) from error
    except (KombuError, AMQPError, RedisError, OSError) as error:
        if isinstance(error.__cause__, ChannelError | NotAllowed):
            raise BrokerRefused(refusal(queue, error.__cause__)) from error
        reason = str(error) or type(error).__name__
        raise BrokerUnavailable(f"the broker can't be reached or gave no answer: {reason}; {check}") from error


def refusal(queue: str, error: AMQPError) -> str:
    """Say why RabbitMQ refuses a queue as we declare it, and what to do."""
    text = str(getattr(error, "reply_text", "") or error)
    if "inequivalent arg 'x-queue-type'" in text:
        return (
            f"{queue} is a classic queue at the broker, and must be a quorum queue: the first sender made it classic. "
            'Set task_create_missing_queue_type = "quorum" in every producer, move its messages elsewhere if it has '
            f"any, and delete it: rabbitmqctl delete_queue {queue} --if-empty. The next worker creates it again"
        )
    if "inequivalent arg" in text:
        return f"{queue} exists at the broker with other arguments: {text}; delete it once it is empty"
    return f"the broker refuses {queue}: {text}"
