"""Traces by OpenTelemetry: a span for each message taken in, each pass and each call. Needs the extra `otel`.

A cancellation may live for a day, so its spans are not children of the command's span, but link to it. Only the API is
used; whoever runs the worker chooses what records spans, and where they go.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from opentelemetry import trace
from opentelemetry.trace import Link, SpanKind, Status, StatusCode, Tracer
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from ..domain.cancellation import Cancellation
from ..domain.model import AnswerKind
from .observer import CallMade, Happened, MessageHandled, PassEnded

Attributes = Mapping[str, str | int]
FAILED = frozenset({AnswerKind.UNANSWERED, AnswerKind.REFUSED})
"""The answers that give a call's span the status of an error."""
PROPAGATOR = TraceContextTextMapPropagator()


@dataclass(slots=True)
class Tracing:
    """Makes spans, each of them once what it describes has ended."""

    tracer: Tracer
    calls: dict[str, list[tuple[str, str, int, int]]] = field(default_factory=dict)
    """The calls of passes under way: action, kind, start and end, by the cancellation's id."""

    def note(self, happened: Happened) -> None:
        """Make the span of a message that was taken in, or of a pass; keep a call for its pass."""
        end = time.time_ns()
        match happened:
            case CallMade(backend, action, kind, seconds, cancellation):
                made = action, kind, end - int(seconds * 1e9), end
                if cancellation is None:  # a list belongs to no pass
                    self._call(backend, *made, links=())
                else:
                    self.calls.setdefault(cancellation.id, []).append(made)
            case PassEnded(cancellation, seconds):
                self._pass(cancellation, end - int(seconds * 1e9), end)
            case MessageHandled(backend, verb, verdict, traceparent, seconds):
                about = {"canceller.backend": backend, "canceller.verb": verb, "canceller.verdict": verdict}
                span = self.tracer.start_span(
                    "canceller.take_in",
                    kind=SpanKind.CONSUMER,
                    attributes=about,
                    links=links_to(traceparent),
                    start_time=end - int(seconds * 1e9),
                )
                span.end(end)

    def _pass(self, cancellation: Cancellation, start: int, end: int) -> None:
        """Make the span of a pass, and within it those of its calls."""
        links = links_to(cancellation.traceparent)
        about: Attributes = {
            "canceller.backend": cancellation.backend,
            "canceller.job_id": cancellation.job_id,
            "canceller.cancellation_id": cancellation.id,
        }
        span = self.tracer.start_span("canceller.pass", attributes=about, links=links, start_time=start)
        with trace.use_span(span):
            for made in self.calls.pop(cancellation.id, ()):
                self._call(cancellation.backend, *made, links=links)
        span.end(end)

    def _call(self, backend: str, action: str, kind: str, start: int, end: int, *, links: Sequence[Link]) -> None:
        about: Attributes = {"canceller.backend": backend, "canceller.action": action, "canceller.answer": kind}
        span = self.tracer.start_span(
            f"canceller.call {action}", kind=SpanKind.CLIENT, attributes=about, links=links, start_time=start
        )
        if kind in FAILED:
            span.set_status(Status(StatusCode.ERROR, kind))
        span.end(end)


def links_to(traceparent: str | None) -> Sequence[Link]:
    """Return a link to the trace that a `traceparent` names; none if it names none."""
    if not traceparent:
        return ()
    found = trace.get_current_span(PROPAGATOR.extract({"traceparent": traceparent})).get_span_context()
    return (Link(found),) if found.is_valid else ()


def tracing(version: str) -> Tracing | None:
    """Return what makes spans; None if nothing is set up that records them."""
    provider = trace.get_tracer_provider()
    if isinstance(provider, trace.ProxyTracerProvider):
        return None
    return Tracing(provider.get_tracer("canceller", version))
