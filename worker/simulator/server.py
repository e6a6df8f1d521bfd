"""The simulator itself: one port, four systems, a control API; embedded in a test or run from a shell."""

from __future__ import annotations

import asyncio
import sys
from email.utils import formatdate
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Self

from aiohttp import web

from . import control, spec
from .clock import Clock
from .cross_site import REFUSED, foreign, is_loopback
from .delivery import deliver, plain
from .dispatch import answer
from .faults import Fault, Rule, fault_from
from .knobs import Knobs
from .systems import SYSTEMS
from .truth import Truth, truth
from .wire import Call
from .world import Entry, World

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .job import Job

_MAX_BODY = 16 * 1024 * 1024


class Simulator:
    """A running simulator: `async with Simulator() as sim`, then talk to `sim.url`.

    A test may call its methods from a thread other than the one whose loop serves.

    Args:
        clock: Simulated time; real time when left out.
        knobs: The switches, or just those to change (`{"ess": {"force_window": 60}}`).
        host: The address to listen on.
        port: The port; 0 picks a free one.

    """

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        knobs: Knobs | Mapping[str, Any] | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        """Prepare, without listening yet."""
        self.clock = clock or Clock()
        self.world = World(knobs=knobs if isinstance(knobs, Knobs) else Knobs().changed(knobs or {}))
        self._host, self._port = host, port
        self.hosts: set[str] | None = set() if is_loopback(host) else None
        """Host names that requests may use besides those of the loopback, e.g. behind a proxy; None for any."""
        self._turn = Lock()
        """Held by whoever reads or changes the world: the loop that serves, or a test in a thread of its own."""
        self._closing = asyncio.Event()
        self._runner: web.AppRunner | None = None

    async def start(self) -> Self:
        """Listen; `url` is known from then on. After a stop it listens on the same port again."""
        self._closing.clear()
        app = web.Application(client_max_size=_MAX_BODY)
        app.router.add_route("*", r"/{path:[\s\S]*}", self._serve)
        app.on_response_prepare.append(self._stamp)
        self._runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, self._host, self._port).start()
        self._port = self._runner.addresses[0][1]
        return self

    async def stop(self, *_: object) -> None:
        """Stop listening and cut connections that still hang."""
        self._closing.set()
        if self._runner is not None:
            await self._runner.cleanup()

    __aenter__, __aexit__ = start, stop

    @property
    def url(self) -> str:
        """The simulator's address, without a slash at the end."""
        return f"http://{f'[{self._host}]' if ':' in self._host else self._host}:{self._port}"

    def base_url(self, system: str) -> str:
        """Return the base address of one system (`ess`, `oml`, `mrs`, `sahara`)."""
        return f"{self.url}/{SYSTEMS[system].prefix}".rstrip("/")

    def set_knobs(self, changes: Mapping[str, Any]) -> None:
        """Change switches: `{"ess": {"times": "naive"}}` or `{"ess.times": "naive"}`."""
        with self._turn:
            self.world.knobs = self.world.knobs.changed(changes)

    def add_job(self, system: str, job_id: str | int, life: str = "runs", **script: Any) -> Job:
        """Create a job with a preset life; `script` sets single fields of the life, `children`, and other properties.

        These are `project`, `cluster`, `parent`, `submitter`, and `age`: how many seconds ago it was submitted.

        Raises:
            ValueError: Something in it cannot be read.

        """
        with self._turn:
            return spec.add(self.world, {"system": system, "id": job_id, "life": life, **script}, self.clock.now())[0]

    def add_fault(self, kind: str, **rule: Any) -> Fault:
        """Activate a fault; the fields are those of `Fault`.

        Raises:
            ValueError: Something in it cannot be read.

        """
        fault = fault_from({"kind": kind, **rule})
        with self._turn:
            self.world.faults.append(Rule(fault))
        return fault

    def clear_faults(self) -> None:
        """Remove all faults."""
        with self._turn:
            self.world.faults.clear()

    def revoke_tokens(self, system: str | None = None) -> int:
        """Revoke all issued tokens, or those that one system trusts, and return how many."""
        with self._turn:
            return control.revoke(self.world, system)

    def job(self, system: str, job_id: str | int) -> Truth:
        """Return the truth about a job, whatever its system answers."""
        with self._turn:
            return truth(self.world, system, str(job_id), self.clock.now())

    def log(self, system: str = "", job_id: str | int | None = None, verb: str = "") -> list[Entry]:
        """List the requests received, in order."""
        with self._turn:
            return self.world.log(system, None if job_id is None else str(job_id), verb)

    def load(self, path: str | Path) -> None:
        """Read knobs, jobs and faults from a TOML or JSON file.

        Raises:
            ValueError: Something in it cannot be read.

        """
        with self._turn:
            spec.load(self.world, Path(path), self.clock.now())

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        if sign := foreign(headers, self.hosts):
            return web.Response(status=403, body=REFUSED.format(sign).encode(), content_type="text/plain")
        body = await request.read()
        origin = f"http://{headers.get('host', f'{self._host}:{self._port}')}"
        with self._turn:
            call = Call(request.method, request.raw_path, self.clock.now(), headers, body, origin)
            if call.parts[0] == control.PREFIX:
                return plain(control.handle(self.world, self.clock, call))
            answered = answer(self.world, call)
        return await deliver(request, answered, self._closing)

    async def _stamp(self, _request: web.Request, response: web.StreamResponse) -> None:
        response.headers.pop("Server", None)
        if self.world.knobs.all.date_header:
            response.headers["Date"] = formatdate(self.clock.now(), usegmt=True)
        else:
            response.headers.pop("Date", None)


async def serve(
    host: str = "127.0.0.1", port: int = 0, speed: float = 1.0, jobs_file: str | Path | None = None
) -> None:
    """Run a simulator until cancelled; print one line with its address when it listens."""
    simulator = Simulator(clock=Clock(speed), host=host, port=port)
    if jobs_file is not None:
        simulator.load(jobs_file)
    async with simulator:
        sys.stdout.write(f"simulator listens on {simulator.url}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


def run(host: str = "127.0.0.1", port: int = 0, speed: float = 1.0, jobs_file: str | Path | None = None) -> None:
    """Run a simulator until interrupted; print one line with its address when it listens."""
    try:
        asyncio.run(serve(host, port, speed, jobs_file))
    except KeyboardInterrupt:
        return
