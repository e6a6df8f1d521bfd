"""The client for code without an asyncio loop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

from ..aio.loop_thread import LoopThread
from ..settings.environment import Settings
from .async_client import AsyncCancellation, AsyncClient
from .blocking import Blocking, blocking, returning, walking
from .sync_batch import Batch


class Cancellation(Blocking[AsyncCancellation]):
    """A command that was sent."""

    wait = blocking(AsyncCancellation.wait)
    get = blocking(AsyncCancellation.get)

    @property
    def command_id(self) -> str:
        """The id of the command."""
        return self.inner.command_id


class Client(Blocking[AsyncClient]):
    """`AsyncClient` for code without an asyncio loop; also for other threads of a program that has one.

    It connects when it is first used, and connects again in a forked child: a client made at the top of a module works
    in each process of a prefork server.
    """

    cancel = returning(Cancellation, AsyncClient.cancel)
    delete = returning(Cancellation, AsyncClient.delete)
    batch = returning(Batch, AsyncClient.batch)
    batches = blocking(AsyncClient.batches)
    abort = blocking(AsyncClient.abort)
    attest = blocking(AsyncClient.attest)
    hold = blocking(AsyncClient.hold)
    release = blocking(AsyncClient.release)
    get = blocking(AsyncClient.get)
    wait = blocking(AsyncClient.wait)
    events = walking(AsyncClient.events)

    def __init__(self, settings: Settings | None = None) -> None:
        super().__init__(AsyncClient.from_env(settings), LoopThread("canceller-client"))

    @classmethod
    def from_env(cls) -> Self:
        """Prepare to connect as the environment says; raises ConfigurationError."""
        return cls()

    def submit_many(self, commands: Sequence[Mapping[str, Any]]) -> list[Cancellation]:
        """Send many commands, hundreds in one message."""
        return [Cancellation(sent, self.thread) for sent in self.thread.call(self.inner.submit_many(commands))]

    def batch_by_id(self, batch_id: str) -> Batch:
        """Return the batch with this id, whoever has sent it, even if it is not known yet."""
        return Batch(self.inner.batch_by_id(batch_id), self.thread)

    def close(self) -> None:
        """Close all connections; what another thread waits for raises a RuntimeError at once."""
        self.thread.close(self.inner.aclose)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
