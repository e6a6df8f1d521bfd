"""The report of the chaos bench: from raw events, the simulator's log and the watched records to tables and JSON."""

from __future__ import annotations

import json
import statistics
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.chaos.plan import LEASE, Plan
from tests.chaos.recovery import Held
from tests.chaos.sim import Asked, Fate
from tests.chaos.truth import Case, Event, Findings, check_job, check_sequences

MUST_BE_ZERO = (
    "lost",
    "rejected",
    "unfinished",
    "wrong outcomes",
    "second finished",
    "early forces",
    "blind repeats",
    "hasty repeats",
    "second effects",
    "sequence gaps",
    "events after the end",
    "changing calls after the end",
    "duplicate event ids",
    "orphans",
    "left in Redis",
    "tracebacks in the logs",
    "workers that ended by themselves",
    "failures of the bench",
)
RECOVERY_BAR = 6.0
INTENT_BAR = LEASE + 5


@dataclass
class Run:
    """Everything that a run leaves behind."""

    plans: Sequence[Plan]
    raw: Sequence[tuple[float, bytes]]
    fates: Mapping[str, Mapping[str, Fate]]
    logs: Mapping[str, Mapping[str, Sequence[Asked]]]
    struck: Mapping[str, int]
    records: Sequence[Held]
    messages: Sequence[Held]
    notes: dict[str, Any] = field(default_factory=dict)
    problems: Sequence[tuple[str, str]] = ()


def judge(run: Run) -> Findings:
    """Compare events, the simulator's log and the watched records with each other."""
    findings = Findings()
    for name, text in run.problems:
        findings.add(name, text)
    events: list[Event] = [{**json.loads(raw), "arrived": at} for at, raw in run.raw]
    by_cancellation: dict[str, list[Event]] = defaultdict(list)
    by_job: dict[tuple[str, str], list[Event]] = defaultdict(list)
    known: set[str] = set()
    for event in events:
        findings.figures[event["type"].removeprefix("canceller.").removesuffix(".v1")] += 1
        if "cancellationid" in event:
            by_cancellation[event["cancellationid"]].append(event)
            by_job[event["backend"], event["subject"]].append(event)
            known.update(event["data"]["command_ids"])
        elif ".rejected." in event["type"]:
            findings.add("rejected", str(event["data"]))
    check_sequences(findings, by_cancellation, (event["id"] for event in events))
    for plan in run.plans:
        for _, command_id, _ in plan.commands():
            findings.figures["commands sent"] += 1
            if command_id not in known:
                findings.add("lost", f"{command_id} {plan}")
        check_job(findings, _case(run, plan, by_job), _lists(run, plan.backend))
    for held in run.records:
        if "orphan" in held.places:
            findings.add("orphans", str(held))
    return findings


def _case(run: Run, plan: Plan, by_job: Mapping[tuple[str, str], list[Event]]) -> Case:
    logs = run.logs.get(plan.backend, {})
    by_id = {job_id: logs[job_id] for job_id in plan.family() if job_id in logs}
    log = sorted((one for own in by_id.values() for one in own), key=lambda one: one.number)
    fate = run.fates.get(plan.backend, {}).get(plan.job_id)
    return Case(plan, fate, log, by_id, by_job.get((plan.backend, plan.job_id), []))


def _lists(run: Run, backend: str) -> list[float]:
    if not backend.startswith("oml"):
        return []
    return [one.at for one in run.logs[backend].get("", ()) if one.verb == "list" and not one.fault]


def spread(values: Sequence[float]) -> dict[str, float]:
    """Return how values are distributed."""
    if not values:
        return {"n": 0}
    ordered = sorted(values)
    return {
        "n": len(ordered),
        "p50": round(statistics.median(ordered), 2),
        "p95": round(ordered[min(len(ordered) - 1, int(0.95 * len(ordered)))], 2),
        "max": round(ordered[-1], 2),
    }


def recovery(run: Run) -> dict[str, dict[str, float]]:
    """Return how long it took until the records and messages of killed workers were worked on again."""
    plain = [one for one in run.records if not one.intent]
    intents = [one for one in run.records if one.intent and "parked" not in one.places]
    parked = [one for one in run.records if one.intent and "parked" in one.places]
    return {
        "records": spread([one.seconds for one in plain if one.seconds is not None]),
        "records, until freed": spread([one.freed for one in plain if one.freed is not None]),
        "records with an open intent": spread([one.seconds for one in intents if one.seconds is not None]),
        "the same, of a paused backend": spread([one.seconds for one in parked if one.seconds is not None]),
        "lists of taken messages": spread([one.seconds for one in run.messages if one.seconds is not None]),
        "messages in them": {"n": sum(one.count for one in run.messages)},
        "never": {"n": sum(one.seconds is None for one in (*run.records, *run.messages))},
    }


def check_recovery(findings: Findings, figures: Mapping[str, Mapping[str, float]]) -> None:
    """Check the recovery against the bars."""
    if figures["records"].get("p95", 0) > RECOVERY_BAR:
        findings.add("recovery over its bar", f"records {figures['records']}, {RECOVERY_BAR:g} s at p95")
    if figures["records with an open intent"].get("max", 0) > INTENT_BAR:
        findings.add("recovery over its bar", f"intents {figures['records with an open intent']}, {INTENT_BAR:g} s")
    if figures["never"]["n"]:
        findings.add("recovery over its bar", f"never: {figures['never']}")


def as_json(run: Run, findings: Findings) -> dict[str, Any]:
    """Return the report as plain values."""
    outcomes: dict[str, dict[str, int]] = defaultdict(dict)
    for (backend, outcome), count in sorted(findings.outcomes.items()):
        outcomes[backend][outcome] = count
    times = recovery(run)
    check_recovery(findings, times)
    zeros = {name: findings.zeros.get(name, 0) for name in MUST_BE_ZERO} | dict(findings.zeros)
    return {
        **run.notes,
        "zeros": zeros,
        "figures": dict(sorted(findings.figures.items())),
        "outcomes": dict(outcomes),
        "recovery": times,
        "largest number of effects per verb, jobs": dict(sorted(findings.effects.items())),
        "changing calls per job, jobs": dict(sorted(findings.calls.items())),
        "most changing calls to one job": findings.busiest[1],
        "faults that struck": dict(run.struck),
        "examples": {name: texts for name, texts in findings.examples.items() if texts},
    }


def show(report: Mapping[str, Any]) -> None:
    """Print the report for people."""
    console = Console(width=150)
    for title in ("zeros", "figures", "faults that struck"):
        table = Table("what", "count", title=title)
        for name, count in report[title].items():
            table.add_row(name, f"[red]{count}[/red]" if title == "zeros" and count else str(count))
        console.print(table)
    names = sorted(Counter(name for counts in report["outcomes"].values() for name in counts))
    table = Table("backend", *names, title="outcomes")
    for backend, counts in report["outcomes"].items():
        table.add_row(backend, *(str(counts.get(name, "")) for name in names))
    console.print(table)
    table = Table("held by a killed worker", "n", "p50", "p95", "max", title="seconds until in work again")
    for name, values in report["recovery"].items():
        table.add_row(name, *(str(values.get(column, "")) for column in ("n", "p50", "p95", "max")))
    console.print(table)
    rest = {"zeros", "figures", "faults that struck", "outcomes", "recovery", "examples"}
    console.print({name: value for name, value in report.items() if name not in rest})
    for name, texts in report["examples"].items():
        console.print(f"[red]{name}[/red]")
        for text in texts:
            console.print(f"  {text}", markup=False, highlight=False, soft_wrap=True)
