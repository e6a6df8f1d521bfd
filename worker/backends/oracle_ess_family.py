"""Reads the children of an Oracle ESS request with few calls, and says so if it could not see them all.

A look at a family costs at most `MOST_CALLS` calls, including the one for the request itself. A list of
children is read whole while it is short. Once it is long, only the living ones are asked for; if the
server can't filter by state, each look reads a few pages of the list, and leading pages that can't
change any more are not read again. Children that were alive before and that the list does not show
are looked at by their ids.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Mapping
from itertools import pairwise
from typing import NamedTuple, TypeVar

from msgspec.structs import replace

from ..domain.model import FINAL, Answer, AnswerKind, Job, JobState, Observation, Source, unanswered
from .adapter import UNAUTHORIZED, NoReply, Reply, Request
from .oracle_ess_counts import counted, lacking, total
from .oracle_ess_words import (
    FIELDS,
    IDS,
    STATES,
    Entry,
    Item,
    by_ids,
    is_child,
    look_at,
    no_list,
    no_page,
    observation,
    read_page,
    request_id,
    state_word,
)

MOST_CALLS = 12
"""Calls of one look at a family."""
PLAIN_PAGES = 4
"""A list is short if it ends within this many pages."""
SCAN_PAGES = 5
"""Pages that a look reads of a long list if the server can't filter by state."""
KEPT = 3
"""Calls that are reserved for children that no list shows."""
SINGLY = 2
"""Up to this many missing children are looked at one by one; more are asked for together."""
OK = 200
REFUSED_QUERY = frozenset({400, 422, 501})
"""The statuses by which a server may say that it does not support a query."""

NOT_ENDED = "".join(f' and state ne "{state}"' for state, meaning in STATES.items() if meaning in FINAL)
NOT_LIVING = "".join(
    f' and state ne "{state}"' for state in ("WAIT", "READY", "RUNNING", "COMPLETED", "BLOCKED", "HOLD", "CANCELLING")
)
"""A filter of the same form, with as many states that are not final: it shows the ended children instead."""

FOREIGN = "the list of children can't be used: it shows requests that are not of this family"
BROKEN = "the list of children can't be used: it shows a request whose parent it leaves out"
CUT_OFF = "the list of children ends with a 404 that may not be ESS's own"
ORPHAN = "the list of children can't be used: it shows none, but the request is a child that does not name its parent"
DISORDERED = "the list of children can't be used: it is not in the requested order"
SHRUNK = "the list of children has become shorter: it is read again from its start"

T = TypeVar("T")
Exchange = Generator[Request, Reply, T]


class Pages(NamedTuple):
    """What pages of a list have shown."""

    read: tuple[tuple[int, Mapping[str, Entry]], ...]
    """The number of each page that showed requests which no earlier page had, and those requests."""
    whole: bool = False
    """Whether they reach the end of the list."""
    why: Answer | None = None
    """Why a page could not be used."""
    refused: bool = False
    """Whether the server refuses the query itself, or ignores a part of it."""

    @property
    def members(self) -> dict[str, Entry]:
        """All requests that were shown."""
        return {member_id: member for _, members in self.read for member_id, member in members.items()}


def with_children(job: Job, data: Item, seen: Observation) -> Exchange[Observation]:
    """Read the children of a request that was just seen; its own observation is kept even if that fails."""
    # All descendants name the request at the top, which was submitted. That is ours if ours names no parent, unless its
    # type shows that it has one: the request at the top is not known then.
    top, parent = request_id(data.get("absParentRequestId")), request_id(data.get("parentRequestId"))
    unnamed = not top and parent in {"", job.id}
    orphan = unnamed and is_child(data)
    family = _Family(job, job.id if unnamed and not orphan else top)
    try:
        unlisted = yield from family.read_list()
    except NoReply as error:
        return family.result(seen, unanswered(f"the list of children can't be read: {error}"))
    if orphan and not family.found:
        family.doubtful = _unread(ORPHAN)
    if unlisted is None or not _in_trouble(unlisted):
        unlisted = (yield from family.look_at_missing()) or unlisted
    return family.result(seen, unlisted)


def with_known_children(job: Job, seen: Observation) -> Exchange[Observation]:
    """Look at the children of a request that is gone; only those that were alive before are known."""
    if not job.living:
        return seen
    family = _Family(job, "")
    return family.result(seen, (yield from family.look_at_missing()))


