"""Spans of what a worker does, and what they link to."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from worker.domain.cancellation import Cancellation, Spec
from worker.domain.model import Force, Verb
from worker.observability.observer import CallMade, MessageHandled, PassEnded
from worker.observability.tracing import Tracing, tracing

T = datetime(2026, 11, 22, 10, tzinfo=UTC)
TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"


def cancellation(traceparent: str | None = PARENT) -> Cancellation:
    return Cancellation("c1", "ess", "300100", T, Spec(Verb.CANCEL, Force.AUTO, 0.0, T), traceparent=traceparent)


class Recorded:
    """Tracing, and the spans that it has made."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracing = Tracing(provider.get_tracer("test"))

    def span(self, name: str) -> ReadableSpan:
        (one,) = [span for span in self._exporter.get_finished_spans() if span.name == name]
        return one


@pytest.fixture
def recorded() -> Recorded:
    return Recorded()


def linked(span: ReadableSpan) -> list[str]:
    return [f"{link.context.trace_id:032x}" for link in span.links]


def test_a_pass_has_its_calls_within_it(recorded: Recorded) -> None:
    recorded.tracing.note(CallMade("ess", "look", "accepted", 0.5, cancellation()))
    recorded.tracing.note(PassEnded(cancellation(), 2.0))
    whole, call = recorded.span("canceller.pass"), recorded.span("canceller.call look")

    assert call.parent == whole.context
    assert (whole.end_time or 0) - (whole.start_time or 0) == 2e9
    assert (call.end_time or 0) - (call.start_time or 0) == 0.5e9
    assert dict(whole.attributes or {})["canceller.job_id"] == "300100"


def test_each_span_of_a_cancellation_links_to_the_commands_trace_and_is_no_part_of_it(recorded: Recorded) -> None:
    recorded.tracing.note(MessageHandled("ess", "cancel", "accepted", PARENT, 0.1))
    recorded.tracing.note(CallMade("ess", "cancel", "accepted", 0.5, cancellation()))
    recorded.tracing.note(PassEnded(cancellation(), 2.0))
    spans = [recorded.span(f"canceller.{name}") for name in ("take_in", "pass", "call cancel")]

    assert [linked(span) for span in spans] == [[TRACE]] * 3
    assert all(f"{span.context.trace_id:032x}" != TRACE for span in spans if span.context)


@pytest.mark.parametrize("traceparent", [None, "", "00-1-2-01", "nonsense", PARENT[:-1]], ids=repr)
def test_what_names_no_trace_is_linked_to_none(recorded: Recorded, traceparent: str | None) -> None:
    recorded.tracing.note(MessageHandled("ess", "cancel", "rejected", traceparent, 0.1))

    assert linked(recorded.span("canceller.take_in")) == []


def test_a_list_of_many_jobs_is_a_span_of_its_own(recorded: Recorded) -> None:
    recorded.tracing.note(CallMade("ess", "list", "accepted", 0.1))

    assert recorded.span("canceller.call list").parent is None


def test_a_pass_has_no_calls_of_the_one_before(recorded: Recorded) -> None:
    recorded.tracing.note(CallMade("ess", "look", "accepted", 0.1, cancellation()))
    recorded.tracing.note(PassEnded(cancellation(), 0.2))
    recorded.tracing.note(PassEnded(cancellation(), 0.2))

    assert recorded.span("canceller.call look")


@pytest.mark.parametrize(("kind", "code"), [("accepted", StatusCode.UNSET), ("unanswered", StatusCode.ERROR)])
def test_a_call_without_an_answer_is_an_error(recorded: Recorded, kind: str, code: StatusCode) -> None:
    recorded.tracing.note(CallMade("ess", "list", kind, 0.1))

    assert recorded.span("canceller.call list").status.status_code is code


def test_nothing_is_traced_unless_something_records_it() -> None:
    assert tracing("0.1.0") is None
