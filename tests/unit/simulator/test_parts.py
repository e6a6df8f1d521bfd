"""Clock, switches, faults, tokens, routing and files, each on its own."""

from __future__ import annotations

import dataclasses
import re
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from worker.simulator.clock import Clock, iso_utc
from worker.simulator.faults import KINDS, Fault, Rule, fault_for, fault_from
from worker.simulator.knobs import CHOICES, Knobs
from worker.simulator.spec import jobs_from, load
from worker.simulator.tokens import Tokens
from worker.simulator.wire import Call, Reply, Route, match
from worker.simulator.world import World


class Real:
    """The real time, set by hand."""

    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at


def test_the_clock_runs_at_its_speed() -> None:
    real = Real()
    clock = Clock(600, start=1000.0, real=real)
    real.at = 1.0

    assert clock.now() == 1600.0


def test_a_change_of_speed_keeps_the_time() -> None:
    real = Real()
    clock = Clock(600, start=1000.0, real=real)
    real.at = 1.0
    clock.set_speed(0)
    real.at = 99.0

    assert clock.now() == 1600.0


def test_advance_jumps() -> None:
    assert Clock(0, start=5.0).advance(1800) == 1805.0


def test_the_clock_never_jumps_while_another_thread_changes_its_speed() -> None:
    clock, over = Clock(1e3), threading.Event()

    def change() -> None:
        while not over.is_set():
            clock.set_speed(1e6)
            clock.set_speed(1e3)

    changing = threading.Thread(target=change)
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)  # so that threads interleave within a step
    changing.start()
    try:
        times = [clock.now() for _ in range(200_000)]
    finally:
        sys.setswitchinterval(before)
        over.set()
        changing.join()

    assert times == sorted(times)


def test_the_clock_never_goes_back() -> None:
    with pytest.raises(ValueError, match="forward"):
        Clock(0).advance(-1)


def test_times_have_milliseconds_and_a_zone() -> None:
    assert iso_utc(1_763_899_200.25) == "2025-11-23T12:00:00.250Z"


@pytest.mark.parametrize("changes", [{"ess": {"force_window": 60}}, {"ess.force_window": 60}], ids=["nested", "dotted"])
def test_a_knob_changes(changes: dict[str, Any]) -> None:
    assert Knobs().changed(changes).ess.force_window == 60


@pytest.mark.parametrize(
    "changes",
    [
        {"ess.nope": 1},
        {"xyz": {"a": 1}},
        {"ess.times": "local"},
        {"ess.force_window": "30m"},
        {"ess.check_in_shown": 1},
        {"ess": 1},
    ],
    ids=["name", "group", "choice", "type", "flag", "shape"],
)
def test_a_knob_that_cannot_be_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="knob"):
        Knobs().changed(changes)


@pytest.mark.parametrize("path", sorted(CHOICES))
def test_every_choice_names_a_knob_and_holds_its_default(path: str) -> None:
    group, _, name = path.partition(".")

    assert dataclasses.asdict(Knobs())[group][name] in CHOICES[path]


def fired(fault: Fault, calls: int) -> list[bool]:
    rules = [Rule(fault)]
    return [fault_for(rules, "ess", "cancel", "1", "/x/1/cancel") is not None for _ in range(calls)]


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        pytest.param(Fault("reset"), [True, True, True], id="always"),
        pytest.param(Fault("reset", times=1), [True, False, False], id="once"),
        pytest.param(Fault("reset", times=1, skip=1), [False, True, False], id="the second time"),
        pytest.param(Fault("reset", probability=0.0), [False, False, False], id="never"),
        pytest.param(Fault("reset", system="oml"), [False, False, False], id="another system"),
        pytest.param(Fault("reset", verb="look"), [False, False, False], id="another verb"),
        pytest.param(Fault("reset", job_id="2"), [False, False, False], id="another job"),
        pytest.param(Fault("reset", path="/cancel", times=2), [True, True, False], id="by path"),
    ],
)
def test_a_fault_fires_where_and_as_often_as_it_should(fault: Fault, expected: list[bool]) -> None:
    assert fired(fault, 3) == expected


def test_the_same_seed_throws_the_same_dice() -> None:
    fault = Fault("reset", probability=0.5, seed=7)

    assert fired(fault, 50) == fired(fault, 50)
    assert 5 < sum(fired(fault, 50)) < 45


def test_every_kind_of_fault_can_be_made() -> None:
    assert [fault_from({"kind": kind}).kind for kind in KINDS] == list(KINDS)


@pytest.mark.parametrize("spec", [{"kind": "fire"}, {"kind": "reset", "job": "1"}, {"kind": "reset", "times": "x"}, {}])
def test_a_fault_that_cannot_be_read_is_refused(spec: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="fault"):
        fault_from(spec)


