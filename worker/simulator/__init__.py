"""A stand-in for the four job systems, written from their public documentation alone.

It speaks their wire formats on one port, follows scripted lives on a clock that can run fast, and breaks on demand.
Nothing here imports the rest of the project.
"""

from .clock import Clock
from .faults import Fault
from .job import Job
from .knobs import Knobs
from .life import Life
from .server import Simulator, run, serve
from .truth import Truth
from .world import Entry

__all__ = ["Clock", "Entry", "Fault", "Job", "Knobs", "Life", "Simulator", "Truth", "run", "serve"]