class _Family:
    """One look at a family: the calls that are left, and the children that were seen."""

    def __init__(self, job: Job, top: str) -> None:
        """`top` is the request that was submitted, empty if nothing says which."""
        self._job = job
        self._top = top
        self._filter = f"absParentRequestId eq {top}"
        self._left = MOST_CALLS - 1
        self._children: dict[str, Observation] = {}
        self._long = job.long
        self._pages = job.pages
        self.doubtful: Answer | None = None
        """Why a list that was read to its end may yet have more, None if nothing speaks for it."""

    def result(self, seen: Observation, unlisted: Answer | None) -> Observation:
        """Return the request's observation with its children.

        What only a doubtful list shows to have ended is not in ESS's own words.
        """
        unseen = {
            child: Observation(JobState.UNKNOWN, "", Source.NOBODY, child, detail="not seen in this look")
            for child in self._job.living
            if child not in self._children
        }
        children = (*self._children.values(), *unseen.values())
        seen = replace(seen, parent=True, children=children, unlisted=unlisted, pages=self._pages, long=self._long)
        if self.doubtful is None or unlisted is not None:
            return seen
        if not seen.final:
            return replace(seen, unlisted=self.doubtful)
        return replace(seen, source=Source.UNSURE, detail=seen.detail or self.doubtful.detail)

    @property
    def found(self) -> bool:
        """Whether any child was seen."""
        return bool(self._children)

    def read_list(self) -> Exchange[Answer | None]:
        """Read the list of the children; return why not all of them could be seen, None if they were."""
        if not self._top:
            return (yield from self._by_level())
        if not self._long:
            pages = yield from self._read({"q": self._filter}, PLAIN_PAGES, only_short=True)
            incomplete = self._keep(pages)
            if pages.why is not None or pages.whole:
                return pages.why or incomplete
            self._long = True
        if self._top != self._job.id:
            return (yield from self._by_level())
        if not self._pages:
            pages = yield from self._read_living()
            if not pages.refused:
                self._keep(pages)
                more = None if pages.whole else _unread("there are more living children than a look can read")
                return pages.why or more
        return (yield from self._scan())

    def look_at_missing(self) -> Exchange[Answer | None]:
        """Ask for children that were alive before and are on no list; return a reply that asks us to wait, if any."""
        missing = [child for child in self._job.living if child not in self._children]
        try:
            if len(missing) > SINGLY:
                shown = yield from by_ids(missing, self._left)
                self._left -= shown.calls
                found = {one: entry for one, entry in shown.entries.items() if entry.seen.raw and self._ours(*entry)}
                self._children.update({one: entry.seen for one, entry in found.items()})
                if shown.why is not None and _in_trouble(shown.why):
                    return shown.why if shown.why.retry_after else None
                missing = [child for child in missing if child not in found]
            for child in missing[: self._left]:
                seen, item = yield from look_at(Job(child))
                if isinstance(seen, Answer) and _in_trouble(seen):
                    return seen if seen.retry_after else None
                if isinstance(seen, Observation) and seen.source is Source.OWN and self._ours(item, seen):
                    self._children[child] = seen
        except NoReply:
            pass
        return None

    def _ours(self, item: Item, seen: Observation) -> bool:
        """Whether what is shown may be our child: it does not name another family, or it has ended."""
        return seen.ended or request_id(item.get("absParentRequestId")) in {"", self._top} or not self._top

    def _read(
        self,
        query: Mapping[str, str],
        most: int,
        first: int = 0,
        *,
        parents: Collection[str] = (),
        only_short: bool = False,
        only_living: bool = False,
    ) -> Exchange[Pages]:
        """Read pages from number `first` on, at most `most` of them, until one shows that the list has ended.

        Some servers count pages from 0, others from 1, so the second page asked for may be the first one again. All
        requests must be children of `parents`, if these are given, and of the family otherwise. With `only_short`,
        reading stops once `count` shows that the list is longer than `most` pages; with `only_living`, once a page
        shows a child that has ended, although the filter excludes those.
        """
        kin = parents or {self._top}
        named_by = ["parentRequestId"] if parents else ["absParentRequestId", "requestId"]
        read: list[tuple[int, Mapping[str, Entry]]] = []
        seen: set[str] = set()
        before: set[str] | None = None
        counts: list[int | None] = []
        room = max(0, self._left - min(KEPT, len(self._job.living)))  # the rest is for looks at single children
        for number in range(first, first + min(most, room)):
            self._left -= 1
            reply, shown = yield from read_page({**query, "fields": FIELDS}, number)
            if number and (said := no_page(reply)):
                shown = {}
                self.doubtful = self.doubtful if said is Source.OWN else _unread(CUT_OFF)
            if shown is None or not all(state_word(item) for item in shown.values()):
                # A proxy's page says nothing about the query.
                refused = reply.status in REFUSED_QUERY and reply.data is not None
                return Pages(tuple(read), why=no_list(reply), refused=refused)
            if not all(any(request_id(item.get(name)) in kin for name in named_by) for item in shown.values()):
                return Pages(tuple(read), why=_unread(FOREIGN))
            counts.append(counted(reply))
            unseen = (one for one in shown if one not in seen)
            new = {one: Entry(shown[one], observation(shown[one], one, reply.date)) for one in unseen}
            if only_living and any(member.seen.state in FINAL for member in new.values()):
                return Pages((), refused=True)
            if not new and shown and shown.keys() == before:
                before = None  # the next page shows whether this is the end
                continue
            if not new:
                why = lacking(counts, None if first else len(seen))
                return Pages(tuple(read), whole=not why, why=_unread(why) if why else None)
            before = set(shown)
            seen |= new.keys()
            read.append((number, new))
            if only_short and total(counts) > most * len(new):
                break
        return Pages(tuple(read))

    def _keep(self, pages: Pages) -> Answer | None:
        """Keep the descendants of our request; say so if some request's chain of parents is not known."""
        members = pages.members
        broken = False
        for member_id, member in members.items():
            above = self._above(member_id, members)
            broken |= above not in {self._job.id, self._top}
            if member_id != self._job.id and above == self._job.id:
                self._children[member_id] = member.seen
        return _unread(BROKEN) if broken else None

    def _above(self, member_id: str, members: Mapping[str, Entry]) -> str:
        """Follow a request's parents up to our request or the top; return where that ends, empty for a cycle."""
        if self._top == self._job.id:
            return self._top  # the list shows only descendants of our request
        passed: set[str] = set()
        while member_id in members and member_id not in {self._job.id, self._top, *passed}:
            passed.add(member_id)
            member_id = request_id(members[member_id].item.get("parentRequestId"))
        return "" if member_id in passed else member_id

    def _by_level(self) -> Exchange[Answer | None]:
        """Ask for the children, then for their children, for many parents in one query if the server supports that."""
        parents, size = [self._job.id], IDS
        known = {self._job.id}
        while parents:
            asked = parents[:size]
            query = {"q": " or ".join(f"parentRequestId eq {one}" for one in asked)}
            pages = yield from self._read(query, MOST_CALLS, parents=asked)
            if pages.refused and len(asked) > 1:
                size = 1
                continue
            new = {one: member for one, member in pages.members.items() if one not in known}
            self._children.update({one: member.seen for one, member in new.items()})
            if not pages.whole:
                return pages.why or _unread("the family has more requests than a look can read")
            known |= new.keys()
            branches = [one for one, member in new.items() if member.seen.parent]
            parents = [*parents[size:], *branches]
        return None

    def _read_living(self) -> Exchange[Pages]:
        """Ask for the living descendants alone; `refused` if the server refuses or ignores such a filter.

        An empty list is believed only if a filter of the same form does show the children that have ended.
        """
        pages = yield from self._read({"q": self._filter + NOT_ENDED}, MOST_CALLS, only_living=True)
        if pages.read or pages.refused or pages.why is not None:
            return pages
        others = yield from self._read({"q": self._filter + NOT_LIVING}, 1)
        shows = others.why is not None or any(member.seen.state in FINAL for member in others.members.values())
        return others._replace(read=(), whole=True) if shows else Pages((), refused=True)

    def _scan(self) -> Exchange[Answer | None]:
        """Read a few more pages of the whole list, oldest children first, from the first page that may change."""
        missing = len(self._job.living)
        most = SCAN_PAGES - (missing if missing <= SINGLY else 1)
        query = {"q": self._filter, "orderBy": "requestId:asc"}
        pages = yield from self._read(query, most, self._pages)
        order = [int(member_id) for member_id in pages.members]
        if order != sorted(order):
            self._pages = 0
            return _unread(DISORDERED)
        self._keep(pages)
        if self._pages and pages.whole and not pages.read:
            self._pages = 0
            return _unread(SHRUNK)
        known = {*self._job.living, self._job.id}
        for (_, members), (following, _) in pairwise(pages.read):
            # What has ended need not be shown again, and later looks ask for what is alive by its id.
            if any(one not in known and member.seen.state is JobState.UNKNOWN for one, member in members.items()):
                break
            self._pages = following
        if pages.whole or pages.why is not None:
            return pages.why
        return _unread(f"the list of children is long: {self._pages} pages have been read, the next look goes on")


def _unread(why: str) -> Answer:
    """Say why the lists do not show the whole family, although the API itself returned them."""
    return Answer(AnswerKind.UNANSWERED, Source.OWN, OK, detail=why)


def _in_trouble(why: Answer) -> bool:
    """Whether the next call of this look would most likely fail as well."""
    status = why.status or 0
    fails = status == UNAUTHORIZED or status >= 500  # noqa: PLR2004 - its own errors
    return fails or why.kind is AnswerKind.BUSY or why.retry_after is not None
