"""What a walk may depend on: the lives of jobs, what goes wrong, what is asked for."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import strategies as st

from worker.domain.model import Force, Verb

LIVES = [
    "stops",
    "stuck",
    "checks in",
    "falls back",
    "succeeds",
    "fails",
    "closes first",
    "had succeeded",
    "was cancelled",
    "absent",
]
FAULTS = [
    *(
        "lost before",
        "lost after",
        "busy",
        "refused",
        "look fails",
        "unknown",
        "vanish",
        "dies",
        "probe",
        "paused",
        "ignored",
        "gateway",
    ),
    *("crash early", "crash before call", "crash after call", "fenced", "abort", "join", "attest", "suspect", "hold"),
]


@dataclass(frozen=True)
class Script:
    """All that a walk depends on; `rate` and `offset` are the backend's clock against Redis's."""

    seed: int
    kind: str
    life: str
    children: int
    verb: Verb
    force: Force
    force_after: float
    give_up: float
    window: float
    rate: float
    offset: float
    times: str
    says_allowed: bool
    asynchronous: bool | None
    dry_run: bool
    expect: str
    faults: frozenset[str]


def scripts(kind: str, lives: list[str], always: frozenset[str]) -> st.SearchStrategy[Script]:
    return st.builds(
        Script,
        seed=st.integers(0, 2**32),
        kind=st.just(kind),
        life=st.sampled_from(lives),
        children=st.integers(0, 3) if kind == "ess" else st.just(0),
        verb=st.sampled_from(Verb),
        force=st.sampled_from([Force.AUTO, Force.ATTESTED, Force.AUTO, Force.NEVER]),
        force_after=st.sampled_from([5.0, 30.0, 60.0]),
        give_up=st.sampled_from([400.0, 120.0, 20.0, 400.0]),
        window=st.sampled_from([0.0, 30.0, 90.0]),
        rate=st.sampled_from([1.0, 0.25, 4.0, 60.0]),
        offset=st.sampled_from([0.0, -1500.0, 1500.0, 3e7]),
        times=st.sampled_from(["full", "naive", "no date", "none"]),
        says_allowed=st.booleans(),
        asynchronous=st.sampled_from([None, True, False]),
        dry_run=st.sampled_from([False, False, False, True]),
        expect=st.sampled_from(["", "", "", "ACTIVE", "CANCELLING", "SUCCEEDED"]),
        faults=st.frozensets(st.sampled_from(FAULTS), max_size=6).map(always.union),
    )
