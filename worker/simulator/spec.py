"""Plain values to jobs: the one shape that the control API, the jobs file and tests share."""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING, Any

from worker.simulator.faults import fault_from
from worker.simulator.job import Job, Moment
from worker.simulator.life import life_from
from worker.simulator.systems import COURSES
from worker.simulator.truth import checked_system

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from worker.simulator.world import World


def jobs_from(spec: Mapping[str, Any], now: float) -> list[Job]:
    """Build a job, or with `count` and `{n}` in the id several, each with its children behind it.

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
    heirs = (child if isinstance(child, dict) else {"id": child} for child in children)
    return [parent, *(job for heir in heirs for job in _family(_heir(heir, parent), now))]


def _heir(spec: dict[str, Any], parent: Job) -> dict[str, Any]:
    return spec | {"system": parent.system, "parent": parent.id}


def _job(spec: dict[str, Any], now: float) -> Job:
    system = checked_system(str(spec.pop("system", "")))
    job_id = spec.pop("id", None)
    if isinstance(job_id, bool) or not isinstance(job_id, str | int) or job_id == "":
        raise ValueError("a job needs an 'id', a text or a whole number")
    parent, project, cluster = (str(spec.pop(name, "")) for name in ("parent", "project", "cluster"))
    life = life_from(str(spec.pop("life", "runs")), spec)
    course = COURSES[system]
    for word in (life.ends_as, life.race):
        course.word(word)
    begun = Moment(course.word(life.state), now)
    return Job(system, str(job_id), life, now, begun, parent=parent, project=project, cluster=cluster)


def add(world: World, spec: Mapping[str, Any], now: float) -> list[Job]:
    """Build jobs and put them into the world; a job with the same system and id is replaced."""
    return [world.put(job) for job in jobs_from(spec, now)]


def load(world: World, path: Path, now: float) -> None:
    """Read a TOML or JSON file with `knobs` (a table), `jobs` and `faults` (lists) into the world.

    Raises:
        ValueError: Something in it cannot be read.

    """
    text = path.read_text(encoding="utf-8-sig")
    content = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
    strange = sorted(set(content) - {"knobs", "jobs", "faults"})
    if strange:
        raise ValueError(f"{path}: only knobs, jobs and faults belong here, not {', '.join(strange)}")
    world.knobs = world.knobs.changed(content.get("knobs", {}))
    for spec in content.get("jobs", []):
        add(world, spec, now)
    for spec in content.get("faults", []):
        world.faults.add(fault_from(spec))
