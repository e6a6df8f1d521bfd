"""Where events are delivered to: the tables `[sinks.NAME]` of the backends file."""

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal, get_args
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StrictInt,
    StrictStr,
    ValidationError,
    ValidationInfo,
)

from ..broker_url import check_broker_url
from ..env_file import process_environment
from ..errors import ConfigurationError
from ..problems import choices, place_in, problems_of, suggestion
from ..quantities import PositiveDuration, Retention
from ..secret import Secret
from .backend_table import Count
from .backends import NAME
from .fields import Named, Table, WrittenUrl, content_of, one_or_two, secret_at, secrets_at
from .names import Backends, WithBackends, listed
from .proxies import ProxyEnv, ProxyUrl
from .tls_files import TlsFiles

PREFIX: Final = "whsec_"
"""The prefix of a secret in base64 (Standard Webhooks)."""
OUTCOMES: Final = (
    "cancelled", "force_cancelled", "deleted", "already_finished", "completed_anyway", "not_found", "refused",
    "timed_out", "aborted", "planned", "changed",
)  # fmt: skip
"""How a cancellation can end."""
SHORT_TYPES: Final = (
    "accepted", "joined", "rejected", "cancel_sent", "delete_sent", "force_sent", "force_held", "held", "released",
    "attested", "attestation_void", "overdue", "finished",
)  # fmt: skip
"""The events of a cancellation, by the middle word of their type."""
_OF_CANCELLATIONS: Final = re.compile(r"canceller\.cancellation\.(\w+)\.v1")
_FULL_TYPE: Final = re.compile(r"[a-z0-9_]+(?:\.[a-z0-9_]+)+\.v[0-9]+")
_TASK: Final = re.compile(r"[^\s\x00-\x1f\x7f]{1,255}")
_LOCAL: Final = "localhost"


def _event_type(value: str) -> str:
    found = _OF_CANCELLATIONS.fullmatch(value)
    short = found[1] if found else value
    if short in SHORT_TYPES:
        return f"canceller.cancellation.{short}.v1"
    if found or "." not in value:
        known = suggestion(short, SHORT_TYPES) or f"; known names are {', '.join(SHORT_TYPES)}"
        raise ValueError(f"no event of a cancellation has this name{known}")
    if not _FULL_TYPE.fullmatch(value):
        raise ValueError("must be a full type, such as canceller.backend.paused.v1")
    return value


def _outcome(value: str) -> str:
    if value not in OUTCOMES:
        raise ValueError(
            f"no outcome has this name{suggestion(value, OUTCOMES) or f'; known outcomes are {choices(OUTCOMES)}'}"
        )
    return value


