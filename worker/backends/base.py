"""What an adapter is: the pure translation between our words and one backend's wire format.

An adapter never does IO. Each of its calls is an exchange: a generator that yields a `Request`,
is sent the `Reply`, may yield more, and returns what it all means. Whoever drives it does the IO
(`worker.backends.http`); a reply that never came ends the exchange outside, as unanswered.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Any, Protocol

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from worker.model import Action, Answer, AnswerKind, Job, JobState, Observation, Steps

LONGEST_RETRY_AFTER = 86400.0
"""Seconds; a backend that asks for more is asked again after a day."""


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
    """One HTTP reply, whole. Header names are lower case."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def ok(self) -> bool:
        """Whether the status is a 2xx."""
        return 200 <= self.status < 300  # noqa: PLR2004 - what 2xx means

    @property
    def data(self) -> Mapping[str, Any] | None:
        """The JSON object in the body, or None if there is none (HTML, truncated, a bare list)."""
        value = parsed(self.body)
        return value if isinstance(value, dict) else None

    @property
    def html(self) -> bool:
        """Whether a proxy's or a login page speaks, and not the API."""
        return "html" in self.headers.get("content-type", "").lower() or self.body.lstrip().startswith(b"<")

    @property
    def empty_or_data(self) -> bool:
        """Whether the body is what an API gives where it has nothing to say: nothing, or a JSON object."""
        return not self.body.strip() or self.data is not None

    @property
    def date(self) -> datetime | None:
        """The backend's clock: the `Date` header, whole seconds."""
        moment = http_date(self.headers.get("date", ""))
        return moment.replace(tzinfo=UTC) if moment and not moment.tzinfo else moment

    @property
    def retry_after(self) -> float | None:
        """Seconds to wait that the backend asks for, from either form of `Retry-After`."""
        wanted = self.headers.get("retry-after", "").strip()
        if wanted.isdecimal():
            return min(float(wanted), LONGEST_RETRY_AFTER)
        until = http_date(wanted)
        if not (until and until.tzinfo and self.date):
            return None
        return min(max(0.0, (until - self.date).total_seconds()), LONGEST_RETRY_AFTER)

    def excerpt(self, limit: int = 200) -> str:
        """Return the start of the body as one printable line, for a `detail`."""
        return text(self.body[: limit * 4].decode("utf-8", "replace"), limit)


def parsed(body: bytes) -> object:
    """Read JSON, None if it is none; what only a lenient reader takes (a BOM, NaN, half a surrogate) too."""
    try:
        return msgspec.json.decode(body)
    except (ValueError, RecursionError):
        pass
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


@lru_cache(maxsize=64)
def http_date(written: str) -> datetime | None:
    """Read a time of an HTTP header, None if it is none; replies of one second share theirs."""
    try:
        return parsedate_to_datetime(written)
    except (ValueError, OverflowError):
        return None


TEXTS = (str, int)


def text(value: object, limit: int = 200) -> str:
    """Return a text or whole number of a reply as one printable line, and anything else as an empty text."""
    if not isinstance(value, TEXTS) or isinstance(value, bool):
        return ""
    written = str(value)
    if not written.isprintable():
        written = "".join(char if char.isprintable() else " " for char in written)
    return written[:limit].strip()


def facts(data: Mapping[str, Any], names: tuple[str, ...]) -> dict[str, str]:
    """Pick the listed fields that a reply gives a value."""
    return {name: value for name in names if (value := text(data.get(name)))}


Look = Generator[Request, Reply, Observation | Answer]
Survey = Generator[Request, Reply, Mapping[str, Observation] | Answer]
Call = Generator[Request, Reply, Answer]


