"""PURE: which replies count as failures of a backend as a whole, for its circuit breaker."""

from __future__ import annotations

from ..model import Answer, AnswerKind, JobState, Observation, Source

TOO_MANY = 429
SERVER_ERROR = 500


def outage(said: Observation | Answer) -> bool:
    """Whether this is no answer, a server error, a request to slow down, or a reply that may not be the API's own.

    Whatever the API says in its own words about one job is no outage, refusals included.
    """
    if isinstance(said, Observation):
        gone = said.state is JobState.GONE and said.source is not Source.OWN
        return gone or (said.unlisted is not None and outage(said.unlisted))
    if said.source is not Source.OWN or said.status == TOO_MANY:
        return True
    return said.kind is AnswerKind.UNANSWERED and (said.status or SERVER_ERROR) >= SERVER_ERROR
