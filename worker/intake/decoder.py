"""PURE: decodes Celery messages, whichever broker they came from, into what they ask for."""

from __future__ import annotations

import base64
import bz2
import hashlib
import json
import lzma
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

from ..domain.errors import InvalidCommand
from ..protocol.batches import ORDERS, PART_TASK, BatchOrder, BatchPart, parse_order, parse_part
from ..protocol.envelope import BARE, Envelope, envelope_of, eta_of, untagged
from ..protocol.letter_text import beginning, text_of
from ..protocol.message_ids import kept_id
from ..protocol.messages import SUBMIT_LIMIT, order_texts, with_eta
from ..protocol.operator_actions import TASKS, OperatorAction

VERBS: Mapping[str, str] = {"worker.cancel": "cancel", "worker.delete": "delete"}
KNOWN_TASKS = (*VERBS, "worker.submit", *TASKS, PART_TASK, *ORDERS)
SHOWN = 3
"""How many of an order's unknown arguments are named."""
MESSAGE_LIMIT = 256 * 1024 * 1024
"""Bytes of a decompressed message body; 1,000 of the largest commands need less, however they are escaped."""
UNREAD_LIMIT = 2048
"""Characters that are kept of a message that can't be read."""
ENVELOPE = frozenset({"body", "headers", "properties"})
NO_MESSAGE = (
    f"it is not a Celery message, which is an object with {', '.join(sorted(ENVELOPE))}; `send_task` writes one"
)
OWN = -1
"""In place of the number of commands in a message, if some of them have ids of their own."""


DECOMPRESSORS: Mapping[str, Callable[[], Any]] = {
    "application/x-gzip": partial(zlib.decompressobj, wbits=zlib.MAX_WBITS | 32),
    "application/x-bz2": bz2.BZ2Decompressor,
    "application/x-lzma": lzma.LZMADecompressor,
}
"""By kombu's names. Each takes a limit, so that a small message can't grow without bound."""


@dataclass(frozen=True, slots=True)
class Commands:
    """Commands, each with the id to use if it has none of its own."""

    contents: tuple[tuple[object, str], ...]
    envelope: Envelope = BARE
    message_id: str = ""
    """Set only for a message that may hold several commands, as is `count`."""
    count: int = 1
    """How many there are; `OWN` if some have ids of their own, because those can be found only by these ids."""


@dataclass(frozen=True, slots=True)
class ActionRequest:
    """An operator action on a cancellation; `reference` is the cancellation's own id or a command's.

    `more` holds the action's own arguments, as its script reads them.
    """

    action: str
    reference: str
    by: str
    reason: str
    content: object
    message_id: str
    more: Mapping[str, Any] = field(default_factory=dict)
    envelope: Envelope = BARE


@dataclass(frozen=True, slots=True)
class Malformed:
    """A message that can't be read, or asks for something unknown."""

    content: object
    message_id: str
    reason: str


@dataclass(frozen=True, slots=True)
class PartRequest:
    """One part of a batch."""

    part: BatchPart
    content: object
    message_id: str
    envelope: Envelope = BARE


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """An operator's order about a whole batch."""

    order: BatchOrder
    content: object
    message_id: str
    envelope: Envelope = BARE


Item = Commands | ActionRequest | PartRequest | OrderRequest | Malformed


@dataclass(frozen=True)
class RawMessage:
    """A message as AMQP delivers it: the body as bytes, and its properties."""

    body: bytes
    headers: Mapping[str, Any]
    content_type: str | None = None
    content_encoding: str | None = None

    @cached_property
    def raw(self) -> bytes:
        """The message as one text, without headers that belong to one delivery: every delivery yields the same text."""
        whole = {
            "headers": {name: value for name, value in self.headers.items() if not name.startswith("x-")},
            "content-type": self.content_type,
            "content-encoding": self.content_encoding,
            "body": text_of(self.body),
        }
        try:
            return json.dumps(whole, default=repr).encode()
        except (ValueError, TypeError, RecursionError) as error:
            return json.dumps({**whole, "headers": f"unreadable: {type(error).__name__}"}).encode()


