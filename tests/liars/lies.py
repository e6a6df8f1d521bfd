"""The table of lies: what gateways, proxies, stale replicas and broken releases make of a true reply.

Each row has a name, the faults (`faults.py`) that it stands for, the calls that it spoils, and how. A plan
(`plans.py`) says when and for how long.

Left out are lies that no client can tell from the truth, and that the guide does not promise to detect:
- a body of this very job, in the API's form, with a final state and fresh times, while the job runs;
- an outdated view of the job as running, if that alone decides: Oracle ML's 202, which names no job, before its DELETE;
- an outdated view in CANCELLING of a job that has checked in or gone on since;
- a child, under a parent that has ended, that no list has ever shown and that two lists a poll apart leave out;
- a clock that is wrong by the same time in every reply;
- a 404 entirely in the API's own words about this job while the job exists, such as one from a gateway that puts our
  path, and so the job's id, into the API's own fields;
- an answer of the API's own form to a changing call that never reached it.
A lie that lasts longer than `believe_after` may be believed, but proves nothing; the judge allows for that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote

from tests.liars.shapes import (
    BUSY,
    DOWN,
    ERRORS,
    GATEWAY_404,
    HTML,
    LOGIN,
    NO_TOKEN,
    NOT_A_JOB,
    STANDARD_404,
    WALL,
    Told,
    json_reply,
)

LOOK, LIST, CANCEL, FORCE, DELETE, PROBE, TOKEN = "look", "list", "cancel", "force", "delete", "probe", "token"
READS = frozenset({LOOK, LIST})
CHANGES = frozenset({CANCEL, FORCE, DELETE})


@dataclass(frozen=True, slots=True)
class Occasion:
    """Everything that a lie may use.

    `again` repeats the call with another path, `refuse` words a refusal as the API does; `choice` is the plan's own
    number. `asked` is the job of the command, `victim` the child that a list leaves out, `other` a job that has ended,
    `first` the first honest reply to the same call.
    """

    kind: str
    true: Told
    raw: str
    job_id: str
    choice: int
    first: Told | None
    asked: str
    victim: str
    other: str
    again: Callable[[str], Told]
    refuse: Callable[[int, str], Told]


Tell = Callable[[Occasion], Told | None]


@dataclass(frozen=True, slots=True)
class Lie:
    """One row. `tell` returns None if no answer arrives.

    `reaches` says whether a changing call is still carried out. `says` is what the reply claims about the job:
    "gone" or "refused" in words that are not the API's, "for good" for a refusal in the API's own. A `habit` is how
    this backend always behaves, so its replies count as honest. A `header` lie leaves the body alone and can be
    combined with others.
    """

    name: str
    faults: tuple[str, ...]
    verbs: frozenset[str]
    tell: Tell
    reaches: bool = True
    says: str = ""
    habit: bool = False
    header: bool = False


def _pick(shapes: Sequence[Told]) -> Tell:
    return lambda seen: shapes[seen.choice % len(shapes)]


def _error_with_200(seen: Occasion) -> Told:
    plain = {"error": {"code": 500, "message": "internal"}}
    return json_reply(200, plain if seen.choice % 3 == 2 else ERRORS[seen.kind])


def _someone_else(seen: Occasion) -> Told:
    """The reply about a job that has ended; for a v1.1 cancel, that job's record as a snapshot."""
    raw = seen.raw.removesuffix("/cancel")
    return seen.again(raw.replace(seen.job_id, seen.other))


def _stale(seen: Occasion) -> Told:
    """The first body again, from a cache with its old `Date`, or from a replica with its own."""
    if seen.first is None:
        return seen.true
    return seen.first if seen.choice % 2 else replace(seen.first, headers={**seen.first.headers, **_date_of(seen.true)})


def _date_of(told: Told) -> dict[str, str]:
    return {name: value for name, value in told.headers.items() if name == "date"}


