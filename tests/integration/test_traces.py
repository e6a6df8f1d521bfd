"""All spans of a command link to the trace that came in its Celery message's headers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from support.cell import ROOT

TRACE = "0af7651916cd43dd8448eb211c80319c"


def test_taking_in_passes_and_calls_link_to_the_trace_in_the_headers(tmp_path: Path) -> None:
    env = {**os.environ, "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}"}
    program = [sys.executable, "-m", "support.traced", str(tmp_path), f"00-{TRACE}-b7ad6b7169203331-01"]
    done = subprocess.run(program, env=env, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    spans = [json.loads(line) for line in (tmp_path / "spans.json").read_text().splitlines()]

    assert {span["name"] for span in spans} >= {"canceller.take_in", "canceller.pass", "canceller.call cancel"}
    assert all(span["links"] == [TRACE] for span in spans)
    assert all(span["attributes"]["canceller.backend"] == "ess" for span in spans)
