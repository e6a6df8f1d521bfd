from __future__ import annotations

from typing import Any

import pytest

from worker.backends.adapter import Request
from worker.cli.checks.findings import probe_judged, redis_findings
from worker.cli.commands.check import judged, probe_job
from worker.domain.model import Answer, AnswerKind, Job, JobState, Observation, Source

GOOD: dict[str, Any] = {
    "redis_version": "7.2.4",
    "maxmemory_policy": "noeviction",
    "maxmemory": 0,
    "role": "master",
    "aof_enabled": 1,
    "connected_slaves": 1,
}


def verdicts(fsync: str | None = "everysec", **changes: Any) -> dict[str, tuple[str, str]]:
    found = redis_findings({**GOOD, **changes}, fsync, 0.001)
    return {finding.what: (finding.verdict, finding.text) for finding in found}


def test_a_good_redis_has_nothing_wrong() -> None:
    assert {verdict for verdict, _ in verdicts().values()} == {"ok"}


@pytest.mark.parametrize(
    ("changes", "what", "verdict"),
    [
        ({"redis_version": "6.0.16"}, "Redis version", "wrong"),
        ({"maxmemory_policy": "allkeys-lru", "maxmemory": 1_000_000}, "Redis eviction", "wrong"),
        ({"maxmemory_policy": "allkeys-lru"}, "Redis eviction", "warning"),
        ({"role": "slave"}, "Redis role", "wrong"),
        ({"aof_enabled": 0}, "after a crash", "wrong"),
        ({"aof_last_write_status": "err"}, "after a crash", "wrong"),
    ],
    ids=["old", "evicts", "may evict", "replica", "no log", "failing log"],
)
def test_each_weakness_is_found(changes: dict[str, Any], what: str, verdict: str) -> None:
    assert verdicts(**changes)[what][0] == verdict


@pytest.mark.parametrize(
    ("fsync", "verdict", "lost"),
    [
        ("always", "ok", "nothing"),
        ("everysec", "ok", "about the last second"),
        ("no", "warning", "30 seconds"),
        (None, "warning", "does not show"),
    ],
)
def test_says_what_a_crash_would_lose(fsync: str | None, verdict: str, lost: str) -> None:
    told = verdicts(fsync)["after a crash"]

    assert told[0] == verdict
    assert lost in told[1]


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        (Observation(JobState.GONE, "404", Source.OWN), "ok"),
        (Observation(JobState.GONE, "404", Source.UNSURE), "warning"),
        (Observation(JobState.ACTIVE, "RUNNING", Source.OWN), "warning"),
        (Answer(AnswerKind.REFUSED, Source.OWN, 403, detail="no right"), "wrong"),
        (Answer(AnswerKind.REFUSED, Source.CREDENTIAL, 401), "wrong"),
        (Answer(AnswerKind.BUSY, Source.OWN, 429), "warning"),
        (Answer(AnswerKind.UNANSWERED, Source.UNSURE, 502), "wrong"),
        (Answer(AnswerKind.UNANSWERED, Source.NOBODY), "wrong"),
    ],
    ids=["gone", "a-404-of-anybody", "strange", "refused", "unauthorised", "busy", "unanswered", "no-reply"],
)
def test_judges_what_a_backend_says_of_a_strange_job(said: Observation | Answer, verdict: str) -> None:
    assert judged(said, shown=True)[0] == verdict


def test_speaks_of_a_credential_only_where_one_was_shown() -> None:
    seen = Observation(JobState.GONE, "404", Source.OWN)

    assert judged(seen, shown=True)[1] == "it answers and accepts the credential"
    assert judged(seen, shown=False)[1] == "it answers, and asks for no credential"


class Numbers:
    """A backend whose job ids are numbers, and that needs a cluster."""

    steps = None
    params = frozenset({"cluster_id"})

    def problem(self, job: Job) -> str:
        return "" if job.id.isdecimal() and "cluster_id" in job.params else "no"

    def look(self, job: Job) -> Request: ...


def test_asks_each_backend_for_a_job_that_it_could_name() -> None:
    job = probe_job(Numbers())  # type: ignore[arg-type]

    assert (job.id, set(job.params)) == ("0", {"cluster_id"})


@pytest.mark.parametrize(
    ("status", "gone", "verdict", "meaning"),
    [
        pytest.param(404, True, "ok", "404 is taken as proof that a process is gone, so make sure", id="gone"),
        pytest.param(200, False, "warning", "says that a process that can't exist is there", id="there"),
        pytest.param(302, None, "wrong", "says nothing about a process", id="a-redirect"),
        pytest.param(401, None, "wrong", "asked without a credential", id="no-right"),
        pytest.param(503, None, "wrong", "says nothing about a process", id="down"),
    ],
)
def test_says_what_a_probes_answer_about_a_strange_job_means(
    status: int, verdict: str, meaning: str, *, gone: bool | None
) -> None:
    told = probe_judged(status, gone=gone)

    assert told[0] == verdict
    assert told[1].startswith(f"it answers {status}")
    assert meaning in told[1]
