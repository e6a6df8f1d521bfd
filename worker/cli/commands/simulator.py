"""`simulator`: the four job systems, simulated on one port."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from errno import EADDRINUSE
from pathlib import Path
from typing import Annotated

import typer

from ...domain.errors import CancellerError
from ...observability.os_errors import in_words
from ...simulator import Clock, Simulator
from ..options import Json
from ..output import Output
from ..usage import BadParameters

DEFAULT_PORT = 8580
"""The port that the example backends file names."""


class SimulatorError(CancellerError):
    """The simulator can't run as it was asked to."""


def simulator(
    *,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 picks a free one.")] = DEFAULT_PORT,
    speed: Annotated[float, typer.Option(min=0, help="Simulated seconds in one real second.")] = 1.0,
    jobs: Annotated[
        Path | None, typer.Option(metavar="FILE", help="TOML or JSON with knobs, jobs and faults.", dir_okay=False)
    ] = None,
    json: Json = False,
) -> None:
    """Simulate Oracle ESS, Oracle ML, MRS and Sahara, to test producers against; /_sim/ makes jobs and faults.

    canceller simulator --speed 600

    canceller simulator --port 0 --jobs jobs.toml
    """
    with suppress(KeyboardInterrupt):
        try:
            asyncio.run(_simulate(host, port, speed, jobs, Output(as_json=json)))
        except OSError as error:
            taken = "; another --port may be free, 0 picks one" if error.errno == EADDRINUSE else ""
            raise SimulatorError(
                f"the simulator can't listen on {host}:{port}: {in_words(error).lower()}{taken}"
            ) from None


def _load(simulated: Simulator, jobs: Path) -> None:
    try:
        simulated.load(jobs)
    except OSError as error:
        raise BadParameters([f"--jobs: {jobs} can't be read ({in_words(error)}): name a file of jobs"]) from None
    except ValueError as error:
        raise BadParameters(str(error).splitlines()) from None


async def _simulate(host: str, port: int, speed: float, jobs: Path | None, output: Output) -> None:
    simulated = Simulator(clock=Clock(speed), host=host, port=port)
    if jobs is not None:
        _load(simulated, jobs)
    async with simulated:
        if output.json:
            output.object({"url": simulated.url})
        else:
            output.line(f"simulator listens on {simulated.url}")
            output.note(f"jobs and faults are made at {simulated.url}/_sim/; Ctrl-C ends it")
        await asyncio.Event().wait()