def _truncated(seen: Occasion) -> Told:
    return replace(seen.true, body=seen.true.body[: len(seen.true.body) * (1 + seen.choice % 3) // 4])


def _garbled(seen: Occasion) -> Told:
    """The true content, wrapped or written in ways that strict readers refuse and lenient ones accept."""
    ways = (b"\xef\xbb\xbf" + seen.true.body, seen.true.body + b"\x00", b")]}',\n" + seen.true.body)
    return replace(seen.true, body=ways[seen.choice % len(ways)])


def _followed(seen: Occasion) -> Told:
    """A proxy that follows Oracle ML's 302 by itself."""
    finished = seen.true.status == 302
    return json_reply(200, {"result": [{"rows": 17}]}) if finished else seen.true


def _items(seen: Occasion, change: Callable[[list[dict[str, Any]]], list[dict[str, Any]]]) -> Told:
    data = seen.true.data
    if not isinstance(data, dict) or not isinstance(data.get("items"), list):
        return seen.true
    items = change(data["items"])
    return seen.true.saying(data | {"items": items, "count": len(items)})


def _without_victim(seen: Occasion) -> Told:
    return _items(seen, lambda items: [one for one in items if str(one.get("requestId")) != seen.victim])


def _unfiltered(seen: Occasion) -> Told:
    """A list of every request; strangers name no top request, or their own."""
    told = seen.again(f"{seen.raw.partition('?')[0]}?fields={_fields(seen.raw)}")
    data = told.data
    if seen.choice % 2 and isinstance(data, dict):
        for one in data["items"]:
            if one.get("absParentRequestId") == one.get("requestId"):
                one["absParentRequestId"] = None
        return told.saying(data)
    return told


def _fields(raw: str) -> str:
    return next((part[7:] for part in raw.partition("?")[2].split("&") if part.startswith("fields=")), "")


def _former_page(seen: Occasion) -> Told:
    path, _, query = seen.raw.partition("?")
    head, _, page = path.rpartition("/")
    if not head.endswith("/search") or not page.isdecimal():
        return seen.true
    path = f"{head}/{int(page) - 1}" if int(page) > 1 else head.removesuffix("/search")
    return seen.again(f"{path}?{query}")


PAST_RUNS = 220


def _past_runs(seen: Occasion) -> Told:
    """One past run on each page, before the living children, unless the filter asks for these only."""
    path, _, query = seen.raw.partition("?")
    data, wanted = seen.true.data, unquote(query)
    if seen.asked not in wanted or " state " in wanted.replace("=", " ") or not isinstance(data, dict):
        return seen.true
    page = int(path.rpartition("/")[2]) if "/search/" in path else 0
    at = PAST_RUNS - page if "desc" in wanted else page
    past = {
        "requestId": int(seen.asked) + 100 + at,
        "absParentRequestId": int(seen.asked),
        "state": "SUCCEEDED",
        "parentRequestId": int(seen.asked),
        "requestType": "RECUR_CHILD",
        "completedTime": "2025-01-01T00:00:00.000Z",
        "stateChangeTime": "2025-01-01T00:00:00.000Z",
        "isAsynchronous": True,
        "isForceCancelAllowed": False,
    }
    living = 0 if "desc" in wanted else PAST_RUNS
    items = seen.again(f"{path.partition('/search/')[0]}?{query}").data["items"] if page == living else []
    items += [past] if page <= PAST_RUNS else []
    return seen.true.saying(data | {"items": items, "count": len(items)})


def _changed(value: Any, change: Callable[[str, Any], Any]) -> Any:
    if isinstance(value, dict):
        return {name: _changed(change(name, one), change) for name, one in value.items()}
    return [_changed(one, change) for one in value] if isinstance(value, list) else value


def _rewritten(change: Callable[[str, Any], Any]) -> Tell:
    def tell(seen: Occasion) -> Told:
        data = seen.true.data
        return seen.true.saying(_changed(data, change)) if isinstance(data, dict | list) else seen.true

    return tell


def _bool_as_text(_name: str, value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value


def _other_case(name: str, value: Any) -> Any:
    states = {"state", "job_state", "job_result", "status"}
    return value.capitalize() if name in states and isinstance(value, str) else value


def _both_words(name: str, value: Any) -> Any:
    return value | {"job_final_status": 0} if name == "job_detail" and isinstance(value, dict) else value


def _suspend_failed(name: str, value: Any) -> Any:
    return {"status": "SUSPENDFAILED"} if name == "info" else value


def _early_parent(seen: Occasion) -> Told:
    """A parent whose record closes when its cancel is accepted, whatever its children still do."""

    def closed(one: dict[str, Any]) -> dict[str, Any]:
        if str(one.get("requestId")) != seen.asked or one.get("state") != "CANCELLING":
            return one
        return one | {"state": "CANCELLED", "completedTime": one.get("stateChangeTime"), "processPhase": "Complete"}

    data = seen.true.data
    if not isinstance(data, dict) or "state" not in data:
        return seen.true
    return seen.true.saying(closed(data))


def _engine_forgot(seen: Occasion) -> Told | None:
    if not seen.raw.partition("?")[0].endswith("/refresh-status"):
        return seen.true
    if seen.choice % 2:
        return None
    return json_reply(400, {"error_code": 400, "error_name": "OOZIE_EXCEPTION", "error_message": "E0604: no such job"})


def _not_known_yet(seen: Occasion) -> Told:
    """The API's own reply while a job that was just submitted is not known yet."""
    told = seen.again(seen.raw.replace(seen.job_id, seen.job_id + "0"))
    return replace(told, body=told.body.replace(f"{seen.job_id}0".encode(), seen.job_id.encode()))


def _date(change: Callable[[Occasion, str], str | None]) -> Tell:
    def tell(seen: Occasion) -> Told:
        date = change(seen, seen.true.headers.get("date", ""))
        rest = {name: value for name, value in seen.true.headers.items() if name != "date"}
        return replace(seen.true, headers=rest if date is None else rest | {"date": date})

    return tell


def _link(seen: Occasion) -> Told:
    """The link that ESS may return for a cancel that changes nothing."""
    refused = seen.true.status in {400, 409}
    return json_reply(200, {"rel": "self", "href": f"http://liar/{seen.job_id}"}) if refused else seen.true


FAR = ("Fri, 01 Jan 2038 00:00:00 GMT", "Thu, 01 Jan 1970 00:00:00 GMT", "Sat, 01 Mar 2036 07:00:00 CET")

ROWS = (
    Lie("a body that is no job", ("A1",), READS, _pick(NOT_A_JOB)),
    Lie("a followed redirect", ("A1", "F11"), frozenset({LOOK}), _followed),
    Lie("another job's body", ("A2",), frozenset({LOOK}), _someone_else),
    Lie("another job's snapshot", ("A2",), frozenset({CANCEL}), _someone_else),
    Lie("a gateway's 404", ("A3", "F2"), READS | CHANGES, _pick(GATEWAY_404), reaches=False, says="gone"),
    Lie("a standard 404", ("A3", "F2"), READS | CHANGES, _pick(STANDARD_404), reaches=False, says="gone"),
    Lie("a parent closed early", ("A4",), frozenset({LOOK}), _early_parent, habit=True),
    Lie("a list without a child", ("A5",), frozenset({LIST}), _without_victim),
    Lie("an empty list", ("A5",), frozenset({LIST}), lambda seen: _items(seen, lambda _: [])),
    Lie("an unfiltered list", ("A5",), frozenset({LIST}), _unfiltered),
    Lie("a page twice", ("A5",), frozenset({LIST}), _former_page),
    Lie("pages from 1", ("A5",), frozenset({LIST}), _former_page, habit=True),
    Lie("a list in disorder", (), frozenset({LIST}), lambda seen: _items(seen, lambda items: items[::-1])),
    Lie("an item twice", (), frozenset({LIST}), lambda seen: _items(seen, lambda items: items + items[-1:])),
    Lie("many past runs", ("A6",), frozenset({LIST}), _past_runs, habit=True),
    Lie("the probe is wrong", ("A7",), frozenset({PROBE}), _pick((Told(404),))),
    Lie("texts for booleans", ("A9",), READS, _rewritten(_bool_as_text), habit=True),
    Lie("a Date far off", ("A10", "F12"), READS, _date(lambda seen, _: FAR[seen.choice % len(FAR)]), header=True),
    Lie(
        "a Date that stands still",
        ("F12",),
        READS,
        _date(lambda seen, date: seen.first.headers.get("date", date) if seen.first else date),
        habit=True,
        header=True,
    ),
    Lie("no Date", (), READS, _date(lambda _seen, _date: None), habit=True, header=True),
    Lie("a yes to what had ended", ("A11",), frozenset({CANCEL}), _link, habit=True),
    Lie("an error with 200", ("A12",), READS | CHANGES, _error_with_200, reaches=False),
    Lie("two words for a result", ("A15",), READS, _rewritten(_both_words), habit=True),
    Lie("a wall's refusal", ("F3",), READS | CHANGES, _pick(WALL), reaches=False, says="refused"),
    Lie(
        "the API's own 401",
        ("F3",),
        READS | CHANGES,
        lambda seen: seen.refuse(401, "the token has expired"),
        reaches=False,
        says="refused",
    ),
    Lie("no token", ("F3",), frozenset({TOKEN}), _pick(NO_TOKEN), says="refused"),
    Lie("words in another case", ("F13",), READS, _rewritten(_other_case)),
    Lie("a strange wrapping", ("F7",), READS, _garbled),
    Lie(
        "a lasting refusal",
        ("F9",),
        frozenset({CANCEL}),
        _pick((json_reply(400, {"error_code": "0192", "error_msg": "user does not exist on MRS Manager"}),)),
        reaches=False,
        says="for good",
    ),
    Lie("busy, with Retry-After", ("F10",), READS | CHANGES, _pick(BUSY), reaches=False),
    Lie("down", (), READS | CHANGES, _pick(DOWN), reaches=False),
    Lie("done, and then down", (), CHANGES, _pick(DOWN[:4])),
    Lie("a login page", (), READS | CHANGES, _pick((Told(200, HTML, LOGIN),)), reaches=False),
    Lie("half a body", (), READS, _truncated),
    Lie("a lost answer", (), READS | CHANGES, lambda _seen: None),
    Lie("a lost call", (), READS | CHANGES, lambda _seen: None, reaches=False),
    Lie("a late answer", (), READS, lambda seen: replace(seen.true, delay=0.15 + 0.1 * (seen.choice % 3))),
    Lie("an old body", (), READS, _stale),
    Lie("the engine has forgotten", ("R2", "R4"), frozenset({LOOK}), _engine_forgot, habit=True),
    Lie("SUSPENDFAILED, and it goes on", ("R5",), frozenset({LOOK}), _rewritten(_suspend_failed)),
    Lie("not known yet", ("G7",), READS | CHANGES, _not_known_yet, reaches=False, says="gone"),
)
LIES = {row.name: row for row in ROWS}
