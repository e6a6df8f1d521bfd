"""Lives that are each built around one kind of fault (`faults.py`); up to half of all lives are of this sort."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Any

from tests.liars.lies import LOOK
from tests.liars.places import Place, ids
from tests.liars.shapes import NOT_A_JOB
from tests.liars.stories import (
    DAY,
    Story,
    Telling,
    absent,
    checks_in,
    ends,
    family,
    finished,
    late,
    obedient,
    single,
    stuck,
    sync,
    tell,
    vanishes,
)

Made = tuple[Story, Sequence[Telling]]
ALL = ("ess", "ess-probe", "oml-r", "oml-py", "mrs-v1", "mrs-v2", "sahara-v1", "sahara-v2")
NAMED = ("oml-r", "oml-py", "mrs-v1", "mrs-v2", "sahara-v1", "sahara-v2")
BARE_MRS = NOT_A_JOB.index(next(one for one in NOT_A_JOB if b"job_execution" in one.body))


@dataclass(frozen=True, slots=True)
class Theme:
    """A kind of fault, the places where it can occur, and the function that makes a life with it."""

    name: str
    places: tuple[str, ...]
    make: Callable[[Random, Place, int], Made]
    every: int = 1
    """It takes part in every n-th turn only: a costly theme has a larger n."""


def _cancel(story: Story, **command: object) -> Story:
    return replace(story, command={**story.command, "verb": "cancel", **command})


def _finished_and_no_job(dice: Random, place: Place, number: int) -> Made:
    lie = tell("a body that is no job", dice.randrange(14), LOOK, times=dice.randint(1, 2))
    return _cancel(finished(dice, place, number)), [lie]


def _absent_and_no_job(dice: Random, place: Place, number: int) -> Made:
    return _cancel(absent(dice, place, number)), [
        tell("a body that is no job", BARE_MRS + dice.randint(0, 1), LOOK, times=1)
    ]


def _followed(dice: Random, place: Place, number: int) -> Made:
    return _cancel(finished(dice, place, number)), [tell("a followed redirect", 0, times=dice.randint(1, 3))]


def _another_body(dice: Random, place: Place, number: int) -> Made:
    return _cancel(stuck(dice, place, number)), [tell("another job's body", 0, LOOK, skip=dice.randint(0, 2), times=1)]


def _another_snapshot(dice: Random, place: Place, number: int) -> Made:
    return _cancel(stuck(dice, place, number)), [tell("another job's snapshot", 0, times=1)]


def _standard_404(dice: Random, place: Place, number: int) -> Made:
    choice = {"ess": 0, "oml": 0, "mrs": 1, "sahara": 2}[place.system]
    return _cancel(stuck(dice, place, number)), [tell("a standard 404", choice, LOOK, skip=1, times=dice.randint(1, 2))]


def _gateway_404(dice: Random, place: Place, number: int) -> Made:
    window: dict[str, Any] = {"start": 0.1, "seconds": dice.uniform(1.2, 1.8), "after_yes": dice.random() < 0.5}
    return _cancel(stuck(dice, place, number)), [tell("a gateway's 404", dice.randrange(7), "look list", **window)]


def _mid_level(dice: Random, place: Place, number: int) -> Made:
    """Ask for a request in the middle of a family; its step is stuck, its record closes early."""
    middle, step = ids(place, number, 2), ids(place, number, 3)
    script = {"life": "stuck"} if dice.random() < 0.7 else {"cancels_after": 1.5}
    children = [{"id": middle, "children": [{"id": step, **script}]}]
    story = single(place, number, "a parent below a parent", children=children)
    story = replace(story, obeys="life" not in script, victim=step)
    return _cancel(story, job_id=middle), [tell("a parent closed early", 0)]


def _kin(dice: Random, place: Place, number: int, *, early: bool = True) -> Story:
    last: dict[str, Any] = dice.choice([{"life": "stuck"}, {"cancels_after": 1.5}])
    story = family(dice, place, number, **last)
    must = (tell("a parent closed early", 0),) if early else ()
    return replace(story, must=must, knobs={"ess.page_size": 100})


def _child_left_out(dice: Random, place: Place, number: int) -> Made:
    return _kin(dice, place, number), [tell("a list without a child", 0, skip=1, times=dice.randint(1, 6))]


def _empty_list(dice: Random, place: Place, number: int) -> Made:
    return _kin(dice, place, number), [tell("an empty list", 0, skip=dice.randint(0, 1), times=1)]


def _unfiltered(dice: Random, place: Place, number: int) -> Made:
    window: dict[str, Any] = {"skip": dice.randint(0, 1), "times": dice.randint(1, 4)}
    return _kin(dice, place, number, early=False), [tell("an unfiltered list", dice.randrange(2), **window)]


def _pages_from_1(dice: Random, place: Place, number: int) -> Made:
    story = _kin(dice, place, number)
    children = [{"id": ids(place, number, 5), "life": "finished"}, *story.spec["children"]]
    return replace(story, spec={**story.spec, "children": children}, knobs={"ess.page_size": 2}), [
        tell("pages from 1", 0)
    ]


def _long_recurrence(_dice: Random, place: Place, number: int) -> Made:
    """A huge number of past runs: 220 pages of children that have ended, and one that still runs."""
    child = ids(place, number, 700)
    children = [{"id": child, "cancels_after": 0.3}]
    story = single(place, number, "a long recurrence", children=children)
    return _cancel(replace(story, victim=child)), [tell("many past runs", 0)]


def _wrong_probe(dice: Random, place: Place, number: int) -> Made:
    story = _cancel(replace(stuck(dice, place, number), process_ends=dice.choice([None, None, 3.0])))
    return story, [tell("the probe is wrong", 0, skip=dice.randint(0, 2), times=1)]


def _refuted_word(dice: Random, place: Place, number: int) -> Made:
    return _cancel(checks_in(dice, place, number), force="attested", remote_stopped=True), []


def _texts(dice: Random, place: Place, number: int) -> Made:
    story = sync(dice, place, number) if dice.random() < 0.5 else stuck(dice, place, number)
    knobs = {"ess.force_window": 60.0, "ess.force_allowed_shown": dice.choice(["full", "absent"])}
    return _cancel(replace(story, knobs=knobs), force="auto"), [tell("texts for booleans", 0)]


def _far_date(dice: Random, place: Place, number: int) -> Made:
    story = checks_in(dice, place, number) if dice.random() < 0.3 else stuck(dice, place, number)
    knobs = {**story.knobs, "ess.force_allowed_shown": dice.choice(["absent", "state"])}
    lie = tell("a Date far off", dice.choice([0, 2]), LOOK, skip=dice.randint(0, 2), times=1)
    return _cancel(replace(story, knobs=knobs), force="auto"), [lie]


def _yes_to_the_ended(dice: Random, place: Place, number: int) -> Made:
    story = finished(dice, place, number)
    if dice.random() < 0.5:
        words = ["cancelled", "succeeded", dice.choice(["succeeded", "failed"])]
        children = [{"id": ids(place, number, 10 + at), "state": word} for at, word in enumerate(words)]
        story = replace(single(place, number, "had ended", state="finished", children=children), ago=7 * DAY)
    return _cancel(story), [tell("a yes to what had ended", 0)]


def _error_for_a_yes(dice: Random, place: Place, number: int) -> Made:
    return _cancel(obedient(dice, place, number)), [
        tell("an error with 200", dice.randrange(3), "cancel delete", times=1)
    ]


def _twins(_dice: Random, place: Place, number: int) -> Made:
    story = single(place, number, "one id in two clusters", cluster="c2", cancels_after=0.2)
    return _cancel(story, params=["c1", "c2"]), []


def _two_words(dice: Random, place: Place, number: int) -> Made:
    return _cancel(dice.choice([ends, obedient, finished])(dice, place, number)), [tell("two words for a result", 0)]


def _wall(dice: Random, place: Place, number: int) -> Made:
    name = dice.choice(["a wall's refusal", "the API's own 401"])
    on = dice.choice(["look", "cancel delete"])
    return obedient(dice, place, number), [tell(name, dice.randrange(13), on, skip=0, times=2)]


def _no_token(dice: Random, place: Place, number: int) -> Made:
    window: dict[str, Any] = {"start": dice.choice([0.0, 0.9]), "seconds": 0.3}
    return _cancel(stuck(dice, place, number)), [tell("no token", dice.randrange(8), **window)]


def _busy(dice: Random, place: Place, number: int) -> Made:
    on = dice.choice(["look", "cancel delete"])
    return obedient(dice, place, number), [tell("busy, with Retry-After", dice.randrange(4), on, times=1)]


def _lasting(dice: Random, place: Place, number: int) -> Made:
    return _cancel(obedient(dice, place, number)), [tell("a lasting refusal", 0)]


def _vanishes(dice: Random, place: Place, number: int) -> Made:
    story = vanishes(dice, place, number)
    if dice.random() < 0.3:
        story = replace(stuck(dice, place, number), command={"verb": "delete"})
    return story, []


def _forgotten(dice: Random, place: Place, number: int) -> Made:
    return dice.choice([finished, ends])(dice, place, number), [tell("the engine has forgotten", dice.randrange(2))]


def _suspend_failed(dice: Random, place: Place, number: int) -> Made:
    lie = tell("SUSPENDFAILED, and it goes on", 0, skip=dice.randint(0, 2), times=dice.randint(1, 2))
    return _cancel(stuck(dice, place, number)), [lie]


def _late(dice: Random, place: Place, number: int) -> Made:
    return _cancel(late(dice, place, number)), []


FAMILIES = ("ess", "ess-token")
THEMES = (
    Theme("A1 finished", ("oml-r", "oml-py"), _finished_and_no_job),
    Theme("A1 absent", ("mrs-v1", "mrs-v2"), _absent_and_no_job),
    Theme("F11", ("oml-r", "oml-py"), _followed),
    Theme("A2", NAMED, _another_body),
    Theme("A2 snapshot", ("sahara-v1", "sahara-v2"), _another_snapshot),
    Theme("A3", ALL, _standard_404),
    Theme("F2", ALL, _gateway_404),
    Theme("A4", ("ess",), _mid_level),
    Theme("A5 left out", FAMILIES, _child_left_out),
    Theme("A5 empty", FAMILIES, _empty_list),
    Theme("A5 unfiltered", ("ess",), _unfiltered),
    Theme("A5 pages", ("ess",), _pages_from_1),
    Theme("A6", ("ess",), _long_recurrence, every=4),
    Theme("A7", ("ess-probe",), _wrong_probe),
    Theme("A8", ("ess",), _refuted_word),
    Theme("A9", ("ess",), _texts),
    Theme("A10", ("ess",), _far_date),
    Theme("A11", ("ess", "ess-token"), _yes_to_the_ended),
    Theme("A12", ("ess", "oml-r", "mrs-v2", "sahara-v1", "sahara-v2"), _error_for_a_yes),
    Theme("A13", ("mrs-v2",), _twins),
    Theme("A15", ("mrs-v2",), _two_words),
    Theme("F3", ALL, _wall),
    Theme("F3 token", ("ess-token",), _no_token),
    Theme("F9", ("mrs-v2",), _lasting),
    Theme("F10", ALL, _busy),
    Theme("R1", ("sahara-v1", "sahara-v2"), _vanishes),
    Theme("R2", ("sahara-v1",), _forgotten),
    Theme("R5", ("sahara-v1", "sahara-v2"), _suspend_failed),
    Theme("G7", ALL, _late),
)