def read(task: str, message_id: str, args: object, kwargs: object, options: Mapping[str, Any]) -> Item:
    """Return what a task message asks for; `options` are Celery's own, by their names in a message."""
    if not isinstance(args, list | tuple) or not isinstance(kwargs, Mapping):
        return Malformed({"args": args, "kwargs": kwargs}, message_id, "command: the message holds no arguments")
    whole = {**kwargs, **({"positional": list(args)} if args else {})}
    if args:
        problem = "command: the fields of a command are keyword arguments, not positional ones"
        return Malformed(whole, message_id, problem)
    try:
        envelope = envelope_of(options)
    except InvalidCommand as error:
        content = with_eta(_named(task, kwargs), eta_of(options)) if task in VERBS else _named(task, kwargs)
        return Malformed(content, message_id, str(error))
    if task in VERBS:
        return _command(VERBS[task], message_id, kwargs, envelope)
    if task == "worker.submit":
        return _submit(message_id, kwargs, envelope)
    if task in TASKS:
        return _action_request(TASKS[task], message_id, kwargs, envelope)
    if task == PART_TASK or task in ORDERS:
        return _of_batch(task, message_id, kwargs, envelope)
    problem = f"command: no task is called {task!r:.100}; there are {', '.join(KNOWN_TASKS)}"
    return Malformed(whole, message_id, problem)


