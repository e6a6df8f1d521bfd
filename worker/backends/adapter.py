"""What an adapter is: the pure translation between our words and one backend's wire format.

An adapter never does IO. Each of its calls is an exchange: a generator that yields a `Request`,
is sent the `Reply`, may yield more, and returns what it all means. Whoever drives it does the IO
(`worker.http.client`). If no reply comes, `NoReply` is thrown into it; unless it goes on, the call
counts as unanswered.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from msgspec import Struct, field
from msgspec.structs import replace

from ..domain.model import Action, Answer, AnswerKind, Job, JobState, Observation, Source, Steps
from .json_text import parsed
from .times import http_date, longest_wait


class Request(Struct, frozen=True):
    """One HTTP request below a backend's `base_url`.

    `path` holds raw segments: each is percent-encoded as a whole, so an id stays one segment.
    """

    method: str
    path: tuple[str, ...]
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    json: object | None = None


class Reply(Struct, frozen=True):
    """One complete HTTP reply. Header names are lower case; `received` is when it came, on this host's clock."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    received: datetime | None = None

    @property
    def ok(self) -> bool:
        """Whether the status is a 2xx."""
        return 200 <= self.status < 300  # noqa: PLR2004 - what 2xx means

    @property
    def data(self) -> Mapping[str, Any] | None:
        """The JSON object in the body, or None if there is none (HTML, truncated, a bare list)."""
        value = parsed(self.body, self.headers.get("content-type", ""))
        return value if isinstance(value, dict) else None

    @property
    def date(self) -> datetime | None:
        """The backend's clock: the `Date` header, in whole seconds; None if an `Age` shows that a cache replied."""
        return None if "age" in self.headers else http_date(self.headers.get("date", ""))

    @property
    def retry_after(self) -> float | None:
        """How many seconds the backend asks us to wait, rounded up; the longest of several.

        If it gives a date, the wait counts from the reply's `Date`, or else from when the reply came.
        """
        if "retry-after" not in self.headers:
            return None
        return longest_wait(self.headers["retry-after"], self.date or self.received)


TEXTS = (str, int)


def text(value: object, limit: int = 200) -> str:
    """Return a text or whole number of a reply as one printable line, and anything else as an empty text."""
    if value is None or (type(value) is not str and (not isinstance(value, TEXTS) or isinstance(value, bool))):
        return ""
    written = str(value)
    if not written.isprintable():
        written = "".join(char if char.isprintable() else " " for char in written)
    return written[:limit].strip()


WHOLE = re.compile(r"([0-9]{1,18})(?:\.0+)?")


def whole_number(value: object) -> int | None:
    """Read how many there are, as a number or a text; None if that is no whole number."""
    found = WHOLE.fullmatch(str(value) if isinstance(value, float) else text(value))
    return int(found[1]) if found else None


def facts(data: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, str]:
    """Pick the listed fields that a reply gives a value."""
    return {name: value for name in names if (value := text(data.get(name)))}


class NoReply(Exception):
    """Thrown into an exchange whose call got no reply; an exchange that knows another way may go on."""


Look = Generator[Request, Reply, Observation | Answer]
LookMany = Generator[Request, Reply, Mapping[str, Observation] | Answer]
Call = Generator[Request, Reply, Answer]


class Adapter(ABC):
    """The translation for one kind of backend.

    By default ids are opaque and enough to address a job, the base URL is enough to find the jobs, and there is no
    force step.
    """

    steps: ClassVar[Steps]
    """The backend's escalation."""
    params: ClassVar[frozenset[str]] = frozenset()
    """The names of `params` that a command may carry."""
    within: tuple[str, ...] = ()
    """What is needed besides the base URL to find its jobs, in words."""

    def problem(self, job: Job) -> str:  # noqa: ARG002 - by default any job can be taken
        """Say why a command for this job can't be taken, or return an empty text."""
        return ""

    def address(self, job: Job) -> str:  # noqa: ARG002 - by default nothing
        """Return what is needed besides the id to address the job, empty if nothing is."""
        return ""

    @abstractmethod
    def look(self, job: Job) -> Look:
        """Observe the job and change nothing; an `Answer` says why nothing was seen."""

    @abstractmethod
    def look_many(self, jobs: Sequence[Job]) -> LookMany:
        """Observe many jobs with a tenth as many calls, or fewer; make none if the backend's lists don't allow that.

        There are at least `CALLS_SAVED` jobs.
        The result is by job id. It holds only what a look at the job alone would show as well: a job that
        a list does not show, or shows too little of, is left out and looked at alone. An
        `Answer` says why the list can't be used.
        """

    @abstractmethod
    def change(self, action: Action, job: Job) -> Call:
        """Stop the job, take the backend's last resort if `steps.force` says that it has one, or remove the record."""