class Adapter(Protocol):
    """The translation for one kind of backend."""

    @property
    def steps(self) -> Steps:
        """The backend's escalation."""

    @property
    def params(self) -> frozenset[str]:
        """The names of `params` that a command may carry."""

    def problem(self, job: Job) -> str:
        """Say why a command for this job can't be taken, or return an empty text."""

    def address(self, job: Job) -> str:
        """Return what beside the id addresses the job, empty where the id alone does."""

    def look(self, job: Job) -> Look:
        """Observe the job and change nothing; an `Answer` says why nothing was seen."""

    def look_many(self, jobs: Sequence[Job]) -> Survey | None:
        """Observe many jobs with a tenth as many calls, or fewer; None where the backend's lists don't allow that.

        The result is by job id. It holds only what a look at the job alone would show as well: a job that
        is missing in a list, or that a list tells too little of, is left out and looked at alone. An
        `Answer` says why the list can't be used.
        """

    def cancel(self, job: Job) -> Call:
        """Ask the backend to stop the job."""

    def force(self, job: Job) -> Call:
        """Take the backend's last resort; only called where `steps.force` holds."""

    def delete(self, job: Job) -> Call:
        """Remove the job's record."""


def call(adapter: Adapter, action: Action, job: Job) -> Call:
    """Return the exchange of a changing call."""
    return {Action.CANCEL: adapter.cancel, Action.FORCE: adapter.force, Action.DELETE: adapter.delete}[action](job)


COMMON_KINDS: Mapping[int, AnswerKind] = {
    401: AnswerKind.REFUSED,
    403: AnswerKind.REFUSED,
    404: AnswerKind.NOT_FOUND,
    408: AnswerKind.UNANSWERED,
    409: AnswerKind.BUSY,
    429: AnswerKind.BUSY,
}
"""What a status means where a backend gives it no meaning of its own.

A 401 reaches an adapter only after the credential was renewed and the call made again.
A 408 leaves open whether the call had an effect.
"""


def answer(reply: Reply, kind: AnswerKind, *, code: str = "", detail: str = "") -> Answer:
    """Build an answer of the given kind from a reply; one that was taken needs no excerpt to explain it."""
    told = detail or ("" if kind is AnswerKind.ACCEPTED else reply.excerpt())
    return Answer(kind, reply.status, code, told, reply.retry_after)


def common_answer(reply: Reply, otherwise: AnswerKind, *, code: str = "", detail: str = "") -> Answer:
    """Judge a reply by its status alone.

    A 5xx, or a 3xx that nobody asked for, tells nothing. Nor does a proxy's own 404 page: only the
    API knows whether there is such a job.
    """
    if reply.status >= 500 or 300 <= reply.status < 400:  # noqa: PLR2004 - the classes of HTTP statuses
        kind = AnswerKind.UNANSWERED
    else:
        kind = COMMON_KINDS.get(reply.status, otherwise)
    if kind is AnswerKind.NOT_FOUND and reply.html:
        kind = AnswerKind.UNANSWERED
    return answer(reply, kind, code=code, detail=detail)


LONGEST_ID = 512
"""Characters of a job's id."""

CALLS_SAVED = 10
"""A list is worth reading where it takes one call for so many looks."""


def pages_worth(jobs: Sequence[Job]) -> int:
    """Return how many pages of a list are cheaper than looks at the jobs one by one."""
    return len(jobs) // CALLS_SAVED


def items(reply: Reply, name: str, key: str) -> dict[str, Mapping[str, Any]] | None:
    """Return the objects of the list `name` in a success's body by their `key`.

    None if it is no such list: an object can't be read, or two go by one key.
    """
    entries = reply.data.get(name) if reply.ok and reply.data else None
    if not isinstance(entries, list) or not all(isinstance(one, dict) and text(one.get(key)) for one in entries):
        return None
    found = {text(one[key], LONGEST_ID): one for one in entries}
    return found if len(found) == len(entries) else None


def seen_nothing(judged: Answer) -> Answer:
    """Turn the judgement of a look's reply into why nothing was seen: busy, refused, or no usable answer."""
    usable = judged.kind in {AnswerKind.BUSY, AnswerKind.REFUSED}
    return judged if usable else replace(judged, kind=AnswerKind.UNANSWERED)


def gone(reply: Reply, job: Job, raw: str, detail: str = "", *, vague: bool = False) -> Observation:
    """Say that the backend knows no such job; `vague` where the reply has nothing that only the API would say."""
    return Observation(JobState.GONE, raw, job.id, clock=reply.date, detail=detail or reply.excerpt(), vague=vague)


def no_force(job: Job) -> Call:
    """Refuse the force step of a backend that has none, without a call."""
    yield from ()
    return Answer(AnswerKind.REFUSED, detail=f"this backend has no force step for job {job.id}")
