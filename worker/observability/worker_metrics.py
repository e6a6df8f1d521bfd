"""The metrics of one worker, as Prometheus reads them. Their names and labels are public: they only grow.

`note` only adds to plain numbers, because it costs passes time; the texts are made when somebody asks. No label holds
the id of a job, or a text that a producer may choose.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from ..domain.model import Verb
from .observer import CallMade, Claimed, Committed, EventEmitted, Happened, MessageHandled, PassEnded

FINISHED = "finished"
UNKNOWN = "unknown"
"""The label for a backend or verb that is only known from a producer's text."""
CALLS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Seconds; a call takes 10 at most unless the backends file says more."""
COMMITS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
LATENESS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)


class Seconds:
    """A histogram without labels; `bounds` are the upper ends of its buckets."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def add(self, seconds: float) -> None:
        """Count one."""
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.sum += seconds


class WorkerMetrics(Collector):
    """Counts what one worker does; `backends` and `actions` are the names that a rejected command may be counted by."""

    def __init__(self, backends: Collection[str], actions: Collection[str] = ()) -> None:
        self.registry = CollectorRegistry(auto_describe=False)
        self.registry.register(self)
        ProcessCollector(registry=self.registry)
        self._backends = frozenset(backends)
        self._verbs = frozenset(map(str, Verb)) | frozenset(actions)
        self._commands: Counter[tuple[str, str, str]] = Counter()
        self._finished: Counter[tuple[str, str, str]] = Counter()
        self._calls: Counter[tuple[str, str, str]] = Counter()
        self._call_seconds, self._pass_seconds = Seconds(CALLS), Seconds(CALLS)
        self._commit_seconds, self._lateness = Seconds(COMMITS), Seconds(LATENESS)

    def note(self, happened: Happened) -> None:
        """Count what happened."""
        match happened:  # the most frequent first
            case CallMade():
                self._calls[happened.backend, happened.action, happened.kind] += 1
                self._call_seconds.add(happened.seconds)
            case PassEnded():
                self._pass_seconds.add(happened.seconds)
            case EventEmitted(event=event) if event.name == FINISHED:
                backend, said = happened.cancellation.backend, event.data
                self._finished[backend, str(said["outcome"]), str(said["evidence"])] += 1
            case MessageHandled():
                backend = happened.backend if happened.backend in self._backends else UNKNOWN
                verb = happened.verb if happened.verb in self._verbs else UNKNOWN
                self._commands[backend, verb, happened.verdict] += 1
            case Committed():
                self._commit_seconds.add(happened.seconds)
            case Claimed():
                for seconds in happened.late:
                    self._lateness.add(seconds)

    def collect(self) -> Iterator[Metric]:
        """Return all metrics as they are now."""
        yield _counter(
            "canceller_commands",
            "Commands and operator actions that this worker has taken in, by what became of them.",
            ("backend", "verb", "verdict"),
            self._commands,
        )
        yield _counter(
            "canceller_finished",
            "Cancellations that this worker has finished, by outcome and what proves it.",
            ("backend", "outcome", "evidence"),
            self._finished,
        )
        yield _counter(
            "canceller_calls",
            "Calls to backends, by what they ask for and how they were answered.",
            ("backend", "action", "kind"),
            self._calls,
        )
        late = "How long cancellations were due before this worker claimed them."
        for seconds, name, help_text in (
            (self._call_seconds, "canceller_call_seconds", "How long calls to backends take."),
            (self._pass_seconds, "canceller_pass_seconds", "How long passes take, calls and commits included."),
            (self._lateness, "canceller_schedule_lateness_seconds", late),
            (self._commit_seconds, "canceller_commit_seconds", "How long Redis takes to store several passes."),
        ):
            ends = [*map(str, seconds.bounds), "+Inf"]
            buckets = list(zip(ends, accumulate(seconds.counts), strict=True))
            yield HistogramMetricFamily(name, help_text, buckets, seconds.sum)


def _counter(name: str, help_text: str, labels: Sequence[str], counts: Counter[tuple[str, str, str]]) -> Metric:
    family = CounterMetricFamily(name, help_text, labels=labels)
    for values, count in sorted(counts.items()):
        family.add_metric(values, count)
    return family
