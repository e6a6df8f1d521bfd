"""The commands of the chaos bench: command number N is a pure function of the seed and N, the same in each process."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FORCE_AFTER = 5.0
GIVE_UP = 20.0
CHECK_IN_EVERY, CHECK_INS = 2.0, 2
TIMEOUT = 1.0
LEASE = 3 * TIMEOUT + 10


@dataclass(frozen=True)
class Place:
    """One backend: its dialect, the world it lives in, its configuration and the simulator's switches."""

    name: str
    system: str
    config: str
    knobs: Mapping[str, Any] = field(default_factory=dict)
    token_path: str = ""
    job_path: str = "job"


STATIC = {"static_token": "chaos"}
LOGIN = 'username_env = "CHAOS_USER", password_env = "CHAOS_PASSWORD"'
KEYSTONE = f'auth = {{ type = "keystone", url = "{{root}}", {LOGIN}, user_domain = "Default" }}'
FAST = {"cancel_delay": 0.5}
ESS_KNOBS = {"auth": "bearer", "force_window": FORCE_AFTER, **FAST}
ENV = {"CHAOS_USER": "user", "CHAOS_PASSWORD": "password", "CHAOS_TOKEN": "chaos"}

PLACES = (
    Place(
        "ess",
        "ess",
        'kind = "oracle-ess"\nauth = { type = "bearer", token_env = "CHAOS_TOKEN" }',
        {"ess": {**ESS_KNOBS, **STATIC}},
        job_path="requests",
    ),
    Place(
        "ess-family",
        "ess",
        'kind = "oracle-ess"\nauth = { type = "oauth2_client_credentials", token_url = "{root}/oauth2/v1/token", '
        'client_id_env = "CHAOS_USER", client_secret_env = "CHAOS_PASSWORD" }',
        {"ess": ESS_KNOBS},
        job_path="requests",
    ),
    Place(
        "oml-r",
        "oml",
        f'kind = "oracle-ml"\nscripts = "r-scripts"\nauth = {{ type = "oml", {LOGIN} }}',
        {"oml": {"auth": "bearer"}},
    ),
    Place(
        "oml-py",
        "oml",
        'kind = "oracle-ml"\nscripts = "py-scripts"\nauth = { type = "bearer", token_env = "CHAOS_TOKEN" }',
        {"oml": {"auth": "bearer", **STATIC}},
    ),
    Place("mrs-v1", "mrs", f'kind = "mrs"\nproject_id = "p1"\n{KEYSTONE}', {"mrs": {"auth": "token", **FAST}}),
    Place(
        "mrs-v2",
        "mrs",
        'kind = "mrs"\nproject_id = "p1"\ndialect = "v2"\ncluster_id = "c1"\n'
        'auth = { type = "token", token_env = "CHAOS_TOKEN" }',
        {"mrs": {"auth": "token", **STATIC, **FAST}},
    ),
    Place(
        "sahara-v1",
        "sahara",
        f'kind = "sahara"\nproject_id = "p1"\n{KEYSTONE}',
        {"sahara": {"auth": "token", "engine_delay": 0.5}},
    ),
    Place(
        "sahara-v2",
        "sahara",
        'kind = "sahara"\nproject_id = "p1"\ndialect = "v2"\nauth = { type = "token", token_env = "CHAOS_TOKEN" }',
        {"sahara": {"auth": "token", **STATIC, "engine_delay": 0.5}},
    ),
)
BY_NAME = {place.name: place for place in PLACES}

SHARED = f"""
force = "attested"
force_after = {FORCE_AFTER}
poll = {{ first = "200ms", max = "1s" }}
timeout = {TIMEOUT}
breaker = {{ failures = 30, pause = "2s" }}
max_in_flight = {{in_flight}}
"""


def backends_file(roots: Mapping[str, str], in_flight: int) -> str:
    """Write the backends file; `roots` are the simulators' addresses."""
    mounts = {"ess": "", "oml": "", "mrs": "/mrs", "sahara": "/sahara"}
    return "\n".join(
        f'[backends.{place.name}]\nbase_url = "{roots[place.name]}{mounts[place.system]}"\n'
        f"{place.config.replace('{root}', roots[place.name])}{SHARED.replace('{in_flight}', str(in_flight))}"
        for place in PLACES
    )


@dataclass(frozen=True, slots=True)
class Plan:
    """One job, how it lives, and the commands for it."""

    index: int
    backend: str
    job_id: str
    life: str
    verb: str
    script: Mapping[str, Any]
    extra: Mapping[str, Any]
    joined: bool = False
    doubled: bool = False

    @property
    def system(self) -> str:
        """The system that the job belongs to."""
        return BY_NAME[self.backend].system

    def commands(self) -> list[tuple[str, str, dict[str, Any]]]:
        """Return verb, command id and fields of each command."""
        fields = {"backend": self.backend, "job_id": self.job_id, **self.extra}
        both = [(self.verb, f"c{self.index}", fields)]
        return [*both, ("delete", f"c{self.index}-d", fields)] if self.joined else both

    def spec(self) -> dict[str, Any]:
        """Return the job as a script for the simulator."""
        place = {"project": "p1", "cluster": "c1"} if self.system in {"mrs", "sahara"} else {}
        return {"system": self.system, "id": self.job_id, **self.script, **place}

    def family(self) -> list[str]:
        """Return the ids of the job and its children."""
        return [self.job_id, *(child["id"] for child in self.script.get("children", ()))]


