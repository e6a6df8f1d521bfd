"""PURE: the JSON Schema of events: for each type the attributes and the data that it has.

A new type is a line in `TYPES`. What we write only grows, so readers leave alone what they do not know; `closed`
schemas, which allow nothing else, are for tests.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from ...domain.decision import CONDITIONS
from ...domain.model import Action, AnswerKind, Evidence, Force, JobState, Outcome, Verb
from ..batches import BatchState
from ..json_types import Schema
from ..operator_actions import ACTIONS
from .documents import document, fields, one_of_or_null

TEXT: Final[Schema] = {"type": "string"}
TEXT_OR_NULL: Final[Schema] = {"type": ["string", "null"]}
NUMBER: Final[Schema] = {"type": "number", "minimum": 0}
COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
TIME: Final[Schema] = {
    "type": "string",
    "format": "date-time",
    "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z$",
}
TIME_OR_NULL: Final = one_of_or_null(TIME)
TEXTS: Final[Schema] = {"type": "object", "additionalProperties": TEXT}


def words(values: Iterable[str]) -> Schema:
    """Describe one of a few words."""
    return {"enum": [str(one) for one in values]}


STATE: Final = words(JobState)


ACTION: Final[Mapping[str, Schema]] = {
    name: fields({"name": {"const": name}, "by": TEXT, "signed_by": TEXT, "reason": TEXT}, "signed_by", closed=True)
    for name in ACTIONS
}
"""Who did what, and why."""
EFFECTIVE: Final = fields(
    {
        "force": words(Force),
        "force_after": NUMBER,
        "give_up_after": NUMBER,
        "attest": {"const": "another"},
    },
    "attest",
    closed=True,
)
SAID: Final[Mapping[str, Schema]] = {
    "reason": TEXT_OR_NULL,
    "requested_by": TEXT_OR_NULL,
    "signed_by": TEXT,
    "labels": TEXTS,
    "batch_id": TEXT_OR_NULL,
    "reply_to": {"type": "array", "items": TEXT},
}
"""What a producer says, as events repeat it."""
JOINED: Final = fields({"command_id": TEXT, "verb": words(Verb), **SAID}, "signed_by", "reply_to", closed=True)
ANSWER: Final[Schema] = {
    "oneOf": [
        {"const": "unanswered"},
        fields(
            {"status": {"type": ["integer", "null"]}, "code": TEXT_OR_NULL, "meaning": words(AnswerKind)}, closed=True
        ),
    ]
}
CONDITION: Final = fields({"met": {"enum": [True, False, "unknown"]}, "evidence": TEXT}, closed=True)
GATE: Final = fields({**dict.fromkeys(CONDITIONS, CONDITION), "earliest_at": TIME}, *CONDITIONS, closed=True)
CALLS: Final[Schema] = {"type": "object", "propertyNames": words(Action), "additionalProperties": COUNT}
CHILD_ENDS: Final = (*map(str, Outcome), "open")


SEEN_CHILD: Final = fields({"job_id": TEXT, "job_state": STATE, "raw_state": TEXT}, closed=True)
SEEN_CHILDREN: Final[Schema] = {"type": "array", "items": SEEN_CHILD}
ENDED_CHILD: Final = fields({"job_id": TEXT, "outcome": words(CHILD_ENDS), "raw_state": TEXT}, closed=True)
PLAN: Final = fields(
    {
        "would": {"enum": ["cancel", "delete", "nothing"]},
        "because": TEXT,
        "job_state": STATE,
        "raw_state": TEXT_OR_NULL,
        "children": SEEN_CHILDREN,
    },
    closed=True,
)
ATTESTED: Final[Mapping[str, Schema]] = {"attested_by": TEXT_OR_NULL, "attestation_signed_by": TEXT}
SENT: Final[Mapping[str, Schema]] = {"answer": ANSWER, "target_job_id": TEXT, "detail": TEXT_OR_NULL}
FINISHED: Final[Mapping[str, Schema]] = {
    "outcome": words(Outcome),
    "evidence": words(Evidence),
    "safe_to_rerun": {"type": "boolean"},
    "job_state": STATE,
    "raw_state": TEXT_OR_NULL,
    "detail": TEXT,
    "calls": CALLS,
    "backend_facts": TEXTS,
    "children": {"type": "array", "items": ENDED_CHILD},
    **ATTESTED,
    "action": ACTION["abort"],
    "plan": PLAN,
    "accepted_at": TIME,
    "cancel_sent_at": TIME_OR_NULL,
    "force_sent_at": TIME_OR_NULL,
    "delete_sent_at": TIME_OR_NULL,
    "finished_at": TIME,
}

OWN: Final[Mapping[str, Schema]] = {
    "cancellation_id": TEXT,
    "command_ids": {"type": "array", "items": TEXT, "maxItems": 100},
    "command_ids_total": COUNT,
    "backend": TEXT,
    "job_id": TEXT,
    "verb": words(Verb),
    **SAID,
}
"""The data that every event about a cancellation has."""
SOMETIMES: Final = ("command_ids_total", *SAID)
"""Those of them that may be absent: all but `signed_by` are there unless Redis has lost them."""
READABLE: Final = ("backend", "job_id", "verb", "reason", "requested_by", "labels", "batch_id", "reply_to")
"""What a `rejected` event repeats if it could be read, whatever its value."""
ORDER: Final[Mapping[str, Schema]] = {
    "id": {},
    "action": {
        "type": "object",
        "required": ["name", "by", "reason"],
        "properties": {"name": TEXT, "by": {}, "reason": {}},
    },
}
"""What it says of an operator's order: what the order was about, who gave it, and why."""

