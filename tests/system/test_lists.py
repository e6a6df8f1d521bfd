"""Hundreds of jobs on one backend, cancelled in one message by a real worker: lists replace most looks."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from support.cell import cell

BACKENDS = """
[backends.ess]
kind = "oracle-ess"
base_url = "{ess}"
auth = { type = "none" }
poll = { first = "500ms", max = "500ms" }
"""
RUNS, RACES, FINISHED, ABSENT = 280, 10, 9, 1


def test_hundreds_of_jobs_end_right_with_a_fraction_of_the_looks(tmp_path: Path) -> None:
    lives = ["runs"] * RUNS + ["race"] * RACES + ["finished"] * FINISHED + ["absent"] * ABSENT
    jobs = {str(number): life for number, life in enumerate(lives, 1000)}
    with cell(tmp_path, BACKENDS, knobs={"ess": {"cancel_delay": 4.0}}) as one:
        for job_id, life in jobs.items():
            one.simulator.add_job("ess", job_id, life)
        one.start_worker()
        commands = [{"verb": "cancel", "backend": "ess", "job_id": job_id} for job_id in jobs]
        one.send("submit", commands=commands)
        one.wait_finished(len(jobs))
        one.check_sequences()

        ended = {event["subject"]: event["outcome"] for event in one.of("finished")}
        outcomes = {
            "runs": "cancelled",
            "race": "completed_anyway",
            "finished": "already_finished",
            "absent": "not_found",
        }
        assert ended == {job_id: outcomes[life] for job_id, life in jobs.items()}

        asked = Counter(entry.verb for entry in one.simulator.log("ess"))
        polls = sum(event["data"]["calls"]["look"] for event in one.of("finished"))
        assert (asked["cancel"], asked["force"]) == (len(jobs), 0)
        assert asked["list"] >= 1
        assert (asked["list"] + asked["look"]) * 5 <= polls, (asked, polls)