BACKENDS = [place.name for place in PLACES if place.name != "ess-family"]
LIVES = {
    "runs": 34,
    "slow": 12,
    "race": 10,
    "ends": 12,
    "finished": 12,
    "failed": 4,
    "absent": 6,
    "forbidden": 2,
    "stuck": 6,
    "checks_in": 2,
    "held": 1,
}
ESS_ONLY = frozenset({"stuck", "checks_in", "held"})


def plan(seed: int, index: int, *, finished: bool = False) -> Plan:
    """Return command number `index`; with `finished` its job is one that has ended."""
    dice = random.Random(seed * 1_000_003 + index)  # noqa: S311 - repeatable dice
    backend = "ess-family" if dice.random() < 0.02 and not finished else dice.choice(BACKENDS)
    system = BY_NAME[backend].system
    job_id = str(1_000_000 + index * 10) if system == "ess" else f"job-{index}"
    if finished:
        return Plan(index, backend, job_id, "finished", "cancel", {"life": "finished"}, {})
    if backend == "ess-family":
        return _parent(dice, index, backend, int(job_id))
    life = dice.choices(list(LIVES), list(LIVES.values()))[0]
    if system != "ess" and life in ESS_ONLY:
        life = "protected" if system == "sahara" and life == "held" else "runs"
    if system == "oml" and life in {"race", "slow"}:
        life = "runs"  # its DELETE leaves no record that could race
    verb = "delete" if dice.random() < 0.25 else "cancel"
    joined = life == "runs" and verb == "cancel" and dice.random() < 0.04
    script, extra = _script(dice, life)
    if life == "held":
        verb = "cancel"
    return Plan(index, backend, job_id, life, verb, script, extra, joined, doubled=index % 97 == 0)


def _script(dice: random.Random, life: str) -> tuple[dict[str, Any], dict[str, Any]]:
    attested = {"remote_stopped": True, "requested_by": "chaos"}
    match life:
        case "slow":
            return {"life": "runs", "cancels_after": dice.uniform(1, 4)}, {}
        case "ends":
            return {"life": "runs", dice.choice(["succeeds_after", "fails_after"]): dice.uniform(0.5, 8)}, {}
        case "stuck":
            return {"life": "stuck"}, attested
        case "checks_in":
            return {"life": "stuck", "checks_in_every": CHECK_IN_EVERY, "check_ins": CHECK_INS}, attested
        case "held":
            return {"life": "stuck"}, {"give_up_after": GIVE_UP}
        case _:
            return {"life": life}, {}


def _parent(dice: random.Random, index: int, backend: str, number: int) -> Plan:
    lives: list[dict[str, Any]] = [{}, {"cancels_after": dice.uniform(1, 3)}, {"life": "finished"}, {"life": "stuck"}]
    chosen = dice.choices(lives, k=3)
    children = [{"id": str(number + at + 1), **one} for at, one in enumerate(chosen)]
    if all(child.get("life") == "finished" for child in children):
        children[0].pop("life")
    extra = {"remote_stopped": True, "requested_by": "chaos"}
    return Plan(index, backend, str(number), "parent", "cancel", {"life": "runs", "children": children}, extra)


def faults(share: float, seed: int, place: Place) -> list[dict[str, Any]]:
    """Return rules of one backend's faults that together hit this share of its calls."""
    kinds: list[dict[str, Any]] = [
        {"kind": "error"},
        {"kind": "error", "http": 503},
        {"kind": "error_after"},
        {"kind": "lost_answer"},
        {"kind": "reset"},
        {"kind": "throttled", "retry_after": 1},
        {"kind": "expired_token"},
        {"kind": "html"},
        {"kind": "html", "http": 200, "applied": True},
        {"kind": "hang"},
        {"kind": "hang", "applied": True},
        {"kind": "truncated"},
        {"kind": "cut_body"},
        {"kind": "big_body", "size": 10_000_000},
        {"kind": "slow_drip"},
    ]
    each = share / len(kinds)
    return [
        {**kind, "path": place.job_path, "probability": each / (1 - at * each), "seed": seed * 100 + at}
        for at, kind in enumerate(kinds)
    ] + [
        {"kind": kind, "verb": "token", "probability": share / 3, "seed": seed * 100 + 50 + at}
        for at, kind in enumerate(("error", "lost_answer", "hang"))
    ]


def write_backends(directory: Path, roots: Mapping[str, str], in_flight: int) -> Path:
    """Write the backends file into a directory."""
    file = directory / "backends.toml"
    file.write_text(backends_file(roots, in_flight))
    return file