def _named(task: str, kwargs: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a message's arguments with the verb that its task stands for; those of a `worker.submit` as they are."""
    if task == "worker.submit" or task not in KNOWN_TASKS:
        return kwargs
    return {"verb": task.removeprefix("worker."), **kwargs}


def _command(verb: str, message_id: str, kwargs: Mapping[str, Any], envelope: Envelope) -> Item:
    if kwargs.get("verb", verb) != verb:
        return Malformed(kwargs, message_id, f"verb: is {kwargs['verb']!r:.40}, but the task is worker.{verb}")
    return Commands((({**kwargs, "verb": verb}, message_id),), envelope)


def _submit(message_id: str, kwargs: Mapping[str, Any], envelope: Envelope) -> Item:
    commands = kwargs.get("commands")
    if set(kwargs) != {"commands"} or not isinstance(commands, list):
        problem = "commands: a worker.submit has one keyword argument, `commands`, a list"
        return Malformed(kwargs, message_id, problem)
    if not commands:
        return Malformed(kwargs, message_id, "commands: is empty; a worker.submit holds at least one command")
    if len(commands) > SUBMIT_LIMIT:
        problem = f"commands: there are {len(commands)}, and one message holds at most {SUBMIT_LIMIT}"
        return Malformed(kwargs, message_id, problem)
    contents = tuple((content, f"{message_id}:{index}") for index, content in enumerate(commands))
    own = any(isinstance(content, Mapping) and content.get("command_id") for content in commands)
    return Commands(contents, envelope, message_id, OWN if own else len(contents))


def _action_request(action: OperatorAction, message_id: str, kwargs: Mapping[str, Any], envelope: Envelope) -> Item:
    content = {**kwargs, "verb": action.name}
    texts = [kwargs.get(name) for name in ("id", "by", "reason")]
    known = {"id", "by", "reason", "token", *action.fields}
    if kwargs.keys() - known or not all(isinstance(text, str) and text for text in texts):
        known_more = "".join(f", and may have {name}" for name in action.fields)
        strange = "".join(f"; it has no {name!r:.40}" for name in sorted(kwargs.keys() - known)[:SHOWN])
        problem = f"{action.name}: needs the keyword arguments id, by and reason, each a string{known_more}{strange}"
        return Malformed(content, message_id, problem)
    if envelope.eta is not None:
        return Malformed(content, message_id, f"eta: {action.name} takes effect at once and has no eta or countdown")
    try:
        more = {name: parse(kwargs[name]) for name, parse in action.fields.items() if kwargs.get(name) is not None}
    except InvalidCommand as error:
        return Malformed(content, message_id, f"{action.name}: {error}")
    reference = str(texts[0]).encode("utf-8", "replace").decode()
    by, reason = order_texts(str(texts[1]), str(texts[2]))
    return ActionRequest(action.name, reference, by, reason, content, message_id, more, envelope)


def _of_batch(task: str, message_id: str, kwargs: Mapping[str, Any], envelope: Envelope) -> Item:
    verb = task.removeprefix("worker.")
    content = {**kwargs, "verb": verb}
    if envelope.eta is not None:
        return Malformed(content, message_id, f"eta: {verb} takes effect at once and has no eta or countdown")
    try:
        if task == PART_TASK:
            return PartRequest(parse_part(kwargs), content, message_id, envelope)
        return OrderRequest(parse_order(task, kwargs), content, message_id, envelope)
    except InvalidCommand as error:
        return Malformed(content, message_id, str(error))


def decode(raw: bytes) -> Item:
    """Read a message as kombu's Redis transport writes it: a JSON envelope, the task in protocol 2 or 1.

    What can't be read is `Malformed`; its id is the one in its headers, or else made from its bytes.
    """
    headers: Mapping[str, Any] = {}
    try:
        envelope = _loads(raw.decode())
        if not isinstance(envelope, Mapping) or not envelope.keys() >= ENVELOPE:
            return unreadable(raw, NO_MESSAGE)
        headers = envelope["headers"]
        body = _bytes(envelope["body"], envelope["properties"])
        received = RawMessage(body, headers, envelope.get("content-type"), envelope.get("content-encoding"))
        return _opened(received, raw)
    except Exception as error:  # noqa: BLE001 - foreign bytes may raise anything; they are rejected
        return unreadable(raw, f"{type(error).__name__}: {error!s:.200}", headers)


def task_of(raw: bytes) -> str:
    """Return the name of a message's task, as kombu's Redis transport writes it; empty if it can't be read."""
    try:
        envelope = json.loads(raw)
        return str(
            envelope["headers"].get("task") or json.loads(_bytes(envelope["body"], envelope["properties"]))["task"]
        )
    except Exception:  # noqa: BLE001 - foreign bytes may raise anything
        return ""


def text_in(content: object, name: str) -> str:
    """Return a text that a command holds under a name; empty if it holds none, or is no command at all."""
    found = content.get(name) if isinstance(content, Mapping) else None
    return found if isinstance(found, str) else ""


def read_raw(received: RawMessage) -> Item:
    """Read a message as kombu's AMQP transport writes it; what can't be read is `Malformed`, as in `decode`."""
    raw = received.raw
    try:
        return _opened(received, raw)
    except Exception as error:  # noqa: BLE001 - foreign bytes may raise anything; they are rejected
        return unreadable(raw, f"{type(error).__name__}: {error!s:.200}", received.headers)


def _opened(received: RawMessage, raw: bytes) -> Item:
    if received.content_type != "application/json":
        why = f"its content type is {received.content_type!r:.60}, and only JSON is accepted"
        return unreadable(raw, why, received.headers)
    text = _text(received.body, received.headers.get("compression"), received.content_encoding)
    return _task(received.headers, _loads(text), raw)


def _loads(text: str) -> Any:
    return json.loads(text, object_hook=untagged) if '"__type__"' in text else json.loads(text)


def unreadable(raw: bytes, why: str, headers: object = None) -> Malformed:
    """Return a message that can't be read, or whose handling failed; its headers may hold its id."""
    message_id = _id_of(headers.get("id") if isinstance(headers, Mapping) else None, raw)
    text = _readable(raw)
    content = text if len(text) <= UNREAD_LIMIT else beginning(text, UNREAD_LIMIT, raw)
    return Malformed(content, message_id, f"message: can't be read: {why}")


def _readable(raw: bytes) -> str:
    """Return a message as a text in which tokens can be found: a base64 body is decoded, or named if it is no text."""
    with suppress(Exception):  # foreign bytes may raise anything; then they are shown as they are
        envelope = json.loads(raw)
        if envelope["properties"]["body_encoding"] == "base64":
            body = text_of(base64.b64decode(envelope.pop("body")))
            return json.dumps({**envelope, "body": body})
    return raw.decode("utf-8", "backslashreplace").replace("\0", "")


def _bytes(body: str, properties: Mapping[str, Any]) -> bytes:
    return base64.b64decode(body) if properties.get("body_encoding") == "base64" else body.encode()


def _text(data: bytes, compression: str | None, encoding: str | None) -> str:
    if compression:
        data = _decompressed(data, compression)
    return data.decode(encoding if encoding in {"utf-8", "ascii", "us-ascii"} else "utf-8")


def _decompressed(data: bytes, compression: str) -> bytes:
    if compression not in DECOMPRESSORS:
        raise ValueError(f"its compression is {compression!r:.60}; known: {', '.join(DECOMPRESSORS)}")
    found: bytes = DECOMPRESSORS[compression]().decompress(data, MESSAGE_LIMIT + 1)
    if len(found) > MESSAGE_LIMIT:
        raise ValueError(f"its body is over {MESSAGE_LIMIT} bytes")
    return found


def _id_of(message_id: object, raw: bytes) -> str:
    """Return the id under which a message's command is kept; if it has no id, one is made from its bytes."""
    if isinstance(message_id, str) and message_id:
        return kept_id(message_id)
    return hashlib.sha256(raw).hexdigest()[:32]


def _task(headers: Mapping[str, Any], content: Any, raw: bytes) -> Item:
    if "task" in headers:
        args, kwargs, *more = content
        embedded = more[0] if more and isinstance(more[0], Mapping) else {}
        options = {**headers, **embedded}
        return read(str(headers["task"]), _id_of(headers.get("id"), raw), args, kwargs, options)
    task, message_id = str(content["task"]), _id_of(content.get("id"), raw)
    options = {**headers, **content}
    return read(task, message_id, content.get("args") or [], content.get("kwargs") or {}, options)