def test_a_refresh_stays_inside_the_window() -> None:
    tokens = Tokens()
    first = tokens.issue("oml", 0, 3600, window_ends=5000)
    second = tokens.refresh(first.value, 3000, 3600)

    assert second is not None
    assert second.expires_at == 5000
    assert tokens.refresh(second.value, 5000, 3600) is None


def test_a_revoked_token_is_neither_valid_nor_refreshed() -> None:
    tokens = Tokens()
    token = tokens.issue("oml", 0, 3600)
    tokens.revoke()

    assert tokens.refresh(token.value, 1, 3600) is None


ROUTE = Route("GET", "jobs/{id}", "look", lambda _world, _call: Reply(200))


@pytest.mark.parametrize(
    ("raw", "job_id"),
    [
        pytest.param("/jobs/1", "1", id="plain"),
        pytest.param("/jobs/a%20b%2F..%2Fc%3Fx%3D1%23y", "a b/../c?x=1#y", id="awkward"),
        pytest.param("/jobs/1?q=/a/b", "1", id="with a query"),
    ],
)
def test_an_id_is_one_segment_whatever_it_holds(raw: str, job_id: str) -> None:
    found = match([ROUTE], "GET", Call("GET", raw, 0).parts)

    assert found == (ROUTE, {"id": job_id})


@pytest.mark.parametrize("raw", ["/jobs", "/jobs/", "/jobs/1/2", "/job/1"])
def test_another_path_is_no_match(raw: str) -> None:
    assert match([ROUTE], "GET", Call("GET", raw, 0).parts) is None


def test_children_come_behind_their_parent() -> None:
    made = jobs_from({"system": "ess", "id": 1, "children": [2, {"id": 3, "life": "stuck"}]}, 0)

    assert [(job.id, job.parent, job.life.stuck) for job in made] == [
        ("1", "", False),
        ("2", "1", False),
        ("3", "1", True),
    ]


def test_count_makes_many() -> None:
    assert [job.id for job in jobs_from({"system": "oml", "id": "j-{n}", "count": 3}, 0)] == ["j-1", "j-2", "j-3"]


def test_a_file_brings_knobs_jobs_and_faults(tmp_path: Path) -> None:
    path = tmp_path / "jobs.toml"
    path.write_text('[knobs.ess]\nforce_window = 60\n[[jobs]]\nsystem = "ess"\nid = 1\n[[faults]]\nkind = "reset"\n')
    world = World()
    load(world, path, 0)

    assert (world.knobs.ess.force_window, list(world.jobs), len(world.faults)) == (60, [("ess", "1")], 1)


WRONG = """
[knobs.ess]
force_window = "soon"
times = "odd"
[knobs.oml]
no_such_knob = 1
[[jobs]]
system = "ess"
id = 1
[[jobs]]
system = "ess"
id = 2
life = "stuk"
[[jobs]]
system = "es"
id = 3
[[faults]]
kind = "rest"
"""


def test_a_file_with_mistakes_names_each_of_them_and_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "jobs.toml"
    path.write_text(WRONG, encoding="utf-8")
    world = World()
    with pytest.raises(ValueError, match=r"jobs\.toml") as refused:
        load(world, path, 0)

    places = [line.removeprefix(f"{path}: ").partition(":")[0] for line in str(refused.value).splitlines()]
    assert places == ["knobs.ess", "knobs.ess", "knobs.oml", "job 2", "job 3", "fault 1"]
    assert (world.jobs, world.knobs) == (World().jobs, World().knobs)


SHAPES = {
    "a list": ("jobs.json", "[1]", "must be an object"),
    "no TOML": ("jobs.toml", "[[jobs", "jobs.toml: "),
    "a table of jobs": ("jobs.json", '{"jobs": {"id": 1}}', "jobs: must be a list of tables"),
    "a list of knobs": ("jobs.json", '{"knobs": [1]}', "knobs: must be a table"),
    "a job that is a text": ("jobs.json", '{"jobs": ["1"]}', "job 1: "),
    "something else": ("jobs.json", '{"job": []}', "job: only knobs, jobs and faults belong here"),
}


@pytest.mark.parametrize(("name", "text", "problem"), SHAPES.values(), ids=SHAPES)
def test_a_file_of_another_shape_is_a_mistake_in_words(name: str, text: str, problem: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text, encoding="utf-8")

    with pytest.raises(ValueError, match=re.escape(problem)):
        load(World(), tmp_path / name, 0)


def test_the_guides_file_is_read(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "worker/guide/simulator.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```toml\n(# jobs\.toml.*?)```", page, re.DOTALL)
    path = tmp_path / "jobs.toml"
    path.write_text(example, encoding="utf-8")
    world = World()
    load(world, path, 0)

    assert world.jobs
