"""Reads the children of an Oracle ESS request: with few calls, and never claiming to have seen more than it has.

A look at a family costs at most `MOST_CALLS` calls, that at the request itself included. A list of
children is read whole while it is short. Once it is long, only the living ones are asked for; where
the server can't filter by state, the list is read a few pages a look, and what has ended for good
is not read again. Children that were alive before and that no list shows are asked for by their ids.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Generator, Mapping
from itertools import pairwise
from typing import NamedTuple, TypeVar

from msgspec.structs import replace

from worker.backends.base import Reply, Request, answer, text
from worker.backends.oracle_ess_words import (
    FIELDS,
    IDS,
    STATES,
    Item,
    any_of,
    by_ids,
    count,
    items,
    may_have_children,
    no_list,
    no_page,
    observation,
    page,
    request_id,
    sight,
    single,
    state_word,
)
from worker.errors import CallUnanswered
from worker.model import Answer, AnswerKind, Job, JobState, Observation

MOST_CALLS = 12
"""Calls of one look at a family."""
PLAIN_PAGES = 4
"""A list that ends within so many pages is short."""
SCAN_PAGES = 5
"""Pages that a look reads of a long list where the server can't filter by state."""
KEPT = 3
"""Calls that are kept for children that no list shows."""
SINGLY = 2
"""So many children are asked for one by one; more are asked for together."""

ENDED = tuple(state for state, meaning in STATES.items() if meaning.final)
AT_WORK = ("WAIT", "READY", "RUNNING", "COMPLETED", "BLOCKED", "HOLD", "CANCELLING")
"""As many states that are not final: what is in none of them is what an ended child is in."""

STRANGERS = "the list of children can't be used: it shows requests that are not of this family"
BROKEN = "the list of children can't be used: it shows a request whose parent it leaves out"
DISORDERED = "the list of children can't be used: it is not in the order that was asked for"
SHRUNK = "the list of children has become shorter: it is read again from its start"

T = TypeVar("T")
Asked = Generator[Request, Reply, T]


class Member(NamedTuple):
    """A request of a family as a list shows it."""

    parent: str
    branches: bool
    """Whether it may have children."""
    seen: Observation


class Pages(NamedTuple):
    """What pages of a list have shown."""

    read: tuple[tuple[int, Mapping[str, Member]], ...]
    """The number of each page that showed requests which no earlier page had, and those requests."""
    whole: bool = False
    """Whether the list has ended with them."""
    why: Answer | None = None
    """Why a page could not be used."""
    refused: bool = False
    """Whether the server itself takes no such question."""

    @property
    def members(self) -> dict[str, Member]:
        """All requests that were shown."""
        return {member_id: member for _, members in self.read for member_id, member in members.items()}


def with_children(job: Job, data: Item, seen: Observation) -> Asked[Observation]:
    """Read the children of a request that was just seen; whatever becomes of that, its own sight stays."""
    family = _Family(job, _top(data, job.id))
    try:
        unlisted = yield from family.listed()
    except CallUnanswered as error:
        return family.told(seen, Answer(AnswerKind.UNANSWERED, detail=f"the list of children can't be read: {error}"))
    if unlisted is None or not _troubled(unlisted):
        yield from family.alone()
    return family.told(seen, unlisted)


def remembered(job: Job, seen: Observation) -> Asked[Observation]:
    """Ask for the children of a request that is gone, of which only those that were alive are known."""
    if not job.living:
        return seen
    family = _Family(job, "")
    yield from family.alone()
    return family.told(seen, None)


