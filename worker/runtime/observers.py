"""Who listens to a worker process: metrics if they are served, traces if anything records them.

Whatever is not asked for is not even imported.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

from ..http.client import version
from ..observability.observer import Observer, together
from ..protocol.operator_actions import ACTIONS

if TYPE_CHECKING:
    from ..observability.tracing import Tracing
    from ..observability.worker_metrics import WorkerMetrics


@dataclass(frozen=True, slots=True)
class Observers:
    """The listeners of one process; `every` stands for all of them."""

    metrics: WorkerMetrics | None
    every: Observer


def observers_of(backends: Collection[str], *, served: bool) -> Observers:
    """Return who listens to a worker of these backends; `served` says whether its metrics are served."""
    metrics = None
    if served:
        from ..observability.worker_metrics import WorkerMetrics  # noqa: PLC0415 - few workers serve them

        metrics = WorkerMetrics(backends, ACTIONS)
    listening = (one for one in (metrics, tracing()) if one is not None)
    return Observers(metrics, together([one.note for one in listening]))


def tracing() -> Tracing | None:
    """Return what makes spans; None without the extra `otel`, or if nothing records them."""
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.trace") is None:
        return None
    from ..observability.tracing import tracing as found  # noqa: PLC0415 - the extra may be missing

    return found(version())
