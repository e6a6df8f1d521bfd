"""What jobs really do, and when lies are told about them."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tests.liars.lies import LIES, Lie
from tests.liars.places import Place, ids

DAY = 86400.0
EVER = math.inf


@dataclass(frozen=True, slots=True)
class Window:
    """When a lie is told: after `skip` honest answers of its kind, at most `times`, from `start` for `seconds`.

    `after_yes` counts `start` from the first changing call that had an effect.
    """

    skip: int = 0
    times: float = EVER
    start: float = 0.0
    seconds: float = EVER
    after_yes: bool = False


@dataclass(frozen=True, slots=True)
class Telling:
    """A lie in a life; `on` has the calls that it spoils, `choice` says which of its shapes it takes."""

    lie: Lie
    window: Window
    on: frozenset[str]
    choice: int = 0


@dataclass(frozen=True, slots=True)
class Story:
    """What really happens to a job. `spec` is its script for the simulator, children included.

    `ago` is how many seconds before the life its state began; `gone_after` is when somebody removes its record and
    `process_ends` when a stuck job's remote process dies, both in seconds from the start of the life.
    """

    name: str
    spec: Mapping[str, Any]
    obeys: bool = True
    barred: bool = False
    ago: float = 0.0
    gone_after: float | None = None
    process_ends: float | None = None
    victim: str = ""
    knobs: Mapping[str, Any] = field(default_factory=dict)
    command: Mapping[str, Any] = field(default_factory=dict)
    must: tuple[Telling, ...] = ()


def tell(name: str, choice: int, on: str = "", **window: Any) -> Telling:
    """Plan a lie."""
    lie = LIES[name]
    return Telling(lie, Window(**window), frozenset(on.split()) & lie.verbs if on else lie.verbs, choice)


Maker = Callable[[random.Random, Place, int], Story]


def single(place: Place, number: int, name: str = "", **script: Any) -> Story:
    """Return the story of one job: a named life of the simulator, unless `script` describes the whole life."""
    spec = {"system": place.system, "id": ids(place, number, 1), **script}
    if place.kind == "mrs-v2":
        spec.setdefault("cluster", "c1")
    return Story(name or str(script.get("life", "runs")), spec)


def obedient(dice: random.Random, place: Place, number: int) -> Story:
    """Return a job that stops when it is asked to."""
    return single(place, number, "obedient", cancels_after=dice.choice([0.0, 0.2, 0.5, 1.2]))


def ends(dice: random.Random, place: Place, number: int) -> Story:
    """Return a job that ends by itself around the cancel."""
    how = dice.choice(["succeeds_after", "fails_after"])
    return single(place, number, "ends by itself", **{how: dice.uniform(0.02, 1.5), "cancels_after": 0.8})


def finished(dice: random.Random, place: Place, number: int) -> Story:
    """Return a job that had ended long before."""
    word = "succeeded" if place.system == "oml" else dice.choice(["succeeded", "failed", "cancelled"])
    return replace(single(place, number, "had ended", state=word), ago=7 * DAY)


def stuck(dice: random.Random, place: Place, number: int) -> Story:
    """Return a job that accepts a cancel but never ends; its process may die."""
    dies = dice.choice([None, None, 0.5, 1.5])
    force = {"force": dice.choice(["auto", "attested", "never"])} if place.name == "ess" else {}
    return replace(single(place, number, life="stuck"), obeys=False, process_ends=dies, command=force)


def absent(_dice: random.Random, place: Place, number: int) -> Story:
    """Return a job that never existed."""
    return replace(single(place, number, life="absent"), obeys=False)


def late(dice: random.Random, place: Place, number: int) -> Story:
    """Return a job that its backend shows only after a moment."""
    story = single(place, number, "shown late", cancels_after=0.2)
    return replace(story, must=(tell("not known yet", 0, seconds=dice.uniform(0.05, 0.45)),))


def forbidden(_dice: random.Random, place: Place, number: int) -> Story:
    """Return a job that we have no right to stop."""
    return replace(single(place, number, life="forbidden"), obeys=False, barred=True)


def race(dice: random.Random, place: Place, number: int) -> Story:
    """Return a job that succeeds although it was cancelled."""
    return single(place, number, life="race", cancels_after=dice.uniform(0.1, 0.8))


def waits(dice: random.Random, place: Place, number: int) -> Story:
    """Return a job that has not started."""
    return single(place, number, life="waits", starts_after=dice.choice([0.3, 1.0]))


def checks_in(dice: random.Random, place: Place, number: int) -> Story:
    """Return a stuck job that visibly checks in for a while."""
    script = {"life": "stuck", "checks_in_every": dice.uniform(0.3, 0.6), "check_ins": dice.randint(1, 3)}
    return replace(single(place, number, "checks in", **script), obeys=False, knobs={"ess.check_in_shown": True})


def sync(_dice: random.Random, place: Place, number: int) -> Story:
    """Return a stuck job that is not asynchronous, so that no force is allowed."""
    return replace(single(place, number, life="sync"), obeys=False)


def vanishes(dice: random.Random, place: Place, number: int) -> Story:
    """Return a stuck Sahara job whose record somebody removes while it runs."""
    return replace(stuck(dice, place, number), name="its record is removed", gone_after=dice.uniform(0.1, 1.0))


def falls_back(dice: random.Random, place: Place, number: int) -> Story:
    """Return a Sahara job that goes on running after a failed cancel."""
    story = single(place, number, life="falls_back", falls_back_after=dice.uniform(0.1, 0.5))
    return replace(story, obeys=False)


CHILD: tuple[dict[str, Any], ...] = (
    {},
    {"cancels_after": 1.0},
    {"life": "finished"},
    {"life": "stuck"},
    {"succeeds_after": 0.6},
    {"life": "waits"},
)


def family(dice: random.Random, place: Place, number: int, **last: Any) -> Story:
    """Return an ESS parent with children, the last of which is the victim; sometimes the first has children too."""
    lives: list[Mapping[str, Any]] = [
        *dice.choices(CHILD, k=dice.randint(0, 2)),
        last or dice.choice([{}, {"life": "stuck"}, CHILD[1]]),
    ]
    children = [{"id": ids(place, number, 10 + at), **life} for at, life in enumerate(lives)]
    if len(children) > 1 and dice.random() < 0.3:
        children[0] = {"id": children[0]["id"], "children": [{"id": ids(place, number, 20), "cancels_after": 0.4}]}
    obeys = not any(child.get("life") == "stuck" for child in children)
    story = single(place, number, "family", children=children)
    early = (tell("a parent closed early", 0),) if dice.random() < 0.4 else ()
    knobs = {"ess.page_size": dice.choice([1, 2, 100, 100])}
    return replace(story, obeys=obeys, victim=children[-1]["id"], must=early, knobs=knobs, command={"verb": "cancel"})


STORIES: Mapping[str, tuple[Maker, ...]] = {
    "ess": (
        obedient,
        obedient,
        ends,
        finished,
        stuck,
        absent,
        late,
        forbidden,
        race,
        waits,
        checks_in,
        sync,
        family,
        family,
        family,
        family,
    ),
    "oml": (obedient, obedient, ends, finished, finished, stuck, absent, late, forbidden),
    "mrs": (obedient, obedient, ends, finished, stuck, absent, late, forbidden, race, waits),
    "sahara": (obedient, obedient, ends, finished, stuck, absent, late, forbidden, race, vanishes, falls_back),
}
