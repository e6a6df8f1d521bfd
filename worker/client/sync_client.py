"""The client for code without an asyncio loop."""

from __future__ import annotations

from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeVar, Unpack

from ..aio.loop_thread import LoopThread
from ..protocol.batches import BatchStatus, OptionFields
from ..protocol.messages import Command, CommandFields, Event
from ..settings.environment import Settings
from ..store.codec import Snapshot
from .async_client import AsyncCancellation, AsyncClient, JobId, Result
from .sync_batch import Batch

Returned = TypeVar("Returned")
Found = TypeVar("Found")


@dataclass(frozen=True, slots=True)
class Cancellation:
    """A command that was sent."""

    client: Client
    sent: AsyncCancellation

    @property
    def command_id(self) -> str:
        """The id of the command."""
        return self.sent.command_id

    def wait(self, timeout: float | None = None) -> Result:
        """Wait for the end as `AsyncCancellation.wait` does."""
        return self.client.call(self.sent.wait(timeout))

    def get(self) -> Snapshot:
        """Return what is known of it now."""
        return self.client.call(self.sent.get())


class Client:
    """`AsyncClient` for code without an asyncio loop; also for a thread beside one.

    It connects when it is first used, and anew in a forked child: one made at the top of a module works in each
    process of a prefork server.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self._client = AsyncClient.from_env(settings)
        self._thread = LoopThread("canceller-client")

    @classmethod
    def from_env(cls) -> Self:
        """Prepare to connect as the environment says; raises ConfigurationError."""
        return cls()

    def call(self, work: Coroutine[Any, Any, Returned]) -> Returned:
        """Run one of the asynchronous client's calls and wait for it."""
        return self._thread.call(work)

    def cancel(self, backend: str, job_id: JobId, **fields: Unpack[CommandFields]) -> Cancellation:
        """Ask for a job to be stopped."""
        return Cancellation(self, self.call(self._client.cancel(backend, job_id, **fields)))

    def delete(self, backend: str, job_id: JobId, **fields: Unpack[CommandFields]) -> Cancellation:
        """Ask for a job to be stopped and its record to be removed."""
        return Cancellation(self, self.call(self._client.delete(backend, job_id, **fields)))

    def submit_many(self, commands: Sequence[Mapping[str, Any]]) -> list[Cancellation]:
        """Send many commands, hundreds in one message."""
        return [Cancellation(self, sent) for sent in self.call(self._client.submit_many(commands))]

    def batch(
        self,
        commands: Iterable[Mapping[str, Any] | Command],
        *,
        batch_id: str | None = None,
        **options: Unpack[OptionFields],
    ) -> Batch:
        """Clean up many jobs as one batch; raises as `AsyncClient.batch` does."""
        return Batch(self, self.call(self._client.batch(commands, batch_id=batch_id, **options)))

    def batch_by_id(self, batch_id: str) -> Batch:
        """Return a batch that anybody has sent, whether it is known yet or not."""
        return Batch(self, self._client.batch_by_id(batch_id))

    def batches(self, limit: int = 100) -> list[BatchStatus]:
        """Return up to `limit` batches, the newest first."""
        return self.call(self._client.batches(limit))

    def abort(self, reference: str, *, by: str, reason: str) -> str:
        """Withdraw a cancellation; return the order's id, by which `get` raises Rejected if it was refused."""
        return self.call(self._client.abort(reference, by=by, reason=reason))

    def attest(self, reference: str, *, by: str, reason: str, child: str | int | None = None) -> str:
        """Give one's word that the remote process, or that of one child alone, has stopped; return as `abort` does."""
        return self.call(self._client.attest(reference, by=by, reason=reason, child=child))

    def hold(self, reference: str, *, by: str, reason: str, seconds: float | None = None) -> str:
        """Hold a cancellation, for some seconds or until it is released; return as `abort` does."""
        return self.call(self._client.hold(reference, by=by, reason=reason, seconds=seconds))

    def release(self, reference: str, *, by: str, reason: str) -> str:
        """Release a cancellation that is held; return as `abort` does."""
        return self.call(self._client.release(reference, by=by, reason=reason))

    def get(self, reference: str) -> Snapshot:
        """Return what is known of a cancellation, named by its id or a command's."""
        return self.call(self._client.get(reference))

    def wait(self, reference: str, timeout: float | None = None) -> Result:
        """Wait for a cancellation's end, named by its id or a command's."""
        return self.call(self._client.wait(reference, timeout))

    def events(self, after: str = "", *, follow: bool = True) -> Iterator[Event]:
        """Yield events behind a position in the stream."""
        yield from self.walk(self._client.events(after, follow=follow))

    def walk(self, stream: AsyncIterator[Found]) -> Iterator[Found]:
        """Go through what one of the asynchronous client's calls yields."""
        while (found := self.call(_next(stream))) is not None:
            yield found

    def close(self) -> None:
        """Close all connections."""
        if self._thread.running:
            self.call(self._client.aclose())
        self._thread.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


async def _next(stream: AsyncIterator[Found]) -> Found | None:
    return await anext(stream, None)
