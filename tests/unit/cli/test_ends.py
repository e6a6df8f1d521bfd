"""How `wait` shows ends whose event says little, as an event from another program may."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from worker.cli import waiting
from worker.cli.output import Output
from worker.client.async_client import Result


def written(data: dict[str, Any], *, as_json: bool) -> str:
    stream = io.StringIO()
    output = Output(as_json=as_json, out=Console(file=stream, width=200, color_system=None))
    end = Result("c-1", "cancelled", "reported", safe_to_rerun=True, detail="", data=data)
    waiting.write_end("k-1", {}, end, output)
    return stream.getvalue()


@pytest.mark.parametrize("data", [{}, {"backend": "ess"}, {"job_id": "1"}, {"backend": None, "job_id": "1"}])
def test_an_end_without_its_job_is_named_by_what_was_asked_for(data: dict[str, Any]) -> None:
    assert written(data, as_json=False).startswith("k-1  cancelled")
    assert '"id":"k-1"' in written(data, as_json=True).replace(" ", "")


def test_an_end_with_its_job_is_named_by_that() -> None:
    assert written({"backend": "ess", "job_id": "1"}, as_json=False).startswith("ess 1  cancelled")
