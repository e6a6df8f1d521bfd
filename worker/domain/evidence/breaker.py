"""PURE: what speaks against a backend as a whole, and so counts for its breaker."""

from __future__ import annotations

from ..model import Answer, AnswerKind, Observation, Source

TOO_MANY = 429
SERVER_ERROR = 500


def outage(said: Observation | Answer) -> bool:
    """Whether it is no answer, a server's error, a call to slow down, or a reply that may not be the API's.

    What the API says in its own words about one job is no outage, however it refuses.
    """
    if isinstance(said, Observation):
        return said.source is not Source.OWN or (said.unlisted is not None and outage(said.unlisted))
    if said.source is not Source.OWN or said.status == TOO_MANY:
        return True
    return said.kind is AnswerKind.UNANSWERED and (said.status or SERVER_ERROR) >= SERVER_ERROR