class _Family:
    """One look at a family: the calls that are left, and the children that were seen."""

    def __init__(self, job: Job, top: str) -> None:
        """`top` is the request that was submitted, empty if nothing says which."""
        self._job = job
        self._top = top
        self._left = MOST_CALLS - 1
        self._children: dict[str, Observation] = {}
        self._long = job.long
        self._pages = job.pages

    def told(self, seen: Observation, unlisted: Answer | None) -> Observation:
        """Return the request's observation with its children."""
        unseen = {
            child: Observation(JobState.UNKNOWN, "", child, detail="not seen in this look")
            for child in self._job.living
            if child not in self._children
        }
        children = (*self._children.values(), *unseen.values())
        return replace(seen, parent=True, children=children, unlisted=unlisted, pages=self._pages, long=self._long)

    def listed(self) -> Asked[Answer | None]:
        """Read the list of the children; say why they could not all be seen."""
        if not self._top:
            return (yield from self._by_level())
        if not self._long:
            pages = yield from self._read({"q": self._ours()}, self._of_top, PLAIN_PAGES, spare=True)
            incomplete = self._take(pages)
            if pages.why is not None or pages.whole:
                return pages.why or incomplete
            self._long = True
        if self._top != self._job.id:
            return (yield from self._by_level())
        if not self._pages:
            pages = yield from self._alive()
            if not pages.refused:
                self._take(pages)
                return pages.why or (
                    None if pages.whole else _unread("there are more living children than a look can read")
                )
        return (yield from self._scan())

    def alone(self) -> Asked[None]:
        """Ask for the children that were alive before and that no list has shown."""
        try:
            if len(self._missing()) > SINGLY:
                shown = yield from by_ids(self._missing(), self._left, state_word)
                self._left -= shown.calls
                self._children.update(shown.seen)
                if shown.why is not None and _troubled(shown.why):
                    return
            for child in self._missing()[: self._left]:
                seen = sight((yield single(child)), Job(child))
                if isinstance(seen, Answer) and _troubled(seen):
                    return
                if isinstance(seen, Observation) and not seen.vague:
                    self._children[child] = seen
        except CallUnanswered:
            return

    def _missing(self) -> list[str]:
        return [child for child in self._job.living if child not in self._children]

    def _ours(self) -> str:
        return f"absParentRequestId eq {self._top}"

    def _of_top(self, item: Item) -> bool:
        return self._top in (request_id(item.get("absParentRequestId")), request_id(item.get("requestId")))

    def _room(self) -> int:
        """Return how many calls lists may take."""
        return max(0, self._left - min(KEPT, len(self._job.living)))

    def _read(
        self,
        query: Mapping[str, str],
        ours: Callable[[Item], bool],
        most: int,
        first: int = 0,
        *,
        spare: bool = False,
        alive: bool = False,
    ) -> Asked[Pages]:
        """Read pages from number `first` on, `most` of them at the most, until one shows that the list has ended.

        Numbers begin at 0, or at 1, where the second page asked for is the first one again. With `spare`, no more
        is read once the list says that it is longer than that; with `alive`, once it shows that it does not leave
        out who has ended, as it was asked to.
        """
        read: list[tuple[int, Mapping[str, Member]]] = []
        seen: set[str] = set()
        before: set[str] | None = None
        total = 0
        for number in range(first, first + min(most, self._room())):
            self._left -= 1
            reply = yield page({**query, "fields": FIELDS}, number)
            shown = {} if number and no_page(reply) else items(reply)
            if shown is None or not all(state_word(item) for item in shown.values()):
                return Pages(tuple(read), why=no_list(reply), refused=_takes_no(reply))
            if not all(ours(item) for item in shown.values()):
                return Pages(tuple(read), why=answer(reply, AnswerKind.UNANSWERED, detail=STRANGERS))
            total = max(total, count(reply))
            new = {one: _member(item, one, reply) for one, item in shown.items() if one not in seen}
            if alive and any(member.seen.state.final for member in new.values()):
                return Pages((), refused=True)
            if not new and shown and shown.keys() == before:
                before = None  # the next page shows whether this is the end
                continue
            if not new:
                if not first and total > len(seen):
                    why = f"the list of children is not whole: it counts {total} and shows {len(seen)}"
                    return Pages(tuple(read), why=_unread(why))
                return Pages(tuple(read), whole=True)
            before = set(shown)
            seen |= new.keys()
            read.append((number, new))
            if spare and total > most * len(new):
                break
        return Pages(tuple(read))

    def _take(self, pages: Pages) -> Answer | None:
        """Keep the descendants of our request; say so if a request's way up to the top is not known."""
        members = pages.members
        broken = False
        for member_id, member in members.items():
            above = self._above(member_id, members)
            broken |= above not in {self._job.id, self._top}
            if member_id != self._job.id and above == self._job.id:
                self._children[member_id] = member.seen
        return _unread(BROKEN) if broken else None

    def _above(self, member_id: str, members: Mapping[str, Member]) -> str:
        """Return the first on a request's way up that is ours or the top, or else the last that is known."""
        if self._top == self._job.id:
            return self._top  # the list shows no other's descendants
        passed: set[str] = set()
        while member_id in members and member_id not in {self._job.id, self._top, *passed}:
            passed.add(member_id)
            member_id = members[member_id].parent
        return "" if member_id in passed else member_id

    def _by_level(self) -> Asked[Answer | None]:
        """Ask for the children, then for theirs, as many parents in one question as the server takes."""
        parents, size = [self._job.id], IDS
        known = {self._job.id}
        while parents:
            asked = parents[:size]
            query = {"q": any_of("parentRequestId", asked)}
            pages = yield from self._read(query, _naming("parentRequestId", asked), MOST_CALLS)
            if pages.refused and len(asked) > 1:
                size = 1
                continue
            new = {one: member for one, member in pages.members.items() if one not in known}
            self._children.update({one: member.seen for one, member in new.items()})
            if not pages.whole:
                return pages.why or _unread("the family has more requests than a look can read")
            known |= new.keys()
            parents = [*parents[size:], *(one for one, member in new.items() if member.branches)]
        return None

    def _alive(self) -> Asked[Pages]:
        """Ask for the living descendants alone; `refused` where the server takes no such filter or does not heed it.

        That nobody lives is believed if the same form of a question shows those who don't.
        """
        pages = yield from self._read({"q": _none_of(self._ours(), ENDED)}, self._of_top, MOST_CALLS, alive=True)
        if pages.read or pages.refused or pages.why is not None:
            return pages
        others = yield from self._read({"q": _none_of(self._ours(), AT_WORK)}, self._of_top, 1)
        shows = others.why is not None or any(member.seen.state.final for member in others.members.values())
        return others._replace(read=(), whole=True) if shows else Pages((), refused=True)

    def _scan(self) -> Asked[Answer | None]:
        """Read on in the whole list, oldest first, from the first page that has not ended for good."""
        missing = len(self._job.living)
        most = SCAN_PAGES - (missing if missing <= SINGLY else 1)
        query = {"q": self._ours(), "orderBy": "requestId:asc"}
        pages = yield from self._read(query, self._of_top, most, self._pages)
        order = [int(member_id) for member_id in pages.members]
        if order != sorted(order):
            self._pages = 0
            return _unread(DISORDERED)
        self._take(pages)
        if self._pages and pages.whole and not pages.read:
            self._pages = 0
            return _unread(SHRUNK)
        for (_, members), (following, _) in pairwise(pages.read):
            if not all(self._settled(member_id, member) for member_id, member in members.items()):
                break
            self._pages = following
        if pages.whole or pages.why is not None:
            return pages.why
        return _unread(f"the list of children is long: {self._pages} pages are read, the next look reads on")

    def _settled(self, member_id: str, member: Member) -> bool:
        """Whether it need not be read again: it has ended, or it will be asked for by its id."""
        known = member_id in {*self._job.living, self._job.id}
        return known or member.seen.state.final or member.seen.state in {JobState.ACTIVE, JobState.CANCELLING}


