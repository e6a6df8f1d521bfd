"""Lists Oracle ESS requests by their state, submitter and age (`q` takes a SCIM filter, DOC E2; `gt`, `lt` INFERRED).

Pages follow the request ids: each asks for those after the last one, so that a request which leaves the list meanwhile
shifts no other one to a page that was read already. Only what a page itself shows is believed: some servers ignore `q`
or the order.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

from ..domain.event_drafts import text as iso
from ..domain.model import unanswered
from ..settings.problems import choices, suggestion
from ..settings.quantities import seconds
from .adapter import text
from .oracle_ess_words import STATES, Item, no_list, read_page, word
from .selecting import Listed, Listing, Selecting, Where

CRITERIA: Mapping[str, str] = {
    "state": "a state in ESS's words, such as RUNNING",
    "older-than": "a duration, such as 2h: submitted at least this long ago, on ESS's own clock",
    "submitter": "the user who submitted it",
}
OLDEST = 100 * 365 * 86400.0
"""Seconds; no request is older, and a date that far back may not exist."""
SHOWN = "requestId,state,submitter,submissionTime"
UNHEEDED = "the list can't be used: it shows request {}, whose {} is not what was asked for"
DISORDERED = "the list can't be used: it is not sorted by request id"
UNDATED = "the list can't be used: without a Date in the reply, the age of requests is unknown"


def objections(where: Where) -> list[str]:
    """Say what is wrong with the values."""
    found = []
    state, age, submitter = (where.get(key) for key in CRITERIA)
    if state is not None and word(state) not in STATES:
        found.append(f"state: {state[:64]!r} is no ESS state ({choices(STATES)}){suggestion(word(state), STATES)}")
    if age is not None:
        try:
            too_long = seconds(age) > OLDEST
        except ValueError as error:
            found.append(f"older-than: {age[:64]!r} {error}")
        else:
            found += [f"older-than: {age[:64]!r} is more than the age of any request"] if too_long else []
    if submitter is not None and (not submitter or '"' in submitter or "\\" in submitter):
        found.append("submitter: must be a name without quotes and backslashes")
    return found


def list_page(where: Where, after: tuple[str, ...]) -> Listing:
    """List the requests after the last one of the previous page; ages count from the time of the first page."""
    if after:
        last, before = after
    else:
        last, before = "0", ""
        if "older-than" in where:
            query = {"q": _filter(where, "0", ""), "fields": "requestId", "orderBy": "requestId:asc"}
            reply, shown = yield from read_page(query)
            if shown is None:
                return no_list(reply, "requests")
            if reply.date is None:
                return unanswered(UNDATED)
            before = iso(reply.date - timedelta(seconds=seconds(where["older-than"]))) or ""
    query = {"q": _filter(where, last, before), "fields": SHOWN, "orderBy": "requestId:asc"}
    reply, shown = yield from read_page(query)
    if shown is None:
        return no_list(reply, "requests")
    ids = [int(one) for one in shown]
    if ids != sorted(ids) or (ids and ids[0] <= int(last)):
        return unanswered(DISORDERED)
    for request_id, item in shown.items():
        for field, holds in _tests(where, before).items():
            if not holds(item):
                return unanswered(UNHEEDED.format(request_id, field))
    return Listed(tuple(shown), (str(ids[-1]), before) if ids else None)


def _filter(where: Where, last: str, before: str) -> str:
    clauses = [f"requestId gt {last}"]
    if "state" in where:
        clauses.append(f'state eq "{word(where["state"])}"')
    if "submitter" in where:
        clauses.append(f'submitter eq "{where["submitter"]}"')
    if before:
        clauses.append(f'submissionTime lt "{before}"')
    return " and ".join(clauses)


def _tests(where: Where, before: str) -> Mapping[str, Callable[[Item], bool]]:
    """Return what a page must show of each request, by field."""
    tests: dict[str, Callable[[Item], bool]] = {}
    if "state" in where:
        tests["state"] = lambda item: word(item.get("state")) == word(where["state"])
    if "submitter" in where:
        tests["submitter"] = lambda item: text(item.get("submitter")).casefold() == where["submitter"].casefold()
    if before:
        limit = datetime.fromisoformat(before)
        tests["submissionTime"] = lambda item: (found := _submitted(item)) is not None and found <= limit
    return tests


def _submitted(item: Item) -> datetime | None:
    """Return when a request was submitted, None if that can't be read; a time without a zone is in UTC."""
    try:
        moment = datetime.fromisoformat(text(item.get("submissionTime")))
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


BY_CRITERIA = Selecting(CRITERIA, objections, list_page)
"""Lists requests in the order of their ids."""