HEAD: Final[Mapping[str, Schema]] = {
    "specversion": {"const": "1.0"},
    "id": {**TEXT, "minLength": 1},
    "source": {**TEXT, "pattern": "^/"},
    "time": TIME,
    "datacontenttype": {"const": "application/json"},
    "subject": TEXT,
    "backend": TEXT,
}
"""The attributes that all events have."""
NUMBERED: Final[Mapping[str, Schema]] = {
    "cancellationid": TEXT,
    "sequence": {"type": "string", "pattern": "^[0-9]{10,}$"},
    "sequencetype": {"const": "Integer"},
    "traceparent": TEXT,
}
"""The attributes of a cancellation's events."""


BATCH: Final[Mapping[str, Schema]] = {
    "batch_id": TEXT,
    "state": words(BatchState),
    "counts": fields(
        {
            **dict.fromkeys(("selected", "waiting", "open", "rejected"), COUNT),
            "finished": {"type": "object", "propertyNames": words(Outcome), "additionalProperties": COUNT},
        },
        closed=True,
    ),
}
"""The data that every event of a batch has."""
ORDERED: Final[Mapping[str, Schema]] = {"by": TEXT, "signed_by": TEXT, "reason": TEXT}
"""Who has paused, resumed or aborted a batch, and why."""


@dataclass(frozen=True, slots=True)
class Type:
    """One type of event: its data, and its attributes besides those that all have; the optional ones may be absent."""

    name: str
    about: str
    data: Mapping[str, Schema]
    optional_data: tuple[str, ...] = ()
    attributes: Mapping[str, Schema] = field(default_factory=dict)
    optional: tuple[str, ...] = ()

    def schema(self, *, closed: bool) -> Schema:
        """Return its schema; if it is closed, nothing else may be there."""
        data = fields(self.data, *self.optional_data, closed=closed)
        attributes = {**HEAD, **self.attributes, "type": {"const": self.name}, "data": data}
        return fields(attributes, *self.optional, closed=closed, description=self.about)


def of_cancellation(word: str, about: str, data: Mapping[str, Schema], *optional: str, ends: bool = False) -> Type:
    """Return a type of event of a cancellation; the one that `ends` it has its outcome as an attribute too."""
    attributes = {**NUMBERED, "outcome": words(Outcome)} if ends else NUMBERED
    name, may_lack = f"canceller.cancellation.{word}.v1", (*SOMETIMES, *optional)
    return Type(name, about, {**OWN, **data}, may_lack, attributes, ("traceparent",))


def of_batch(word: str, about: str, data: Mapping[str, Schema], *optional: str) -> Type:
    """Return a type of event of a batch, which is about no backend."""
    numbered = {name: NUMBERED[name] for name in ("sequence", "sequencetype")}
    return Type(f"canceller.batch.{word}.v1", about, {**BATCH, **data}, optional, numbered, ("backend",))