def _top(data: Item, job_id: str) -> str:
    """Return the id of the request that was submitted, which all its descendants name; empty if it is not told."""
    top, parent = request_id(data.get("absParentRequestId")), request_id(data.get("parentRequestId"))
    return top or (job_id if parent in {"", job_id} else "")


def _member(item: Item, item_id: str, reply: Reply) -> Member:
    branches = may_have_children(item) or not text(item.get("requestType"))
    return Member(request_id(item.get("parentRequestId")), branches, observation(item, item_id, reply.date))


def _naming(field: str, ids: Collection[str]) -> Callable[[Item], bool]:
    """Return whether a request names one of these ids in a field."""
    return lambda item: request_id(item.get(field)) in ids


def _none_of(query: str, states: tuple[str, ...]) -> str:
    return " and ".join((query, *(f'state ne "{state}"' for state in states)))


def _unread(why: str) -> Answer:
    return Answer(AnswerKind.UNANSWERED, detail=why)


def _takes_no(reply: Reply) -> bool:
    """Whether the API refuses a question for its form."""
    return reply.status == 400 and reply.data is not None  # noqa: PLR2004 - bad request


def _troubled(why: Answer) -> bool:
    """Whether the server has trouble with calls of any kind, so that more of them would be in its way."""
    status = why.status or 0
    return why.kind is AnswerKind.BUSY or status == 401 or status >= 500  # noqa: PLR2004 - unauthorised, its own errors