def call(adapter: Adapter, action: Action, job: Job) -> Call:
    """Make a changing call; a force on a backend without a force step is refused without a call."""
    if action is Action.FORCE and not adapter.steps.force:
        return Answer(AnswerKind.REFUSED, Source.OWN, detail=f"this backend has no force step for job {job.id}")
    return (yield from adapter.change(action, job))


COMMON_KINDS: Mapping[int, AnswerKind] = {
    401: AnswerKind.REFUSED,
    403: AnswerKind.REFUSED,
    404: AnswerKind.NOT_FOUND,
    408: AnswerKind.UNANSWERED,
    409: AnswerKind.BUSY,
    410: AnswerKind.NOT_FOUND,
    429: AnswerKind.BUSY,
}
"""What a status means if a backend gives it no meaning of its own.

A 408 leaves open whether the call had an effect.
"""
UNAUTHORIZED = 401
"""Reaches an adapter only if the call failed again after the credential was renewed."""

ERROR_KEYS = frozenset(
    {"error", "errors", "errorcode", "error_code", "errormessage", "error_message", "error_msg", "error_name", "fault"}
)
"""Keys, in lower case, of bodies that report an error whatever the status says."""


def answer(reply: Reply, kind: AnswerKind, source: Source, *, code: str = "", detail: str = "") -> Answer:
    """Build an answer of the given kind from a reply; without a `detail` the start of the body explains it.

    An accepted call needs no explanation. A refusal with a 401 is about our credential, whatever its words.
    """
    if not detail and kind is not AnswerKind.ACCEPTED:
        detail = text(reply.body[:800].decode("utf-8", "replace"))
    if kind is AnswerKind.REFUSED and reply.status == UNAUTHORIZED:
        source = Source.CREDENTIAL
    return Answer(kind, source, reply.status, code, detail, reply.retry_after, clock=reply.date)


ADDRESS = re.compile(r"(?:[a-z][a-z0-9+.-]*:[/\\]*|[/\\]{2,})([^/\\?#]*)([^?#]*)", re.IGNORECASE)
"""A `Location` with a host, as browsers read it: its authority and its path."""
HOST = re.compile(r"(?:[\w.-]+|\[[0-9a-f:.]+\])(?::\d+)?", re.IGNORECASE)
PRIVATE = re.compile(r"[?#;\s]|%(?:23|3b|3f)|(@|%40)", re.IGNORECASE)
"""Where the part of a path that is shown ends: a session may follow, or a user and a password precede an `@`."""


def redirect(reply: Reply) -> str:
    """Say where a 3xx points, for a `detail`: by host and path alone, because the rest may be secret."""
    location = reply.headers.get("location", "").strip()
    found = ADDRESS.match(location)
    host, path = (found[1].rpartition("@")[2], found[2]) if found else ("", location)
    if found and not HOST.fullmatch(host):
        return f"HTTP {reply.status} to an address that can't be read"
    if end := PRIVATE.search(path):
        path = path[: end.start()]
        path = path[: path.rfind("/") + 1] if end[1] else path
    return text(f"HTTP {reply.status} to {host}{path}".removesuffix(" to "), 199)


def common_answer(
    reply: Reply, otherwise: AnswerKind, source: Source, *, code: str = "", detail: str = "", known: bool = True
) -> Answer:
    """Judge a reply by its status alone; `source` is whose words its body holds.

    A 5xx or an unexpected 3xx proves nothing; the `detail` of a 3xx says where it points. A refusal whose code is not
    `known` may come from anybody.
    """
    if 300 <= reply.status < 400:  # noqa: PLR2004 - what 3xx means
        detail = f"{redirect(reply)}; {detail}" if detail else redirect(reply)
    if reply.status >= 500 or 300 <= reply.status < 400:  # noqa: PLR2004 - the classes of HTTP statuses
        kind = AnswerKind.UNANSWERED
    else:
        kind = COMMON_KINDS.get(reply.status, otherwise)
    if kind is AnswerKind.REFUSED and source is Source.OWN and not known:
        source = Source.UNSURE
    return answer(reply, kind, source, code=code, detail=detail)


