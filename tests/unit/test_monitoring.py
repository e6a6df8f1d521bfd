"""The alert rules and the dashboard ask for metrics that exist, and the guide explains each alert."""

from __future__ import annotations

import re
from collections.abc import Iterator

import promql_parser
import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric
from support.cell import ROOT
from support.prometheus import ALERTS, PROMTOOL, check_rules, panels, rules

from worker.observability.observer import CallMade, MessageHandled
from worker.observability.worker_metrics import WorkerMetrics
from worker.store.totals import Totals
from worker.views.deployment_metrics import Counted

GUIDE = (ROOT / "worker/guide/monitoring.md").read_text(encoding="utf-8")
TOTALS = Totals(
    open={("ess", "active", "interactive"): 1},
    oldest_cancelling={"ess": 0.0},
    gates_held={"ess": 0},
    overdue={"ess": 0},
    breaker_open={"ess": 0},
    workers=1,
    dead_letters=0,
    memory=0.0,
    waiting=0,
    sink_lags={"billing": 0.0},
)
ENDINGS = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum"), "gauge": ("",)}
OURS = "canceller_"


def metrics() -> list[Metric]:
    """All metrics of a worker and of a deployment."""
    worker = WorkerMetrics(["ess"])
    worker.note(CallMade("ess", "look", "accepted", 0.1))
    worker.note(MessageHandled("ess", "cancel", "accepted", None, 0.1))
    return [*worker.registry.collect(), *Counted(TOTALS).collect()]


SERIES = {f"{one.name}{ending}": one for one in metrics() for ending in ENDINGS[one.type]}
LABELS = {
    "canceller_commands": {"backend", "verb", "verdict"},
    "canceller_finished": {"backend", "outcome", "evidence"},
    "canceller_calls": {"backend", "action", "kind"},
    "canceller_open": {"backend", "state", "lane"},
    "canceller_oldest_cancelling_seconds": {"backend"},
    "canceller_gates_held": {"backend"},
    "canceller_overdue": {"backend"},
    "canceller_breaker_open": {"backend"},
    "canceller_sink_lag_seconds": {"sink"},
}
"""The labels of metrics that have any, apart from those that Prometheus adds."""
QUERIES = {rule["alert"]: rule["expr"] for rule in rules()} | {
    f"{title} {number}": query for title, several in panels().items() for number, query in enumerate(several, 1)
}


def selectors(expression: object) -> Iterator[promql_parser.VectorSelector]:
    """Yield the selectors of series in a query."""
    if isinstance(expression, promql_parser.VectorSelector):
        yield expression
    elif isinstance(expression, promql_parser.MatrixSelector):
        yield expression.vector_selector
    for part in ("expr", "lhs", "rhs"):
        if hasattr(expression, part):
            yield from selectors(getattr(expression, part))
    for argument in getattr(expression, "args", None) or ():
        yield from selectors(argument)


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES.keys())
def test_a_query_selects_series_that_exist_by_labels_that_they_have(query: str) -> None:
    found = list(selectors(promql_parser.parse(query)))

    assert found
    for one in found:
        assert one.name in SERIES
        known = LABELS.get(SERIES[one.name].name, set())
        assert {matcher.name for matcher in one.matchers.matchers} <= known


@pytest.mark.parametrize("query", QUERIES.values(), ids=QUERIES.keys())
def test_a_query_groups_by_labels_that_exist(query: str) -> None:
    grouped = {name for names in re.findall(r"\bby \(([^)]*)\)", query) for name in names.split(", ")}
    known = {"le", "instance"}.union(*LABELS.values())

    assert grouped <= known


@pytest.mark.parametrize("one", metrics(), ids=lambda one: one.name)
def test_a_metric_has_its_labels_and_says_what_it_means(one: Metric) -> None:
    if one.name.startswith(OURS):
        assert all(sample.labels.keys() - {"le"} == LABELS.get(one.name, set()) for sample in one.samples)
        assert one.documentation.endswith(".")


@pytest.mark.parametrize("name", sorted(name for name in SERIES if name.startswith(OURS)))
def test_every_metric_is_in_the_guide(name: str) -> None:
    assert f"`{name.removesuffix('_bucket').removesuffix('_count').removesuffix('_sum')}" in GUIDE


@pytest.mark.parametrize("one", [one for one in metrics() if one.name.startswith(OURS)], ids=lambda one: one.name)
def test_every_metric_has_a_panel(one: Metric) -> None:
    shown = [
        selected.name
        for several in panels().values()
        for query in several
        for selected in selectors(promql_parser.parse(query))
    ]

    assert {f"{one.name}{ending}" for ending in ENDINGS[one.type]} & set(shown)


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_every_alert_names_the_section_of_the_guide_that_says_what_to_do(rule: dict[str, dict[str, str]]) -> None:
    name = rule["alert"]

    assert rule["annotations"]["runbook"] == f"canceller guide monitoring, section {name}"
    assert rule["annotations"]["summary"].endswith(".")
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert f"\n### {name}\n" in GUIDE


def test_every_alert_is_in_the_table_of_the_guide() -> None:
    assert re.findall(r"^\| \[(\w+)\]\(#(\w+)\)", GUIDE, re.MULTILINE) == [
        (rule["alert"], rule["alert"].lower()) for rule in rules()
    ]


@pytest.mark.skipif(PROMTOOL is None, reason="promtool (Debian: prometheus) is not on PATH")
def test_prometheus_takes_the_rules() -> None:
    done = check_rules(ALERTS)

    assert done.returncode == 0, done.stdout + done.stderr


def test_nothing_of_ours_is_registered_for_all_of_the_process() -> None:
    one, other = WorkerMetrics(["ess"]), WorkerMetrics(["ess"])

    assert isinstance(one.registry, CollectorRegistry)
    assert one.registry is not other.registry
