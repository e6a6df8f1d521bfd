"""A short run of the liars' fuzzer, and tests of its judge and plans.

The long run is a separate command: `python -m tests.liars.run --lives 50000`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from redis.asyncio import Redis

from tests.liars.faults import FAULTS
from tests.liars.judge import RULES, Called, Case, Member, Times, findings
from tests.liars.lies import LIES
from tests.liars.lives import Lives
from tests.liars.places import PLACES
from tests.liars.plans import plan
from tests.liars.themes import THEMES

LIVES, SEED = 400, 20_279
START = 1_800_000_000.0
TIMES = Times(poll_max=0.5, believe_after=1.0, force_after=1.0, give_up_after=4.0)


def event(name: str, at: float, sequence: int, **data: Any) -> Mapping[str, Any]:
    time = datetime.fromtimestamp(START + at, UTC).isoformat(timespec="milliseconds")
    return {"type": f"canceller.cancellation.{name}.v1", "time": time, "sequence": f"{sequence:010}", "data": data}


def end(outcome: str = "cancelled", evidence: str = "reported", at: float = 2.0, *, safe: bool = True) -> list[Any]:
    told = {"outcome": outcome, "evidence": evidence, "safe_to_rerun": safe}
    return [event("accepted", 0.0, 1), event("finished", at, 2, **told)]


def call(verb: str, at: float, **more: Any) -> Called:
    return Called(START + at, verb, **{"job_id": "1", **more})


LOOKS = [call("look", 0.5 * n) for n in range(1, 9)]
RUNS, STOPPED = Member("1", alive=True), Member("1", alive=False, ended_at=START + 1.0)
HONEST = Case(
    verb="cancel",
    kind="ess",
    times=TIMES,
    asked=[("1", "")],
    members=[STOPPED],
    calls=[call("cancel", 0.1, effect=True), call("look", 1.5)],
    events=end(),
)


def timed_out(**more: Any) -> Case:
    return replace(HONEST, events=end("timed_out", "none", at=4.0, safe=False), **more)


def refused(*calls: Called, outcome: str = "refused") -> Case:
    return replace(HONEST, members=[RUNS], events=end(outcome, "none", safe=False), calls=calls)


def doubted(*times: float, says: str = "refused") -> list[Called]:
    return [call("look", at, lie="a wall's refusal", says=says, told=403) for at in times]


CAUGHT = {
    "reported while it runs": ("a false end", replace(HONEST, members=[RUNS])),
    "probed while a child runs": (
        "a false end",
        replace(HONEST, members=[STOPPED, Member("2", alive=True)], events=end("force_cancelled", "probed")),
    ),
    "a word that was refuted": (
        "a false end",
        replace(HONEST, members=[RUNS], word="refuted", events=end("force_cancelled", "attested")),
    ),
    "an end of a job that never was": (
        "an invented end",
        replace(HONEST, members=[Member("1", alive=False, known=False)], events=end("already_finished")),
    ),
    "a cancel of another job": ("a call to a stranger", replace(HONEST, calls=[call("cancel", 0.1, job_id="9")])),
    "a cancel of a child": (
        "a call to a stranger",
        replace(HONEST, members=[STOPPED, replace(STOPPED, job_id="2")], calls=[call("cancel", 0.1, job_id="2")]),
    ),
    "a record deleted for a cancel": ("a result destroyed", replace(HONEST, kind="mrs", calls=[call("delete", 0.1)])),
    "a result deleted after a look": (
        "a result destroyed",
        replace(HONEST, kind="oml", calls=[LOOKS[0], call("delete", 0.6, effect=True, ended_at=START + 0.1)]),
    ),
    "a force too early": ("an early force", replace(HONEST, calls=[call("force", 0.5, silence=0.4)])),
    "a force against a no": ("a forbidden force", replace(HONEST, calls=[call("force", 2.0, forbids=True)])),
    "a cancel at every look": (
        "calls without bound",
        replace(HONEST, calls=[call("cancel", 0.1 * n) for n in range(TIMES.most_calls + 1)]),
    ),
    "no end": ("no end in time", replace(HONEST, events=end()[:1])),
    "an end too late": ("no end in time", replace(HONEST, events=end(at=6.0))),
    "two ends": ("no end in time", replace(HONEST, events=[*end(), event("finished", 2.1, 3, outcome="cancelled")])),
    "a gap in the sequence": ("no end in time", replace(HONEST, events=[end()[0], event("finished", 2.0, 3)])),
    "a cancel after the end": ("a call after the end", replace(HONEST, calls=[call("cancel", 2.5)])),
    "an effect of last week": (
        "another's end claimed",
        replace(HONEST, members=[replace(STOPPED, ended_at=START - 600_000.0)]),
    ),
    "refused after one look": ("gave in to a passing lie", refused(*doubted(0.1))),
    "refused after three looks at once": ("gave in to a passing lie", refused(*doubted(0.1, 0.2, 0.3))),
    "unknown after two looks": (
        "gave in to a passing lie",
        refused(*doubted(0.1, 2.0, says="gone"), outcome="not_found"),
    ),
    "refused by looks after a yes": (
        "gave in to a passing lie",
        refused(call("cancel", 0.1, effect=True), *doubted(0.2, 0.8, 1.4)),
    ),
    "blind to an end": ("an end missed", timed_out(calls=LOOKS)),
    "content with an error": (
        "a stop missed",
        timed_out(members=[RUNS], calls=[call("cancel", 0.1, lie="an error with 200"), *LOOKS]),
    ),
    "another address left out": (
        "a job never asked for",
        replace(HONEST, asked=[("1", ""), ("1", "c2")], events=end("not_found", "none", safe=False)),
    ),
    "a look before Retry-After": (
        "Retry-After ignored",
        replace(HONEST, calls=[call("cancel", 0.1, told=503, retry_after=1.0), call("look", 0.3)]),
    ),
}
FINE = {
    "an honest life": HONEST,
    "unverified while it runs": replace(HONEST, members=[RUNS], events=end(evidence="unverified", safe=False)),
    "a word that holds": replace(HONEST, members=[RUNS], word="holds", events=end("force_cancelled", "attested")),
    "a child forced": replace(
        HONEST,
        members=[STOPPED, replace(STOPPED, job_id="2")],
        calls=[*HONEST.calls, call("force", 2.0, job_id="2", silence=1.0)],
    ),
    "a delete that was asked for": replace(HONEST, verb="delete", calls=[call("delete", 0.1)]),
    "a job that ended after the look": replace(
        HONEST, kind="oml", calls=[LOOKS[0], call("delete", 0.6, effect=True, ended_at=START + 0.55)]
    ),
    "refused after it has lasted": refused(*doubted(0.1, 0.7, 1.3)),
    "refused by the backend itself": refused(call("cancel", 0.1, told=403)),
    "refused for good under other lies": refused(
        *doubted(0.1, says="gone"), call("cancel", 0.2, lie="a lasting refusal", says="for good", told=400)
    ),
    "given up while it runs": timed_out(members=[RUNS], obeys=False, calls=LOOKS),
    "given up under a lie": timed_out(calls=doubted(*(0.5 * n for n in range(8)))),
    "late on a late machine": replace(HONEST, events=end(at=5.5), lag=0.5),
}


@pytest.mark.parametrize("name", CAUGHT)
def test_the_judge_catches(name: str) -> None:
    found, case = CAUGHT[name]

    assert found in {one for one, _ in findings(case)}


@pytest.mark.parametrize("name", FINE)
def test_the_judge_lets_pass(name: str) -> None:
    assert [] == findings(FINE[name])


def test_each_rule_of_the_judge_is_shown_to_catch_something() -> None:
    assert set(RULES) == {found for found, _ in CAUGHT.values()}


def test_a_plan_comes_from_its_seed_and_number_alone() -> None:
    numbers = range(300)

    assert [plan(7, number) for number in numbers] == [plan(7, number) for number in reversed(numbers)][::-1]


def test_another_seed_makes_other_lives() -> None:
    assert [plan(7, number) for number in range(20)] != [plan(8, number) for number in range(20)]


def lies_in(numbers: Iterable[int]) -> set[str]:
    return {one.lie.name for number in numbers for one in plan(SEED, number).tellings}


def test_the_short_run_tells_each_lie_follows_each_theme_and_asks_each_backend() -> None:
    lives = [plan(SEED, number) for number in range(LIVES)]

    assert set(LIES) == lies_in(range(LIVES))
    assert {theme.name for theme in THEMES} <= {one.story.name.partition(": ")[0] for one in lives}
    assert {place.name for place in PLACES} == {one.place.name for one in lives}


def test_each_theme_and_lie_is_named_after_known_faults() -> None:
    named = {theme.name.partition(" ")[0] for theme in THEMES}
    named |= {fault for lie in LIES.values() for fault in lie.faults}

    assert named <= FAULTS.keys()


async def test_lives_full_of_lies_end_truly(redis: Redis, redis_url: str) -> None:
    await redis.flushall()
    lived = [one async for one in Lives(redis_url, SEED, at_once=200).live(range(LIVES))]
    wrong = [f"{name}: {text}: {one.replay}" for one in lived for name, text in one.findings]

    assert LIVES == len(lived)
    assert not wrong, "\n".join(wrong)
