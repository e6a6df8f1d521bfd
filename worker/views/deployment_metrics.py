"""PURE: the totals of a whole deployment as Prometheus reads them. Names and labels are public: they only grow."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ..store.totals import Totals


@dataclass(frozen=True, eq=False)
class Counted(Collector):
    """Totals in the form that a registry collects."""

    totals: Totals

    def collect(self) -> Iterator[Metric]:
        """Return all metrics of a deployment."""
        totals = self.totals
        yield _gauge(
            "canceller_open",
            "Open cancellations, by the job's state as last seen (`unseen` before the first look), and by lane.",
            totals.open.items(),
            ("backend", "state", "lane"),
        )
        by_backend: Sequence[tuple[str, str, Mapping[str, float]]] = (
            (
                "canceller_oldest_cancelling_seconds",
                "For how long the job that has been in CANCELLING longest has been seen there; 0 if none is.",
                totals.oldest_cancelling,
            ),
            (
                "canceller_gates_held",
                "Open cancellations whose force step is due and whose gate is shut.",
                totals.gates_held,
            ),
            (
                "canceller_overdue",
                "Open cancellations that are not confirmed stopped after the backend's warn_after.",
                totals.overdue,
            ),
            (
                "canceller_breaker_open",
                "1 while a backend is paused after repeated failures, or is being probed; else 0.",
                totals.breaker_open,
            ),
        )
        for name, help_text, values in by_backend:
            yield _gauge(name, help_text, (((backend,), value) for backend, value in values.items()), ("backend",))
        if totals.waiting is not None:
            yield GaugeMetricFamily(
                "canceller_waiting_commands", "Commands that no worker has taken in yet.", totals.waiting
            )
        yield GaugeMetricFamily("canceller_workers", "Workers that are alive.", totals.workers)
        yield GaugeMetricFamily(
            "canceller_dead_letters",
            "Rejected messages, and events that could not be delivered to a sink, that are kept.",
            totals.dead_letters,
        )
        yield GaugeMetricFamily(
            "canceller_redis_memory_ratio",
            "The share of Redis's maxmemory that is in use; 0 without a limit. Nothing new is taken in above 0.9.",
            totals.memory,
        )
        yield _gauge(
            "canceller_sink_lag_seconds",
            "The age of the oldest event that a sink has not received yet; 0 if it has received all.",
            (((sink,), lag) for sink, lag in totals.sink_lags.items()),
            ("sink",),
        )


def _gauge(
    name: str, help_text: str, values: Iterable[tuple[tuple[str, ...], float]], labels: Sequence[str]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, help_text, labels=labels)
    for own, value in sorted(values):
        family.add_metric(own, value)
    return family
