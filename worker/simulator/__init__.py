"""A stand-in for the four job systems, written from their public pages alone.

It speaks their wire formats on one port, follows scripted lives on a clock that can run fast, and breaks on demand.
Nothing here imports the rest of the project.
"""

from worker.simulator.clock import Clock
from worker.simulator.faults import Fault
from worker.simulator.job import Job
from worker.simulator.knobs import Knobs
from worker.simulator.life import Life
from worker.simulator.server import Simulator, run, serve
from worker.simulator.truth import Truth
from worker.simulator.world import Entry

__all__ = ["Clock", "Entry", "Fault", "Job", "Knobs", "Life", "Simulator", "Truth", "run", "serve"]
