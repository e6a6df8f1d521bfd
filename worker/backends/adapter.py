"""What an adapter is: the pure translation between our words and one backend's wire format.

An adapter never does IO. Each of its calls is an exchange: a generator that yields a `Request`,
is sent the `Reply`, may yield more, and returns what it all means. Whoever drives it does the IO
(`worker.http.client`); a reply that never came ends the exchange outside, as unanswered.
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
    """One HTTP reply, whole. Header names are lower case; `received` is when it came, on this host's clock."""

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
        """The backend's clock: the `Date` header, whole seconds; None of a reply from a cache, which has an `Age`."""
        return None if "age" in self.headers else http_date(self.headers.get("date", ""))

    @property
    def retry_after(self) -> float | None:
        """Seconds to wait that the backend asks for, rounded up; the longest of several.

        A time counts from the reply's `Date`, or from when it came.
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


def facts(data: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, str]:
    """Pick the listed fields that a reply gives a value."""
    return {name: value for name in names if (value := text(data.get(name)))}


class NoReply(Exception):
    """Thrown into an exchange whose call got no reply; one that knows another way may go on."""


Look = Generator[Request, Reply, Observation | Answer]
LookMany = Generator[Request, Reply, Mapping[str, Observation] | Answer]
Call = Generator[Request, Reply, Answer]


class Adapter(ABC):
    """The translation for one kind of backend.

    By default ids are opaque and address a job alone, the base URL alone leads to the jobs, and there is no force step.
    """

    steps: ClassVar[Steps]
    """The backend's escalation."""
    params: ClassVar[frozenset[str]] = frozenset()
    """The names of `params` that a command may carry."""
    within: tuple[str, ...] = ()
    """What beside the base URL leads to its jobs, in words."""

    def problem(self, job: Job) -> str:  # noqa: ARG002 - by default it takes any
        """Say why a command for this job can't be taken, or return an empty text."""
        return ""

    def address(self, job: Job) -> str:  # noqa: ARG002 - by default nothing
        """Return what beside the id addresses the job, empty if the id alone does."""
        return ""

    @abstractmethod
    def look(self, job: Job) -> Look:
        """Observe the job and change nothing; an `Answer` says why nothing was seen."""

    @abstractmethod
    def look_many(self, jobs: Sequence[Job]) -> LookMany:
        """Observe many jobs with a tenth as many calls, or fewer: with none if the backend's lists don't allow that.

        There are at least `CALLS_SAVED` of them.
        The result is by job id. It holds only what a look at the job alone would show as well: a job that
        is missing in a list, or of which it shows too little, is left out and looked at alone. An
        `Answer` says why the list can't be used.
        """

    @abstractmethod
    def change(self, action: Action, job: Job) -> Call:
        """Stop the job, take the backend's last resort if `steps.force` says that it has one, or remove the record."""


def call(adapter: Adapter, action: Action, job: Job) -> Call:
    """Make a changing call; a force on a backend that has no such step is refused without one."""
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
"""Reaches an adapter only after the credential was renewed and the call made again."""

ERROR_KEYS = frozenset(
    {"error", "errors", "errorcode", "error_code", "errormessage", "error_message", "error_msg", "error_name", "fault"}
)
"""Keys, in lower case, of bodies that report an error whatever the status says."""


def answer(reply: Reply, kind: AnswerKind, source: Source, *, code: str = "", detail: str = "") -> Answer:
    """Build an answer of the given kind from a reply; without a `detail` the start of the body explains it.

    One that was taken needs no explanation. A refusal by a 401 is about our credential, in whatever words.
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
"""Ends the part of a path that is shown: behind it may be a session, and before an `@` a user and a password."""


def redirect(reply: Reply) -> str:
    """Say where a 3xx points, for a `detail`: by host and path alone, since the rest of an address may be secret."""
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

    A 5xx or an unexpected 3xx proves nothing; the `detail` of a 3xx says where it points. A refusal with a code that is
    not `known` may be anybody's.
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
    """Judge a success of a changing call: it was taken if the body is what the API gives."""
    if fits:
        return answer(reply, AnswerKind.ACCEPTED, Source.OWN)
    return answer(reply, AnswerKind.UNANSWERED, Source.NOBODY)


def tells_error(data: Mapping[str, Any]) -> bool:
    """Whether a body reports an error, whatever the status says; a key without a value reports none."""
    return any(value for key, value in data.items() if key.lower() in ERROR_KEYS)


def silent(reply: Reply) -> bool:
    """Whether a success has no body, or an object that tells of no error."""
    return not reply.body.strip() if reply.data is None else not tells_error(reply.data)


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
    """Whether a reply names a job, and not ours; a name that can't be read is none of ours."""
    ours = text(job.id, LONGEST_ID)
    return any(text(one, LONGEST_ID + 1) != ours for one in named if one is not None and one != "")


def names(job: Job, written: str) -> bool:
    """Whether a text names our job, as a word of its own.

    A gateway may repeat the path that it was asked for, so an id within a path or an address names nothing.
    """
    return re.search(rf"(?<![\w/:.-]){re.escape(job.id)}(?![\w/:-]|\.\w)", written) is not None


LONGEST_ID = 512
"""Characters of a job's id."""

CALLS_SAVED = 10
"""A page of a list is worth reading if it saves this many looks at jobs one by one."""


def items(
    reply: Reply, name: str, key: str, read: Callable[[object], str] = lambda value: text(value, LONGEST_ID)
) -> dict[str, Mapping[str, Any]] | None:
    """Return the objects of the list `name` in a success's body by their `key`, which `read` makes an id of.

    None if it is no such list: an object can't be read, or two go by one id.
    """
    entries = reply.data.get(name) if reply.ok and reply.data else None
    if not isinstance(entries, list):
        return None
    found: dict[str, Mapping[str, Any]] = {read(one.get(key)): one for one in entries if isinstance(one, dict)}
    return found if len(found) == len(entries) and "" not in found else None


def seen_nothing(judged: Answer) -> Answer:
    """Turn the judgement of a look's reply into why nothing was seen: busy, refused, or no usable answer."""
    usable = judged.kind in {AnswerKind.BUSY, AnswerKind.REFUSED}
    return judged if usable else replace(judged, kind=AnswerKind.UNANSWERED)


def unusable(reply: Reply, why: str) -> Answer:
    """Return why a look's success shows nothing of the job."""
    judged = answer(reply, AnswerKind.UNANSWERED, Source.NOBODY)
    return replace(judged, detail=f"{why}: {judged.detail}" if judged.detail else why)


def unseen(reply: Reply, job: Job, judged: Answer, raw: str) -> Observation | Answer:
    """Say what a look's reply shows that is no success: that there is no such job, in whosever words, or nothing."""
    if judged.kind is not AnswerKind.NOT_FOUND:
        return seen_nothing(judged)
    return Observation(JobState.GONE, raw, judged.source, job.id, clock=reply.date, detail=judged.detail)
