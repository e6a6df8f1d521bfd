"""Prometheus's `promtool`, the alert rules and dashboard that we ship, and tests of rules in the tool's format."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from support.cell import ROOT

ALERTS = ROOT / "config/alerts/canceller.yml"
DASHBOARD = ROOT / "config/grafana/canceller.json"
PROMTOOL = shutil.which("promtool")


def rules() -> list[dict[str, Any]]:
    """Return the alert rules."""
    return [rule for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]


def panels() -> dict[str, list[str]]:
    """Return the queries of the dashboard by panel title, with Grafana's own variables replaced by values."""
    found = json.loads(DASHBOARD.read_text())["panels"]
    return {one["title"]: [to["expr"].replace("$__rate_interval", "5m") for to in one["targets"]] for one in found}


def check_rules(file: Path) -> subprocess.CompletedProcess[str]:
    """Have Prometheus's own tool check rules."""
    assert PROMTOOL
    return subprocess.run([PROMTOOL, "check", "rules", str(file)], capture_output=True, text=True, check=False)


def failures(
    directory: Path, series: Mapping[str, str], expected: Mapping[str, Sequence[tuple[str, bool]]]
) -> Iterator[str]:
    """Yield the report of the tool if an expression does not evaluate as expected.

    `series` maps each series to its values, one per minute, in the tool's notation; `expected` maps times, such as
    `15m`, to expressions and whether each has a result at that time.
    """
    tests = [
        {
            "expr": f"count({expression}) > bool 0",
            "eval_time": at,
            "exp_samples": [{"labels": "{}", "value": 1}] if has else [],
        }
        for at, several in expected.items()
        for expression, has in several
    ]
    whole = {
        "rule_files": [str(ALERTS)],
        "evaluation_interval": "1m",
        "tests": [
            {
                "interval": "1m",
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "promql_expr_test": tests,
            }
        ],
    }
    file = directory / "test.yml"
    file.write_text(json.dumps(whole))  # JSON is valid YAML
    assert PROMTOOL
    done = subprocess.run([PROMTOOL, "test", "rules", str(file)], capture_output=True, text=True, check=False)
    if done.returncode:
        yield done.stdout + done.stderr
