"""What happens in a life: number N is a pure function of the seed and N, the same in each process."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from tests.liars.judge import Times
from tests.liars.lies import LIES, LIST, LOOK, PROBE, Lie

FORCE_AFTER, GIVE_UP = 1.0, 4.5
TIMES = Times(poll_max=0.5, believe_after=0.9, force_after=FORCE_AFTER, give_up_after=GIVE_UP)
PATIENT = replace(TIMES, believe_after=3.4, give_up_after=8.0)
"""Where a token service lies: a refused credential is not asked for again at once, which must not count as lasting."""
APPEARS_WITHIN = 0.7
DAY = 86400.0
EVER = math.inf


@dataclass(frozen=True, slots=True)
class Place:
    """One backend: `kind` is what a lie knows of it, `system` its name in the simulator."""

    name: str
    system: str
    config: str
    dialect: str = ""
    times: Times = TIMES
    knobs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """What a lie knows of it."""
        return f"{self.system}-{self.dialect}" if self.dialect else self.system


NONE = 'auth = { type = "none" }'
ESS = {"ess.cancel_delay": 0.3, "ess.force_window": FORCE_AFTER}
SAHARA = {"sahara.engine_delay": 0.3, "sahara.canceling_timeout": 0.5}
TOKENS = {"ess.auth": "bearer", "ess.token_life": 1.0}
OAUTH = (
    'auth = { type = "oauth2_client_credentials", token_url = "http://liar/oauth2/v1/token", '
    'client_id_env = "LIARS_USER", client_secret_env = "LIARS_PASSWORD" }'
)
PLACES = (
    Place("ess", "ess", f'kind = "oracle-ess"\nforce = "auto"\n{NONE}', knobs=ESS),
    Place("ess-probe", "ess", f'kind = "oracle-ess"\nforce = "attested"\n{NONE}', knobs=ESS),
    Place("ess-token", "ess", f'kind = "oracle-ess"\nforce = "auto"\n{OAUTH}', times=PATIENT, knobs=ESS | TOKENS),
    Place("oml-r", "oml", f'kind = "oracle-ml"\n{NONE}'),
    Place("oml-py", "oml", f'kind = "oracle-ml"\nscripts = "py-scripts"\n{NONE}'),
    Place("mrs-v1", "mrs", f'kind = "mrs"\nproject_id = "p1"\n{NONE}', "v1", knobs={"mrs.cancel_delay": 0.3}),
    Place("mrs-v2", "mrs", f'kind = "mrs"\nproject_id = "p1"\ndialect = "v2"\n{NONE}', "v2", knobs={"mrs.cancel_delay": 0.3}),
    Place("sahara-v1", "sahara", f'kind = "sahara"\nproject_id = "p1"\n{NONE}', "v1", knobs=SAHARA),
    Place("sahara-v2", "sahara", f'kind = "sahara"\nproject_id = "p1"\ndialect = "v2"\n{NONE}', "v2", knobs=SAHARA),
)
BY_NAME = {place.name: place for place in PLACES}


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
    """A lie of a life; `on` narrows the calls that it spoils, `choice` says which of its shapes it takes."""

    lie: Lie
    window: Window
    on: frozenset[str]
    choice: int = 0


@dataclass(frozen=True, slots=True)
class Story:
    """What becomes of a job, honestly. `spec` is the simulator's script of it, children included.

    `ago` is when its state began, `gone_after` when somebody removes its record, in seconds from the start of the life;
    `process_ends` is when the remote process of a stuck job dies.
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


@dataclass(frozen=True, slots=True)
class Plan:
    """One life. `asked` is the job, or the child of a family, that the commands name."""

    seed: int
    number: int
    place: Place
    story: Story
    asked: str
    commands: tuple[Mapping[str, Any], ...]
    tellings: tuple[Telling, ...]

    @property
    def verb(self) -> str:
        """What is asked for."""
        return str(self.commands[0]["verb"])

    @property
    def other(self) -> str:
        """A job of somebody else's that has ended."""
        return ids(self.place, self.number, 800)

    @property
    def replay(self) -> str:
        """The command that lives this one life again."""
        return f"python -m tests.liars.run --seed {self.seed} --replay {self.number}"


