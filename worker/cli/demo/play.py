"""`demo`: the whole thing on this machine: real Redis, real workers, simulated backends, every outcome."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import signal
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from ...aio.tasks import cancel_all
from ...backends.adapter import Request
from ...client.async_client import AsyncClient
from ...domain.errors import CancellerError
from ...http.client import Http
from ...protocol.messages import Event
from ...settings.env_file import DEPLOYMENT
from ...views.explain import span
from ...views.summary import gist
from ..options import Json
from ..output import Output, picture
from ..session import Session, connected
from .board import WIDE, Board, Row
from .cases import CANARY, FORCED_JOB, Case
from .stage import DemoError, Stage, stage

PATIENCE = 50.0
"""Seconds for everything to end."""
RULE = 1800.0
"""Seconds that a job must have been CANCELLING on ESS before it may be forced."""


def demo(
    *,
    svg: Annotated[
        Path | None, typer.Option("--svg", metavar="FILE", help="Write a picture of the result too.", dir_okay=False)
    ] = None,
    json: Json = False,
) -> None:
    """Show everything: embedded Redis, simulated backends, real workers, every outcome; 30 minutes last 3 seconds.

    Exit 0 only when every outcome is the expected one. Nothing is left behind, except the logs if something fails.

    canceller demo

    canceller demo --svg result.svg
    """
    output = Output(as_json=json)
    board = Board()
    for name in [name for name in os.environ if name.startswith(DEPLOYMENT)]:
        del os.environ[name]  # not only for child processes: Celery and pydantic read some of them on their own
    with _sigterm_as_interrupt():
        _play(board, output)
    if svg is not None:
        _draw(board, svg)


@contextmanager
def _sigterm_as_interrupt() -> Iterator[None]:
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _play(board: Board, output: Output) -> None:
    """Run all cases and report their outcomes.

    Raises:
        DemoError: something went wrong; the text names the logs.

    """
    if not output.json:
        output.line("starting an embedded Redis, the simulated backends and 2 worker processes")
    with stage() as started:
        waited, problem = 0.0, ""
        try:
            with output.live(board.now):
                asyncio.run(Play(board, started, output).run())
            waited = asyncio.run(_waited(started.simulator_url))
        except CancellerError as error:
            problem = str(error)
        right = all(row.right for row in board.rows) and waited >= RULE
        _write(board, waited, output, right=right)
        if problem or not right:
            raise DemoError(f"{problem or 'not every outcome is the expected one'}; logs: {started.directory}")


class Play:
    """Sends the commands, follows the events, takes the next steps that cases call for."""

    def __init__(self, board: Board, started: Stage, output: Output) -> None:
        self._board = board
        self._stage = started
        self._output = output
        self._plain = not (output.json or output.on_terminal)

    async def run(self) -> None:
        """Play all cases to their ends, or until PATIENCE has passed.

        Raises:
            DemoError: a worker has died, or a case has not ended in time.

        """
        async with connected(self._stage.settings) as session:
            watch = asyncio.create_task(self._watch())
            follow = asyncio.create_task(self._follow(session))
            try:
                async with asyncio.timeout(PATIENCE):
                    await asyncio.wait({watch, follow}, return_when=asyncio.FIRST_COMPLETED)
                (watch if watch.done() else follow).result()
            except TimeoutError:
                open_ = [row.name for row in self._board.rows if not row.outcome]
                raise DemoError(f"still open after {PATIENCE:g} s: {', '.join(open_)}") from None
            finally:
                await cancel_all({watch, follow})

    async def _watch(self) -> None:
        while True:
            self._stage.check()
            await asyncio.sleep(0.2)

    async def _follow(self, session: Session) -> None:
        after = await session.store.last_event_id()
        single = [row for row in self._board.rows if not row.case.others]
        await session.client.submit_many([command_of(row.case, row.command_id) for row in single])
        for several in self._board.rows:
            if several.case.others:
                members = members_of(several.case)
                await session.client.batch(members, batch_id=several.command_id, canary=CANARY, stop_at="10%")
        async for event in session.client.events(after):
            ids = {*event.command_ids, str(event.data.get("batch_id") or "")}  # a member's event is about its batch
            for row in self._board.rows:
                if row.command_id in ids:
                    await self._take(session, row, event)
                    break
            if all(one.outcome for one in self._board.rows):
                return

    async def _take(self, session: Session, row: Row, event: Event) -> None:
        before = len(row.seen)
        row.take(event)
        if len(row.seen) == before:
            return
        if self._plain:
            seconds = time.monotonic() - self._board.started
            self._output.line(f"{seconds:5.1f} s  {row.name}  {event.name}  {gist(event)}")
        if row.case.then is not None and row.case.then[0] == event.name and row.seen.count(event.name) == 1:
            reference = f"{row.command_id}:0" if row.case.others else row.command_id  # for a batch, its first member's
            await STEPS[row.case.then[1]](session.client, reference, row.case)


def command_of(case: Case, command_id: str) -> Mapping[str, Any]:
    """Return the command of a case."""
    return {
        "verb": case.verb,
        "backend": case.backend,
        "job_id": case.job_id,
        "command_id": command_id,
        "reason": case.shows,
        **case.fields,
    }


def members_of(case: Case) -> list[Mapping[str, Any]]:
    """Return the commands of a batch; the first one is asked for as the case says."""
    job_ids = [case.job_id, *(f"{case.job_id}{number}" for number in range(1, case.others + 1))]
    first, *others = ({"verb": case.verb, "backend": case.backend, "job_id": job_id} for job_id in job_ids)
    return [{**first, "reason": case.shows, **case.fields}, *others]


STEPS: Mapping[str, Callable[[AsyncClient, str, Case], Awaitable[Any]]] = {
    "attest": lambda client, reference, _: client.attest(
        reference, by="demo", reason="looked at the remote host: the process is gone"
    ),
    "abort": lambda client, reference, _: client.abort(reference, by="demo", reason="it may run on"),
    "hold": lambda client, reference, _: client.hold(reference, by="demo", reason="let somebody look first", seconds=4),
    "delete": lambda client, _, case: client.delete(case.backend, case.job_id, reason="the record too"),
}
"""What an operator or a producer does next in a case."""


async def _waited(simulator_url: str) -> float:
    """Ask the simulator's own log how long after the cancel the force call came, on the simulated clock."""
    http = Http(simulator_url)
    try:
        reply = await http.send(Request("GET", ("_sim", "jobs", "ess", FORCED_JOB)))
    finally:
        await http.aclose()
    log = (reply.data or {}).get("log", ())
    at = {entry["verb"]: datetime.fromisoformat(entry["at"]) for entry in reversed(log)}
    return (at["force"] - at["cancel"]).total_seconds() if {"force", "cancel"} <= at.keys() else 0.0


def _draw(board: Board, svg: Path) -> None:
    """Write the result as a picture.

    Raises:
        DemoError: the file can't be written.

    """
    drawing = dataclasses.replace(board.result(WIDE), title=_summary(board))
    try:
        svg.write_text(picture(drawing, "canceller demo", WIDE), encoding="utf-8")
    except OSError as error:
        raise DemoError(f"{svg} can't be written ({error.strerror}): name another file") from None


def _summary(board: Board) -> str:
    return f"{sum(row.right for row in board.rows)} of {len(board.rows)} outcomes are as expected"


def _write(board: Board, waited: float, output: Output, *, right: bool) -> None:
    seconds = time.monotonic() - board.started
    if output.json:
        output.object({"ok": right, "seconds": seconds, "force_after": waited, "cases": board.as_plain()})
        return
    output.draw(board.result)
    rule = f"was forced {span(waited)} after its cancel" if waited else "was never forced"
    output.line(f"30-minute rule: ESS job {FORCED_JOB} {rule} (the backend's own log)")
    output.line(f"{_summary(board)}; {seconds:.0f} s")
    output.note("next: canceller dev, to try it yourself")
