"""The client for code without an asyncio loop."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Self, Unpack

from ..aio.loop_thread import LoopThread
from ..protocol.batches import OptionFields
from ..protocol.messages import Command, CommandFields, Event
from ..settings.environment import Settings
from .async_client import AsyncCancellation, AsyncClient, JobId
from .blocking import Blocking, blocking
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
    """`AsyncClient` for code without an asyncio loop; also for a thread beside one.

    It connects when it is first used, and anew in a forked child: one made at the top of a module works in each
    process of a prefork server.
    """

    batches = blocking(AsyncClient.batches)
    abort = blocking(AsyncClient.abort)
    attest = blocking(AsyncClient.attest)
    hold = blocking(AsyncClient.hold)
    release = blocking(AsyncClient.release)
    get = blocking(AsyncClient.get)
    wait = blocking(AsyncClient.wait)

    def __init__(self, settings: Settings | None = None) -> None:
        super().__init__(AsyncClient.from_env(settings), LoopThread("canceller-client"))

    @classmethod
    def from_env(cls) -> Self:
        """Prepare to connect as the environment says; raises ConfigurationError."""
        return cls()

    def cancel(self, backend: str, job_id: JobId, **fields: Unpack[CommandFields]) -> Cancellation:
        """Ask for a job to be stopped."""
        return Cancellation(self.thread.call(self.inner.cancel(backend, job_id, **fields)), self.thread)

    def delete(self, backend: str, job_id: JobId, **fields: Unpack[CommandFields]) -> Cancellation:
        """Ask for a job to be stopped and its record to be removed."""
        return Cancellation(self.thread.call(self.inner.delete(backend, job_id, **fields)), self.thread)

    def submit_many(self, commands: Sequence[Mapping[str, Any]]) -> list[Cancellation]:
        """Send many commands, hundreds in one message."""
        return [Cancellation(sent, self.thread) for sent in self.thread.call(self.inner.submit_many(commands))]

    def batch(
        self,
        commands: Iterable[Mapping[str, Any] | Command],
        *,
        batch_id: str | None = None,
        **options: Unpack[OptionFields],
    ) -> Batch:
        """Clean up many jobs as one batch; raises as `AsyncClient.batch` does."""
        return Batch(self.thread.call(self.inner.batch(commands, batch_id=batch_id, **options)), self.thread)

    def batch_by_id(self, batch_id: str) -> Batch:
        """Return a batch that anybody has sent, whether it is known yet or not."""
        return Batch(self.inner.batch_by_id(batch_id), self.thread)

    def events(self, after: str = "", *, follow: bool = True) -> Iterator[Event]:
        """Yield events behind a position in the stream."""
        return self.walk(self.inner.events(after, follow=follow))

    def close(self) -> None:
        """Close all connections."""
        if self.thread.running:
            self.thread.call(self.inner.aclose())
        self.thread.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
