"""What tests alone ask of a simulator: the addresses of its systems, other switches, what had an effect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from worker.simulator.systems import SYSTEMS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from worker.simulator import Simulator
    from worker.simulator.truth import Truth


def base_url(simulator: Simulator, system: str) -> str:
    """Return the base address of one system (`ess`, `oml`, `mrs`, `sahara`)."""
    return f"{simulator.url}/{SYSTEMS[system].prefix}".rstrip("/")


def set_knobs(simulator: Simulator, changes: Mapping[str, Any]) -> None:
    """Change switches: `{"ess": {"times": "naive"}}` or `{"ess.times": "naive"}`."""
    simulator.world.knobs = simulator.world.knobs.changed(changes)


def effects(truth: Truth, verb: str) -> int:
    """Count the calls of one verb that had an effect on a job."""
    return sum(entry.effect for entry in truth.log if entry.verb == verb)
