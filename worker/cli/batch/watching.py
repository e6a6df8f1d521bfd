"""Watches a batch until it has ended, or until it needs somebody's order to go on."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Final

from ...aio.tasks import cancel_all
from ...client.async_client import Rejected
from ...client.batches import AsyncBatch
from ...domain.errors import StoreUnavailable, UnknownBatch
from ...observability.outage import Seldom
from ...protocol.batches import BatchState, BatchStatus
from ...protocol.messages import Event
from ...store.redis_client import connect, translated
from ...views.batches import FAILURES, Pace, described, ended, progress_line, short, stands_still
from ..checks.attendance import noting_absence, older_workers
from ..output import COLOURS, Cell, Gauge, Output
from ..session import Session

LOOK_EVERY: Final = 0.5
TELL_EVERY: Final = 5.0
"""Seconds between two lines in a pipe."""
ASK_EVERY: Final = 2.0
"""Seconds between two checks for why a batch makes no progress: a rejected part, or older workers."""
SHOWN_FAILURES: Final = 5
CHROME: Final = 3
"""Lines of the drawing besides the failures, and one that stays free."""


@dataclass(slots=True)
class Watch:
    """What is known of a batch while it is watched; with `aside` its progress is not part of the results."""

    session: Session
    batch: AsyncBatch
    output: Output
    what: str
    aside: bool = False
    status: BatchStatus | None = None
    pace: Pace = field(default_factory=Pace)
    failures: deque[str] = field(default_factory=lambda: deque(maxlen=SHOWN_FAILURES))
    trouble: Seldom = field(default_factory=Seldom)
    told: str = ""
    noted: int = 0

    async def run(self, seconds: float | None = None) -> BatchStatus | None:
        """Watch for `seconds` at most; return the last status, None if no worker has taken the batch in by then.

        Raises:
            Rejected: a part that was sent from here was rejected.

        """
        with self.output.live(self._draw):
            async with noting_absence(self.session.settings, self.output), self._noting_failures():
                with suppress(TimeoutError):
                    async with asyncio.timeout(seconds):
                        await self._follow()
        self._tell(force=True)
        return self.status

    async def _follow(self) -> None:
        loop = asyncio.get_running_loop()
        tell_at, ask_at = 0.0, loop.time() + ASK_EVERY
        while True:
            try:
                self.status = await self.session.store.batches.status(self.batch.id)
                self.pace.note(loop.time(), ended(self.status.counts))
                if self.status.state.final or stands_still(self.status):
                    return
            except UnknownBatch:
                pass
            except StoreUnavailable as error:
                if self.trouble.due():
                    self.output.note(f"{error}; the batch goes on without this terminal")
            now = loop.time()
            if now >= tell_at:
                self._tell()
                tell_at = now + (LOOK_EVERY if self.output.json else TELL_EVERY)
            if now >= ask_at:
                ask_at = now + ASK_EVERY
                if self.status is None or self.status.state is BatchState.RECEIVING:
                    await self._raise_if_rejected()
                elif self.status.state is BatchState.RUNNING and not self.status.counts.open:
                    await self._note_older_workers()
            await asyncio.sleep(LOOK_EVERY)

    async def _raise_if_rejected(self) -> None:
        with suppress(StoreUnavailable):
            for message_id in self.batch.sent:
                if reason := await self.session.client.ends.notes.rejection(message_id, self.batch.after):
                    raise Rejected(reason)

    async def _note_older_workers(self) -> None:
        """If workers of a version without batches run, note once that nothing starts because of them."""
        if self.noted:
            return
        redis = connect(self.session.settings)
        try:
            with suppress(StoreUnavailable), translated():
                self.noted = await older_workers(redis, f"{{{self.session.settings.prefix}}}")
        finally:
            await redis.aclose()
        if self.noted:
            self.output.note(f"nothing starts while workers of an older version run ({self.noted}): finish the upgrade")

    def _tell(self, *, force: bool = False) -> None:
        """Write the progress if it has changed and no drawing shows it."""
        if self.status is None or self.output.on_terminal or (self.aside and self.output.json):
            return
        line = progress_line(self.status, self.pace)
        if line == self.told and not force:
            return
        self.told = line
        if self.output.json:
            self.output.object({"event": "progress", **described(self.status, self.pace)})
        elif self.aside:
            self.output.note(f"{self.what}: {line}")
        else:
            self.output.line(f"{self.what}: {line}")

    def _draw(self, height: int) -> Gauge:
        if self.status is None:
            return Gauge(0, 1, f"{self.what}: sent; no worker has taken it in yet")
        counts = self.status.counts
        room = max(0, min(SHOWN_FAILURES, height - CHROME))
        lines = [Cell(text, COLOURS["refused"]) for text in [*self.failures][-room:]] if room else []
        text = f"{self.what}: {progress_line(self.status, self.pace)}"
        return Gauge(ended(counts), counts.selected, text, lines)

    @asynccontextmanager
    async def _noting_failures(self) -> AsyncIterator[None]:
        """Collect the latest failures from the events, if a drawing shows them."""
        if not self.output.on_terminal:
            yield
            return
        task = asyncio.create_task(self._keep_failures())
        try:
            yield
        finally:
            await cancel_all({task})

    async def _keep_failures(self) -> None:
        while True:
            with suppress(StoreUnavailable):
                async for event in self.session.client.events(await self.session.store.last_event_id()):
                    if event.data.get("batch_id") == self.batch.id and (event.outcome or event.name) in FAILURES:
                        self.failures.append(failure_line(event))
            await asyncio.sleep(LOOK_EVERY)


def failure_line(event: Event) -> str:
    """Say which member has failed, and why."""
    job = f"{event.backend or event.data.get('backend') or '-'} {event.subject or '-'}"
    why = str(event.data.get("detail") or event.data.get("error") or "")
    return f"{job}  {'; '.join(filter(None, (event.outcome or event.name, why)))}"


@asynccontextmanager
async def going_on(batch: AsyncBatch, output: Output, way_back: Callable[[str], Sequence[str]]) -> AsyncIterator[None]:
    """If the block is interrupted, say that the batch goes on without this terminal, and how to return to it."""
    try:
        yield
    except asyncio.CancelledError:
        for line in way_back(short(batch.id)):
            output.note(line)
        raise


def to_watch(batch_id: str) -> Sequence[str]:
    """Say how to return to a batch that goes on, and how to stop it."""
    return (
        f"the batch goes on: canceller batch watch {batch_id}",
        f"to stop it: canceller batch pause {batch_id} --by NAME --reason TEXT, or abort in place of pause",
    )
