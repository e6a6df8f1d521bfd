"""A process that records spans: it runs a worker, and sends one command with a trace context in the message headers."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from support.served import served

BACKENDS = """
[backends.ess]
kind = "oracle-ess"
base_url = "{ess}"
auth = { type = "none" }
poll = { first = "200ms", max = "500ms" }
"""


def main(directory: str, traceparent: str) -> None:
    """Write the spans to `spans.json`, one JSON object each."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    with served(Path(directory), BACKENDS) as one:
        one.cell.simulator.add_job("ess", 1)
        command = {"backend": "ess", "job_id": "1"}
        headers = {"traceparent": traceparent}
        one.cell.sender.send_task("worker.cancel", kwargs=command, queue="commands", headers=headers)
        one.cell.wait_finished(1)
    with (Path(directory) / "spans.json").open("w") as file:
        for span in exporter.get_finished_spans():
            links = [f"{link.context.trace_id:032x}" for link in span.links]
            one_span = {"name": span.name, "links": links, "attributes": dict(span.attributes or {})}
            file.write(json.dumps(one_span) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
