"""Drives an adapter's exchange without IO; provides replies, such as anybody could send, or of any kind."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from worker.backends.adapter import Reply, Request
from worker.domain.model import AnswerKind, Source

DATE, CLOCK = "Thu, 25 May 2017 07:28:13 GMT", datetime(2017, 5, 25, 7, 28, 13, tzinfo=UTC)
"""The backend's time, as its replies write it and as it is read."""
LOGIN = b"<html>Please log in</html>"


def give(data: object, status: int = 200, date: str = DATE) -> Reply:
    """Return a reply with a JSON body."""
    return Reply(status, {"date": date, "content-type": "application/json"}, json.dumps(data).encode())


ANYBODYS = (
    pytest.param(Reply(200, {}, LOGIN), AnswerKind.UNANSWERED, Source.NOBODY, id="login-page"),
    pytest.param(Reply(302, {"location": "http://evil/"}), AnswerKind.UNANSWERED, Source.UNSURE, id="redirect"),
    pytest.param(give({}, 400), AnswerKind.UNANSWERED, Source.UNSURE, id="bad-request"),
    pytest.param(give({}, 401), AnswerKind.REFUSED, Source.CREDENTIAL, id="unauthorised"),
    pytest.param(give({}, 403), AnswerKind.REFUSED, Source.UNSURE, id="F3-forbidden-by-anybody"),
    pytest.param(Reply(503), AnswerKind.UNANSWERED, Source.UNSURE, id="unavailable"),
)
"""Replies to a look that need not be the backend's own: each with the answer's kind and source."""


def anything(names: Sequence[str], *words: str) -> SearchStrategy[Any]:
    """Generate JSON values whose objects use these names, and whose texts are sometimes these words."""
    leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
    return st.recursive(
        leaves | st.sampled_from(words) if words else leaves,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(names), inner),
        max_leaves=20,
    )


def replies(values: SearchStrategy[Any]) -> SearchStrategy[Reply]:
    """Generate replies whose bodies are these values as JSON, or no JSON at all."""
    bodies = st.binary() | values.map(lambda value: json.dumps(value).encode())
    return st.builds(Reply, st.sampled_from([200, 202, 204, 302, 400, 404, 500]), st.just({}), bodies)


def play(exchange: Any, *replies: Reply) -> tuple[list[Request], Any]:
    """Drive an exchange with these replies, the last one repeated; return its requests and its result."""
    requests = []
    try:
        requests.append(next(exchange))
        while True:
            requests.append(exchange.send(replies[min(len(requests), len(replies)) - 1]))
    except StopIteration as end:
        return requests, end.value