TYPES: Final[tuple[Type, ...]] = (
    of_cancellation(
        "accepted",
        "A command opened a cancellation.",
        {
            "effective": EFFECTIVE,
            "dry_run": {"const": True},
            "expect": fields({"raw_state": TEXT}, closed=True),
            "not_before": TIME,
        },
        *("dry_run", "expect", "not_before"),
    ),
    of_cancellation(
        "joined", "A command joined an open cancellation.", {"joined": JOINED, "not_before": TIME}, "not_before"
    ),
    of_cancellation("cancel_sent", "A cancel was answered, or went unanswered.", SENT),
    of_cancellation("delete_sent", "A delete was answered, or went unanswered.", SENT),
    of_cancellation("force_sent", "A force was answered, or went unanswered.", SENT),
    of_cancellation(
        "force_held", "The force step is due and a condition is not met.", {"gate": GATE, "target_job_id": TEXT}
    ),
    of_cancellation("held", "An operator held the cancellation.", {"action": ACTION["hold"], "until": TIME}, "until"),
    of_cancellation("released", "The hold is over.", {"action": ACTION["release"]}),
    of_cancellation(
        "attested",
        "Somebody gave their word that the remote process is gone.",
        {"action": ACTION["attest"], "child": TEXT},
        "child",
    ),
    of_cancellation(
        "attestation_void",
        "That word no longer counts.",
        {**ATTESTED, "child": TEXT_OR_NULL, "detail": TEXT},
        "attestation_signed_by",
    ),
    of_cancellation(
        "overdue",
        "The job is not confirmed stopped after warn_after.",
        {
            "warn_after": NUMBER,
            "job_state": {"enum": [*map(str, JobState), None]},
            "raw_state": TEXT_OR_NULL,
            "detail": TEXT_OR_NULL,
            "calls": CALLS,
        },
    ),
    of_cancellation("finished", "The end.", FINISHED, "attestation_signed_by", "action", "plan", ends=True),
    Type(
        "canceller.cancellation.rejected.v1",
        "A command or an operator action was rejected; what it said is repeated as far as it can be read.",
        {"error": TEXT, "command_id": TEXT, "signed_by": TEXT, **{name: {} for name in READABLE}, **ORDER},
        ("signed_by", *READABLE, *ORDER),
        optional=("subject", "backend"),
    ),
    Type(
        "canceller.backend.paused.v1",
        "After failures in a row, a backend is not called until `until`.",
        {"backend": TEXT, "failures": COUNT, "until": TIME},
    ),
    Type("canceller.backend.resumed.v1", "A backend answers again.", {"backend": TEXT}),
    Type(
        "canceller.job.reappeared.v1",
        "A job lives again after its cancellation has ended.",
        {
            **OWN,
            "outcome": words(Outcome),
            "finished_at": TIME,
            "job_state": STATE,
            "raw_state": TEXT,
            "children": SEEN_CHILDREN,
            "backend_facts": TEXTS,
        },
        SOMETIMES,
        {"traceparent": TEXT},
        ("traceparent",),
    ),
    of_batch("started", "All parts of a batch are there.", {"options": {"type": "object"}}),
    of_batch("progress", "Counters of a batch have changed; at most once a second.", {}),
    of_batch("paused", "A batch starts nothing new.", {**ORDERED, "hold": {"type": "boolean"}}, "signed_by"),
    of_batch("resumed", "A batch goes on.", ORDERED, "signed_by"),
    of_batch("finished", "The end of a batch.", ORDERED, *ORDERED),
)
"""All types of events. A new one is a line here."""


def schema(*, closed: bool = False) -> Schema:
    """Return the published schema of events."""
    about = "One event, a CloudEvents 1.0 JSON object. Each type is under $defs. Later versions may add fields."
    types = {one.name: one.schema(closed=closed) for one in TYPES}
    known = {"type": "object", "properties": {"type": {"enum": list(types)}}, "required": ["type"]}
    chosen = [
        {"if": {"properties": {"type": {"const": name}}, "required": ["type"]}, "then": {"$ref": f"#/$defs/{name}"}}
        for name in types
    ]
    return document("events", "Events", about, {**known, "allOf": chosen, "$defs": types})
