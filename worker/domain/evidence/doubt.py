"""PURE: answers that may not be the backend's own are believed only after they have lasted.

Gateways, proxies, web firewalls and token services answer 401, 403 and 404 in a backend's place for seconds to minutes,
while routes are loaded, a node is replaced or a secret is changed.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec.structs import replace

from ..cancellation import Doubt, Doubted
from ..model import Answer, AnswerKind, JobState, Observation, Policy, Source

ENOUGH = 3
"""The fewest answers in a row that must make a claim, the last one `believe_after` seconds after the first."""
PARTS = 4
"""The fewest looks within `believe_after` while an answer is in doubt."""


def claim_of(said: Observation | Answer) -> Doubted | None:
    """Return the claim that can't be believed at once, None if there is no such claim."""
    if isinstance(said, Observation):
        ended = said.state is JobState.GONE or said.final
        return Doubted.GONE if ended and said.source is not Source.OWN else None
    if said.kind is not AnswerKind.REFUSED:
        return None
    if said.source is Source.CREDENTIAL:
        return Doubted.CREDENTIAL
    passing = said.source is not Source.OWN or said.retry_after is not None
    return Doubted.REFUSED if passing else None


def continued(before: Doubt | None, said: Observation | Answer, at: datetime) -> Doubt | None:
    """Return the run of doubtful answers after this one, None if it has ended.

    A reply that shows nothing neither continues nor ends it.
    """
    claim = claim_of(said)
    if claim is None:
        silent = isinstance(said, Answer) and said.kind in {AnswerKind.UNANSWERED, AnswerKind.BUSY}
        return before if silent else None
    if before is None or before.claim is not claim:
        return Doubt(claim, at, at)
    return replace(before, last=at, times=before.times + 1)


def lasting(doubt: Doubt | None, policy: Policy) -> bool:
    """Whether a doubtful claim was made often enough, and for long enough, to be believed."""
    if doubt is None or doubt.times < ENOUGH:
        return False
    return (doubt.last - doubt.since).total_seconds() >= policy.believe_after


def refuses(said: Answer, doubt: Doubt | None, policy: Policy) -> bool:
    """Whether an answer is a final refusal: in the backend's own words, or one that has lasted."""
    return said.kind is AnswerKind.REFUSED and (claim_of(said) is None or lasting(doubt, policy))


def ask_again(doubt: Doubt, policy: Policy, now: datetime, pause: timedelta) -> datetime:
    """Return when to ask again: after `pause`, or sooner, to see the claim often enough and once it has lasted."""
    soon = now + min(pause, max(timedelta(seconds=policy.poll.first), timedelta(seconds=policy.believe_after / PARTS)))
    lasted = doubt.since + timedelta(seconds=policy.believe_after)
    return lasted if now < lasted < soon else soon
