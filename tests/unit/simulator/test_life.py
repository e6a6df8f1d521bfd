"""What a scripted life makes of a job at a given time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from worker.simulator.ess_state import CANCEL_EFFECTS, COURSE, TERMINAL, cancel_effect
from worker.simulator.job import Job, Moment, moment
from worker.simulator.knobs import EssKnobs
from worker.simulator.life import FIELDS, PRESETS, life_from

T = 1_000_000.0


def job(preset: str = "runs", **script: object) -> Job:
    life = life_from(preset, script)
    return Job("ess", "1", life, T, Moment(COURSE.word(life.state), T))


def state(subject: Job, after: float) -> str:
    return moment(subject, T + after, COURSE, 2.0).state


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        pytest.param({}, [(0, "RUNNING"), (1e9, "RUNNING")], id="runs for ever"),
        pytest.param({"succeeds_after": 10}, [(9.9, "RUNNING"), (10, "SUCCEEDED")], id="succeeds"),
        pytest.param({"fails_after": 10}, [(9.9, "RUNNING"), (10, "ERROR")], id="fails"),
        pytest.param({"ends_after": 10, "ends_as": "warning"}, [(10, "WARNING")], id="ends with a word of its own"),
        pytest.param(
            {"state": "waiting", "starts_after": 5, "succeeds_after": 9},
            [(4, "WAIT"), (5, "RUNNING"), (9, "SUCCEEDED")],
            id="waits",
        ),
        pytest.param({"state": "PAUSED"}, [(0, "PAUSED"), (99, "PAUSED")], id="starts in a raw state"),
    ],
)
def test_a_job_lives_by_its_script(script: dict[str, object], expected: list[tuple[float, str]]) -> None:
    subject = job(**script)

    assert [(after, state(subject, after)) for after, _ in expected] == expected


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        pytest.param({}, [(1.9, "CANCELLING"), (2, "CANCELLED")], id="the system's own delay"),
        pytest.param({"cancels_after": 30}, [(29, "CANCELLING"), (30, "CANCELLED")], id="slow"),
        pytest.param({"stuck": True}, [(1e9, "CANCELLING")], id="stuck"),
        pytest.param({"race": "WARNING"}, [(2, "WARNING")], id="race"),
        pytest.param(
            {"stuck": True, "succeeds_after": 50}, [(49, "CANCELLING"), (50, "SUCCEEDED")], id="ends by itself first"
        ),
        pytest.param(
            {"falls_back_after": 60}, [(59, "CANCELLING"), (60, "RUNNING"), (1e6, "RUNNING")], id="falls back"
        ),
        pytest.param(
            {"falls_back_after": 60, "killed_after": 10},
            [(69, "RUNNING"), (70, "CANCELLED")],
            id="falls back, dies later",
        ),
        pytest.param({"falls_back_after": 60, "fall_backs": 0}, [(2, "CANCELLED")], id="no fall-backs left"),
    ],
)
def test_a_cancelled_job_follows_its_script(script: dict[str, object], expected: list[tuple[float, str]]) -> None:
    subject = job(**script).cancelled("CANCELLING", "RUNNING", T)

    assert [(after, state(subject, after)) for after, _ in expected] == expected


def test_a_final_state_is_kept() -> None:
    subject = replace(job(succeeds_after=5), last=Moment("CANCELLED", T + 1))

    assert moment(subject, T + 100, COURSE, 2.0) == Moment("CANCELLED", T + 1)


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_every_preset_is_a_life(name: str) -> None:
    assert life_from(name, {}) is not None


@pytest.mark.parametrize(
    ("preset", "script"),
    [
        pytest.param("sings", {}, id="unknown preset"),
        pytest.param("runs", {"colour": 1}, id="unknown field"),
        pytest.param("runs", {"cancels_after": -1}, id="negative"),
        pytest.param("runs", {"cancels_after": "3s"}, id="text for a number"),
        pytest.param("runs", {"stuck": 1}, id="number for a flag"),
    ],
)
def test_a_script_that_cannot_be_read_is_refused(preset: str, script: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"life|does not fit"):
        life_from(preset, script)


def test_the_short_forms_are_listed_as_fields() -> None:
    assert {"succeeds_after", "fails_after"} <= set(FIELDS)


def test_ess_knows_twenty_states() -> None:
    assert len(CANCEL_EFFECTS) == 20


@pytest.mark.parametrize("final", sorted(TERMINAL))
def test_a_final_ess_state_refuses_a_cancel(final: str) -> None:
    assert cancel_effect(final, EssKnobs(), is_parent=False) == "refused"


def test_completed_is_not_final() -> None:
    assert cancel_effect("COMPLETED", EssKnobs(), is_parent=False) == "CANCELLING"