def ids(place: Place, number: int, at: int) -> str:
    """Return an id of a life; no two lives share one."""
    return str(10**12 + number * 1000 + at) if place.system == "ess" else f"job-{number}-{at}"


def tell(name: str, choice: int, on: str = "", **window: Any) -> Telling:
    """Plan a lie."""
    lie = LIES[name]
    return Telling(lie, Window(**window), frozenset(on.split()) & lie.verbs if on else lie.verbs, choice)


def plan(seed: int, number: int) -> Plan:
    """Return life number N: every other one is made to meet one kind of fault, the rest are mixed freely."""
    dice = random.Random(f"{seed}:{number}")  # noqa: S311 - repeatable dice, no secret
    if number % 2:
        return _mixed(dice, seed, number)
    from tests.liars.themes import THEMES  # noqa: PLC0415 - themes are made of what is here

    turn, at = divmod(number // 2, len(THEMES))
    theme = THEMES[at]
    if turn % theme.every:
        return _mixed(dice, seed, number)
    place = BY_NAME[dice.choice(theme.places)]
    story, tellings = theme.make(dice, place, number)
    return _made(dice, seed, number, place, replace(story, name=f"{theme.name}: {story.name}"), tellings)


def _made(dice: random.Random, seed: int, number: int, place: Place, story: Story, tellings: Sequence[Telling]) -> Plan:
    asked = str(story.command.get("job_id") or story.spec["id"])
    verb = story.command.get("verb") or dice.choices(["cancel", "delete"], [4, 1])[0]
    command = {"backend": place.name, "job_id": asked, "verb": verb, "reason": "liars", "requested_by": "liars"}
    command |= {name: value for name, value in story.command.items() if name != "params"}
    commands: tuple[Mapping[str, Any], ...] = (command,)
    if place.kind == "mrs-v2":
        clusters = story.command.get("params", ["c1"])
        commands = tuple(command | {"params": {"cluster_id": cluster}} for cluster in clusters)
    return Plan(seed, number, place, story, asked, commands, (*story.must, *tellings))


Maker = Callable[[random.Random, Place, int], Story]


def single(dice: random.Random, place: Place, number: int, name: str = "", **script: Any) -> Story:
    """Return the story of one job, by the name of the simulator's life unless the script says all."""
    spec = {"system": place.system, "id": ids(place, number, 1), **script}
    if place.kind == "mrs-v2":
        spec.setdefault("cluster", "c1")
    del dice
    return Story(name or str(script.get("life", "runs")), spec)


def obedient(dice: random.Random, place: Place, number: int) -> Story:
    """Return a job that stops when it is asked to."""
    return single(dice, place, number, "obedient", cancels_after=dice.choice([0.0, 0.2, 0.5, 1.2]))


def ends(dice: random.Random, place: Place, number: int) -> Story:
    """Return a job that ends by itself around the cancel."""
    how = dice.choice(["succeeds_after", "fails_after"])
    return single(dice, place, number, "ends by itself", **{how: dice.uniform(0.02, 1.5), "cancels_after": 0.8})


def finished(dice: random.Random, place: Place, number: int) -> Story:
    """Return a job that had ended long before."""
    word = "succeeded" if place.system == "oml" else dice.choice(["succeeded", "failed", "cancelled"])
    return replace(single(dice, place, number, "had ended", state=word), ago=7 * DAY)


def stuck(dice: random.Random, place: Place, number: int) -> Story:
    """Return a job that takes a cancel and never ends of it; its process may die."""
    dies = dice.choice([None, None, 0.5, 1.5])
    force = {"force": dice.choice(["auto", "attested", "never"])} if place.name == "ess" else {}
    return replace(single(dice, place, number, life="stuck"), obeys=False, process_ends=dies, command=force)


def absent(dice: random.Random, place: Place, number: int) -> Story:
    """Return a job that never was."""
    return replace(single(dice, place, number, life="absent"), obeys=False)


def late(dice: random.Random, place: Place, number: int) -> Story:
    """Return a job that its backend shows a moment late."""
    story = single(dice, place, number, "shown late", cancels_after=0.2)
    return replace(story, must=(tell("not known yet", 0, seconds=dice.uniform(0.05, 0.45)),))


def forbidden(dice: random.Random, place: Place, number: int) -> Story:
    """Return a job that we have no right to stop."""
    return replace(single(dice, place, number, life="forbidden"), obeys=False, barred=True)


def race(dice: random.Random, place: Place, number: int) -> Story:
    """Return a job that ends well although it was cancelled."""
    return single(dice, place, number, life="race", cancels_after=dice.uniform(0.1, 0.8))


def waits(dice: random.Random, place: Place, number: int) -> Story:
    """Return a job that has not begun."""
    return single(dice, place, number, life="waits", starts_after=dice.choice([0.3, 1.0]))


def checks_in(dice: random.Random, place: Place, number: int) -> Story:
    """Return a stuck job that checks in for a while and shows it."""
    script = {"life": "stuck", "checks_in_every": dice.uniform(0.3, 0.6), "check_ins": dice.randint(1, 3)}
    return replace(single(dice, place, number, "checks in", **script), obeys=False, knobs={"ess.check_in_shown": True})


def sync(dice: random.Random, place: Place, number: int) -> Story:
    """Return a stuck job that is not asynchronous, so that no force is allowed."""
    return replace(single(dice, place, number, life="sync"), obeys=False)


def vanishes(dice: random.Random, place: Place, number: int) -> Story:
    """Return a stuck Sahara job whose record somebody removes while it runs."""
    return replace(stuck(dice, place, number), name="its record is removed", gone_after=dice.uniform(0.1, 1.0))


def falls_back(dice: random.Random, place: Place, number: int) -> Story:
    """Return a Sahara job that runs on after a cancel has failed."""
    story = single(dice, place, number, life="falls_back", falls_back_after=dice.uniform(0.1, 0.5))
    return replace(story, obeys=False)


CHILD: tuple[Mapping[str, Any], ...] = (
    {}, {"cancels_after": 1.0}, {"life": "finished"}, {"life": "stuck"}, {"succeeds_after": 0.6}, {"life": "waits"},
)


def family(dice: random.Random, place: Place, number: int, **last: Any) -> Story:
    """Return an ESS parent with children, of whom the last is the victim; grandchildren under the first at times."""
    lives = [*dice.choices(CHILD, k=dice.randint(0, 2)), last or dice.choice([{}, {"life": "stuck"}, CHILD[1]])]
    children = [{"id": ids(place, number, 10 + at), **life} for at, life in enumerate(lives)]
    if len(children) > 1 and dice.random() < 0.3:
        children[0] = {"id": children[0]["id"], "children": [{"id": ids(place, number, 20), "cancels_after": 0.4}]}
    obeys = not any(child.get("life") == "stuck" for child in children)
    story = single(dice, place, number, "family", children=children)
    early = (tell("a parent closed early", 0),) if dice.random() < 0.4 else ()
    knobs = {"ess.page_size": dice.choice([1, 2, 100, 100])}
    return replace(story, obeys=obeys, victim=children[-1]["id"], must=early, knobs=knobs, command={"verb": "cancel"})


STORIES: Mapping[str, tuple[Maker, ...]] = {
    "ess": (obedient, obedient, ends, finished, stuck, absent, late, forbidden, race, waits, checks_in, sync,
            family, family, family, family),
    "oml": (obedient, obedient, ends, finished, finished, stuck, absent, late, forbidden),
    "mrs": (obedient, obedient, ends, finished, stuck, absent, late, forbidden, race, waits),
    "sahara": (obedient, obedient, ends, finished, stuck, absent, late, forbidden, race, vanishes, falls_back),
}
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
"""Where a row makes sense; a row about lists is for families alone, and the others are for all."""
NEVER_FREE = frozenset({"a parent closed early", "not known yet", "many past runs"})


def _fits(lie: Lie, place: Place, story: Story) -> bool:
    if lie.name in NEVER_FREE or (lie.verbs == {LIST} and not story.victim):
        return False
    return lie.name not in ONLY or ONLY[lie.name](place, story)


def window(dice: random.Random, lie: Lie) -> Window:
    """Return when a freely mixed lie is told: a few answers, or for a while."""
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


__all__ = ["BY_NAME", "LOOK", "PLACES", "PROBE", "Plan", "Place", "Story", "Telling", "Window", "ids", "plan", "tell"]
