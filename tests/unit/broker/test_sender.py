"""Connections to a broker are closed with their sender, also those that were in use meanwhile."""

from __future__ import annotations

from dataclasses import dataclass

from redis import Redis

from worker.broker.sender import Connections, TaskSender


@dataclass
class Closing:
    """Content of a message that closes its sender while it is sent."""

    sender: Connections

    def __json__(self) -> str:
        self.sender.close()
        return "closed"


def test_a_connection_that_was_in_use_while_its_sender_closed_is_closed_after_it(
    redis_url: str, sync_redis: Redis
) -> None:
    sender, before = TaskSender(redis_url, "queue"), len(sync_redis.client_list())
    sender.publish("task", "1", {})
    assert len(sync_redis.client_list()) > before
    sender.publish("task", "2", {"content": Closing(sender)})
    sync_redis.ping()  # one turn of the server's loop, in which it sees what was closed

    assert len(sync_redis.client_list()) == before
    assert sync_redis.llen("queue") == 2
