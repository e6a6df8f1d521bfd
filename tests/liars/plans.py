"""What happens in a life: life number N is a pure function of the seed and N, the same in each process."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tests.liars.lies import LIES, LIST, Lie
from tests.liars.places import BY_NAME, PLACES, Place, ids
from tests.liars.stories import STORIES, Story, Telling, Window
from tests.liars.themes import THEMES


@dataclass(frozen=True, slots=True)
class Plan:
    """One life. `job_id` is the job, or the child of a family, that the commands name."""

    seed: int
    number: int
    place: Place
    story: Story
    job_id: str
    commands: tuple[Mapping[str, Any], ...]
    tellings: tuple[Telling, ...]

    @property
    def verb(self) -> str:
        """What is asked for."""
        return str(self.commands[0]["verb"])

    @property
    def other(self) -> str:
        """Somebody else's job, which has ended."""
        return ids(self.place, self.number, 800)

    @property
    def replay(self) -> str:
        """The command that lives this one life again."""
        return f"python -m tests.liars.run --seed {self.seed} --replay {self.number}"


def plan(seed: int, number: int) -> Plan:
    """Return life number N: every other one is built around one kind of fault, the rest are mixed freely."""
    dice = random.Random(f"{seed}:{number}")  # noqa: S311 - repeatable dice, no secret
    if number % 2:
        return _mixed(dice, seed, number)
    turn, at = divmod(number // 2, len(THEMES))
    theme = THEMES[at]
    if turn % theme.every:
        return _mixed(dice, seed, number)
    place = BY_NAME[dice.choice(theme.places)]
    story, tellings = theme.make(dice, place, number)
    return _made(dice, seed, number, place, replace(story, name=f"{theme.name}: {story.name}"), tellings)


def _made(dice: random.Random, seed: int, number: int, place: Place, story: Story, tellings: Sequence[Telling]) -> Plan:
    job_id = str(story.command.get("job_id") or story.spec["id"])
    verb = story.command.get("verb") or dice.choices(["cancel", "delete"], [4, 1])[0]
    command = {"backend": place.name, "job_id": job_id, "verb": verb, "reason": "liars", "requested_by": "liars"}
    command |= {name: value for name, value in story.command.items() if name != "params"}
    commands: tuple[Mapping[str, Any], ...] = (command,)
    if place.kind == "mrs-v2":
        clusters = story.command.get("params", ["c1"])
        commands = tuple(command | {"params": {"cluster_id": cluster}} for cluster in clusters)
    return Plan(seed, number, place, story, job_id, commands, (*story.must, *tellings))


ONLY: Mapping[str, Callable[[Place, Story], bool]] = {
    "a followed redirect": lambda place, _: place.system == "oml",
    "another job's snapshot": lambda place, _: place.system == "sahara",
    "the probe is wrong": lambda place, _: place.name == "ess-probe",
    "two words for a result": lambda place, _: place.kind == "mrs-v2",
    "no token": lambda place, _: place.name == "ess-token",
    "a lasting refusal": lambda place, _: place.kind == "mrs-v2",
    "an old body": lambda place, story: place.system != "oml" and story.name != "checks in",
    "the engine has forgotten": lambda place, _: place.kind == "sahara-v1",
    "SUSPENDFAILED, and it goes on": lambda place, story: place.system == "sahara" and not story.obeys,
    "a list without a child": lambda _, story: story.knobs.get("ess.page_size") == 100,
    "an empty list": lambda _, story: story.knobs.get("ess.page_size") == 100,
    "a yes to what had ended": lambda place, _: place.system == "ess",
    "texts for booleans": lambda place, _: place.system == "ess",
    "no Date": lambda place, _: place.system == "ess",
    "a Date far off": lambda place, _: place.system == "ess",
    "a Date that stands still": lambda place, _: place.system == "ess",
}
"""The places and stories to which a row is limited; a row about lists is for families only, all others are for all."""
NEVER_FREE = frozenset({"a parent closed early", "not known yet", "many past runs"})


def _fits(lie: Lie, place: Place, story: Story) -> bool:
    if lie.name in NEVER_FREE or (lie.verbs == {LIST} and not story.victim):
        return False
    return lie.name not in ONLY or ONLY[lie.name](place, story)


def window(dice: random.Random, lie: Lie) -> Window:
    """Return when a freely mixed lie is told: for a few answers, or for a while."""
    if lie.habit or lie.name == "a lasting refusal":
        return Window()
    if lie.name in {"the probe is wrong", "a Date far off"}:
        return Window(skip=dice.randint(0, 4), times=1)
    if lie.name == "an empty list":
        return dice.choice([Window(times=1), Window(skip=1, times=dice.randint(1, 4))])
    if lie.name == "a list without a child":
        return Window(skip=1, times=dice.randint(1, 5))
    if lie.name == "no token":
        return Window(start=dice.choice([0.0, 0.5]), seconds=dice.uniform(0.05, 0.4))
    if dice.random() < 0.5:
        return Window(skip=dice.randint(0, 3), times=dice.randint(1, 2))
    seconds = dice.choice([dice.uniform(0.1, 0.6), dice.uniform(1.0, 2.0)])
    return Window(start=dice.uniform(0.0, 1.0), seconds=seconds, after_yes=dice.random() < 0.5)


def _mixed(dice: random.Random, seed: int, number: int) -> Plan:
    place = dice.choice(PLACES)
    story = dice.choice(STORIES[place.system])(dice, place, number)
    rows = [lie for lie in LIES.values() if _fits(lie, place, story)]
    chosen = dice.sample(rows, k=dice.choices([1, 2, 3], [14, 5, 1])[0])
    lists = [lie for lie in chosen if lie.verbs == {LIST}]
    chosen = [lie for lie in chosen if lie not in lists[1:]]
    spared = frozenset({LIST}) if lists else frozenset()  # the first list must have shown all children
    tellings = [
        Telling(lie, window(dice, lie), lie.verbs if lie in lists else lie.verbs - spared, dice.randrange(1000))
        for lie in chosen
    ]
    return _made(dice, seed, number, place, story, tellings)
