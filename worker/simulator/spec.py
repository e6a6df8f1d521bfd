"""Builds jobs from plain values, in the one format that the control API, the jobs file and tests share."""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .faults import Fault, Rule, fault_from
from .job import Job, Moment
from .life import life_from
from .systems import COURSES
from .truth import checked_system

if TYPE_CHECKING:
    from pathlib import Path

    from .world import World


def jobs_from(spec: Mapping[str, Any], now: float) -> list[Job]:
    """Build a job, or several with `count` and `{n}` in the id; each is followed by its children.

    Raises:
        ValueError: Something in it cannot be read; the message says what.

    """
    if "count" not in spec:
        return _family(dict(spec), now)
    single = dict(spec)
    count = single.pop("count")
    if not isinstance(count, int) or isinstance(count, bool) or count < 0 or "{n}" not in str(spec.get("id")):
        raise ValueError("'count' takes a number from 0 up and an id with {n} in it")
    numbered = (single | {"id": str(single["id"]).replace("{n}", str(n))} for n in range(1, count + 1))
    return [job for each in numbered for job in _family(each, now)]


def _family(spec: dict[str, Any], now: float) -> list[Job]:
    children = spec.pop("children", [])
    parent = _job(spec, now)
    if not isinstance(children, list):
        raise ValueError("'children' takes a list of ids or of jobs")  # noqa: TRY004  # one kind of error for everything unreadable
    inherited = {"system": parent.system, "parent": parent.id}
    heirs = ((child if isinstance(child, dict) else {"id": child}) | inherited for child in children)
    return [parent, *(job for heir in heirs for job in _family(heir, now))]


def _job(spec: dict[str, Any], now: float) -> Job:
    system = checked_system(str(spec.pop("system", "")))
    job_id = spec.pop("id", None)
    if isinstance(job_id, bool) or not isinstance(job_id, str | int) or job_id == "":
        raise ValueError("a job needs an 'id', a text or a whole number")
    parent, project, cluster = (str(spec.pop(name, "")) for name in ("parent", "project", "cluster"))
    submitter, age = str(spec.pop("submitter", "SIMULATOR")), spec.pop("age", 0)
    if isinstance(age, bool) or not isinstance(age, int | float) or not 0 <= age < math.inf:
        raise ValueError("'age' takes seconds, from 0 up")
    life = life_from(str(spec.pop("life", "runs")), spec)
    course = COURSES[system]
    for word in (life.ends_as, life.race):
        course.word(word)
    created = now - age
    begun = Moment(course.word(life.state), created)
    return Job(system, str(job_id), life, created, begun, parent, project, cluster, submitter)


def add(world: World, spec: Mapping[str, Any], now: float) -> list[Job]:
    """Build jobs and put them into the world; a job with the same system and id is replaced."""
    return [world.put(job) for job in jobs_from(spec, now)]


def load(world: World, path: Path, now: float) -> None:
    """Read a TOML or JSON file with `knobs` (a table), `jobs` and `faults` (lists of tables) into the world.

    Raises:
        ValueError: Something in it cannot be read; the message names every mistake, and the world stays as it was.

    """
    content = _content(path)
    problems = [f"{name}: only knobs, jobs and faults belong here" for name in sorted(set(content) - PARTS.keys())]
    for name, kind in PARTS.items():
        if not isinstance(content.setdefault(name, kind()), kind):
            problems.append(f"{name}: must be {SHAPES[kind]}")
            content[name] = kind()
    knobs, jobs, faults = world.knobs, list[Job](), list[Fault]()
    for group, switches in content["knobs"].items():
        for change in [{name: value} for name, value in switches.items()] if isinstance(switches, dict) else [switches]:
            with _noted(f"knobs.{group}", problems):
                knobs = knobs.changed({group: change})
    for number, spec in enumerate(content["jobs"], 1):
        with _noted(f"job {number}", problems):
            jobs += jobs_from(spec, now)
    for number, spec in enumerate(content["faults"], 1):
        with _noted(f"fault {number}", problems):
            faults.append(fault_from(spec))
    if problems:
        raise ValueError("\n".join(f"{path}: {problem}" for problem in problems))
    world.knobs = knobs
    for job in jobs:
        world.put(job)
    world.faults += map(Rule, faults)


PARTS: Mapping[str, type[dict[str, Any] | list[Any]]] = {"knobs": dict, "jobs": list, "faults": list}
SHAPES = {dict: "a table, such as [knobs.ess]", list: "a list of tables, such as [[jobs]]"}


def _content(path: Path) -> dict[str, Any]:
    text = path.read_text(encoding="utf-8-sig")
    try:
        content = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path}: must be an object with knobs, jobs and faults")  # noqa: TRY004 - as for all mistakes
    return content


@contextmanager
def _noted(place: str, problems: list[str]) -> Iterator[None]:
    """Note a mistake instead of raising it."""
    try:
        yield
    except (ValueError, TypeError) as error:
        problems.append(f"{place}: {error}")