def is_loopback(host: str) -> bool:
    """Say whether a host is this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower().rstrip(".") == _LOCAL


def _url(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme != "https" and not is_loopback(parts.hostname or ""):
        raise ValueError("must be https://, unless its host is this machine: events say what your jobs are about")
    return value


def _secret(named: Named, info: ValidationInfo) -> Named:
    place, secret = secret_at(named, info)
    content = content_of(secret, info)
    if content is None or not content.startswith(PREFIX):
        return place
    coded = content.removeprefix(PREFIX)
    try:
        key = base64.b64decode(coded + "=" * (-len(coded) % 4), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not key:
        raise ValueError(
            f"{secret.place} begins with {PREFIX} and must continue in base64: it is cut short or mistyped"
        )
    return place


def _broker(name: str, info: ValidationInfo) -> str:
    secret = Secret("env", name)
    content = content_of(secret, info)
    try:
        if content is not None:
            check_broker_url(content)
    except ValueError as error:
        raise ValueError(f"{secret.place} {error}") from None
    return name


def _task(value: str) -> str:
    if not _TASK.fullmatch(value):
        raise ValueError("must be 1 to 255 characters without whitespace")
    return value


Types = Annotated[frozenset[Annotated[StrictStr, AfterValidator(_event_type)]], BeforeValidator(listed)]
Outcomes = Annotated[frozenset[Annotated[StrictStr, AfterValidator(_outcome)]], BeforeValidator(listed)]
EnvSecrets = Annotated[tuple[Annotated[StrictStr, AfterValidator(_secret)], ...], BeforeValidator(listed)]
FileSecrets = Annotated[tuple[Annotated[Path, AfterValidator(_secret)], ...], BeforeValidator(listed)]
Word = Annotated[StrictStr, AfterValidator(_task)]


class SinkConfig(Table):
    """What every kind has. Times are seconds.

    Attributes:
        types: Full types of the events that are delivered; None for all.
        backends: The backends whose events are delivered; None for all, and for events that belong to none.
        outcomes: Of events with an outcome, those that are delivered; None for all.
        max_tries: How often a delivery is tried before its event becomes a dead letter.
        keep_at_most: How long events that could not be delivered are kept.
        believe_after: How long a sink must keep answering that a retry is of no use before that is believed.

    """

    kind: StrictStr
    types: Types | None = None
    backends: Backends | None = None
    outcomes: Outcomes | None = None
    max_tries: Annotated[StrictInt, Field(ge=1, le=1000)] = 20
    keep_at_most: Retention = 30 * 86400.0
    believe_after: PositiveDuration = 120.0


class WebhookSink(SinkConfig, TlsFiles):
    """Posts each event, signed as Standard Webhooks are."""

    kind: Literal["webhook"]
    url: Annotated[WrittenUrl, AfterValidator(_url)]
    secret_env: Annotated[EnvSecrets, Field(repr=False)] = ()
    secret_file: Annotated[FileSecrets, AfterValidator(one_or_two), Field(repr=False, validate_default=True)] = ()
    timeout: PositiveDuration = 10.0
    max_in_flight: Count = 64
    proxy: ProxyUrl | None = None
    proxy_env: ProxyEnv | None = Field(default=None, repr=False)

    @property
    def secrets(self) -> tuple[Secret, ...]:
        """Where the secrets are."""
        return secrets_at(self.secret_env, self.secret_file)


class CelerySink(SinkConfig):
    """Sends a Celery task, with the event as its only keyword argument, `event`."""

    kind: Literal["celery"]
    broker_url_env: Annotated[StrictStr, AfterValidator(_broker)]
    queue: Word
    task: Word


class StdoutSink(SinkConfig):
    """Writes each event as a line of JSON to the standard output of the worker that delivers it."""

    kind: Literal["stdout"]


Sink = WebhookSink | CelerySink | StdoutSink

KINDS: Final[Mapping[str, type[WebhookSink | CelerySink | StdoutSink]]] = {
    get_args(model.model_fields["kind"].annotation)[0]: model for model in (WebhookSink, CelerySink, StdoutSink)
}
_INLINE: Final = {
    "secret": "secret_env or secret_file", "secrets": "secret_env or secret_file", "broker_url": "broker_url_env"
}  # fmt: skip
"""Keys under which a secret would be written here, and what to use instead."""


def parse_sinks(
    document: Mapping[str, Any],
    *,
    source: str = "backends file",
    environ: Mapping[str, str] | None = None,
    backend_names: Iterable[str] = (),
    directory: Path | None = None,
) -> Mapping[str, Sink]:
    """Validate the sinks of a backends file; its other keys are not looked at.

    Args:
        document: The file's content, read from TOML.
        source: What the problems call the file.
        environ: Where `*_env` keys look, instead of this process's environment.
        backend_names: The backends that the file has.
        directory: What relative paths are relative to; None: the working directory.

    Raises:
        ConfigurationError: Lists every mistake with file, table and field.

    """
    environment = process_environment() if environ is None else environ
    around = WithBackends(environment, directory or Path(), frozenset(backend_names))
    tables = document.get("sinks", {})
    problems: list[str] = []
    if not isinstance(tables, Mapping):
        problems.append("sinks: must be tables such as [sinks.billing] with kind and url")
        tables = {}
    found: dict[str, Sink] = {}
    for name, table in tables.items():
        problems += _read(name, table, around, found)
    if problems:
        raise ConfigurationError(f"{source}: {problem}" for problem in problems)
    return MappingProxyType(found)


def _read(name: str, table: object, around: WithBackends, found: dict[str, Sink]) -> list[str]:
    header = f"[sinks.{name}]"
    problems = [] if NAME.fullmatch(name) else [f"{header}: the name must match {NAME.pattern}"]
    if not isinstance(table, Mapping):
        return [*problems, f"{header}: must be a table with a kind"]
    kind = table.get("kind")
    model = KINDS.get(kind) if isinstance(kind, str) else None
    if model is None:
        wrong = "is required and missing: add" if kind is None else "must be"
        close = suggestion(kind, KINDS) if isinstance(kind, str) else ""
        quoted = (f'"{one}"' for one in KINDS)
        return [*problems, f"{header} kind: {wrong} {choices(quoted)}{close}", *_common(header, table, around)]
    try:
        found[name] = model.model_validate(dict(table), context=around)
    except ValidationError as error:
        return problems + _explained(header, model, error)
    return problems


def _common(header: str, table: Mapping[str, Any], around: WithBackends) -> list[str]:
    """List what is wrong whatever the kind was meant to be, so that nothing waits for a second run."""
    own = {key for model in KINDS.values() for key in model.model_fields.keys() - SinkConfig.model_fields.keys()}
    common = {key: value for key, value in table.items() if key not in own}
    try:
        SinkConfig.model_validate({**common, "kind": ""}, context=around)
    except ValidationError as error:
        return _explained(header, SinkConfig, error)
    return []


def _explained(header: str, model: type[SinkConfig], error: ValidationError) -> list[str]:
    def unknown(location: tuple[int | str, ...]) -> str:
        key = str(location[-1])
        if key in _INLINE:
            return f"a secret is never written here: use {_INLINE[key]}"
        known = sorted(model.model_fields)
        return f"no such key{suggestion(key, known) or '; known keys are ' + ', '.join(known)}"

    return problems_of(error, partial(place_in, header), unknown)