def taken(reply: Reply, *, fits: bool) -> Answer:
    """Judge the success of a changing call: it is accepted only if its body `fits` what the API sends."""
    if fits:
        return answer(reply, AnswerKind.ACCEPTED, Source.OWN)
    return answer(reply, AnswerKind.UNANSWERED, Source.NOBODY)


def tells_error(data: Mapping[str, Any]) -> bool:
    """Whether a body reports an error, whatever the status says; a key without a value reports none."""
    return any(value for key, value in data.items() if key.lower() in ERROR_KEYS)


def silent(reply: Reply) -> bool:
    """Whether a success has no body, or an object that says nothing."""
    if reply.data is None:
        return not reply.body.strip()
    return all(value is None for value in reply.data.values())


def job_in(
    reply: Reply, wrappers: Sequence[str], bare: Callable[[Mapping[str, Any]], object]
) -> Mapping[str, Any] | None:
    """Return the job in a success's body, in a wrapper or bare; None if there is none, or an error beside it.

    `bare` says whether a body is a job itself.
    """
    data = reply.data
    if data is None or tells_error(data):
        return None
    wrapped = (data.get(wrapper) for wrapper in wrappers)
    return next((one for one in wrapped if isinstance(one, dict)), data if bare(data) else None)


def about_another(job: Job, *named: object) -> bool:
    """Whether a reply names a job other than ours; a name that can't be read is not ours."""
    ours = text(job.id, LONGEST_ID)
    return any(text(one, LONGEST_ID + 1) != ours for one in named if one is not None and one != "")


def names(job: Job, written: str) -> bool:
    """Whether a text names our job, as a word of its own.

    A gateway may repeat the path that it was asked for, so an id within a path or an address does not count.
    """
    return re.search(rf"(?<![\w/:.-]){re.escape(job.id)}(?![\w/:-]|\.\w)", written) is not None


LONGEST_ID = 512
"""Characters of a job's id."""

CALLS_SAVED = 10
"""A page of a list is worth reading if it saves this many looks at single jobs."""


def items(
    reply: Reply, name: str, key: str, read: Callable[[object], str] = lambda value: text(value, LONGEST_ID)
) -> dict[str, Mapping[str, Any]] | None:
    """Return the objects of the list `name` in a success's body, by the id that `read` makes of their `key`.

    None if there is no such list, or an error beside it, an entry can't be read, or two entries have the same id.
    """
    entries = reply.data.get(name) if reply.ok and reply.data else None
    if not isinstance(entries, list) or tells_error(reply.data or {}):
        return None
    found: dict[str, Mapping[str, Any]] = {read(one.get(key)): one for one in entries if isinstance(one, dict)}
    return found if len(found) == len(entries) and "" not in found else None


def seen_nothing(judged: Answer) -> Answer:
    """Turn the judgement of a look's reply into why nothing was seen: busy, refused, or no usable answer."""
    usable = judged.kind in {AnswerKind.BUSY, AnswerKind.REFUSED}
    return judged if usable else replace(judged, kind=AnswerKind.UNANSWERED)


def unusable(reply: Reply, why: str) -> Answer:
    """Return why a successful reply to a look shows nothing of the job."""
    judged = answer(reply, AnswerKind.UNANSWERED, Source.NOBODY)
    return replace(judged, detail=f"{why}: {judged.detail}" if judged.detail else why)


def unseen(reply: Reply, job: Job, judged: Answer, raw: str) -> Observation | Answer:
    """Say what an unsuccessful reply to a look shows: that there is no such job, whoever says so, or nothing."""
    if judged.kind is not AnswerKind.NOT_FOUND:
        return seen_nothing(judged)
    return Observation(JobState.GONE, raw, judged.source, job.id, clock=reply.date, detail=judged.detail)
