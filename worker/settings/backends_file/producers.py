"""Who may send commands: the tables `[producers.NAME]` of the backends file, and `require_signed`.

Optional: without them anyone who reaches the queue may send. The file names where keys are, and never holds them.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal

import jwt
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
)

from ..env_file import process_environment
from ..environment import PRODUCER
from ..errors import ConfigurationError
from ..problems import place_in, problems_of, suggestion
from ..secret import Secret
from .fields import Named, Table, content_of, one_or_two, secret_at, secrets_at
from .names import Backends, WithBackends, listed

Algorithm = Literal["EdDSA", "HS256"]
Verb = Literal["cancel", "delete"]

SHORTEST_SECRET: Final = 32
"""Bytes: a shared secret for HS256 must be as long as the hash's output."""

_INLINE: Final = frozenset({"key", "keys", "secret", "public_key"})
_PUBLIC: Final = "-----BEGIN PUBLIC KEY-----"


def _key(named: Named, info: ValidationInfo) -> Named:
    place, secret = secret_at(named, info)
    content = content_of(secret, info)
    if content is not None and "algorithm" in info.data:
        problem = _CHECKS[info.data["algorithm"]](content, secret.place)
        if problem is not None:
            raise ValueError(problem)
    return place


def _public_key_problem(text: str, place: str) -> str | None:
    if "PRIVATE KEY" in text:
        return f"{place} holds a private key: put the public one there, the private one stays with its producer"
    try:
        key = jwt.get_algorithm_by_name("EdDSA").prepare_key(text) if text.startswith(_PUBLIC) else None
    except (jwt.PyJWTError, ValueError, TypeError):
        key = None
    if isinstance(key, Ed25519PublicKey | Ed448PublicKey):
        return None
    return f"{place} must hold an Ed25519 public key as PEM, which starts with {_PUBLIC}"


def shared_secret_problem(text: str, place: str) -> str | None:
    """Say why a text is not a shared secret for HS256, without quoting it; None if it is one."""
    if len(text.encode()) < SHORTEST_SECRET:
        return f"{place} is too short for HS256: put {SHORTEST_SECRET} random bytes or more there"
    try:
        jwt.get_algorithm_by_name("HS256").prepare_key(text)
    except (jwt.PyJWTError, ValueError, TypeError):
        return f"{place} holds a key of another kind: HS256 needs a random text that both sides keep secret"
    return None


_CHECKS: Final = {"EdDSA": _public_key_problem, "HS256": shared_secret_problem}


EnvKeys = Annotated[tuple[Annotated[StrictStr, AfterValidator(_key)], ...], BeforeValidator(listed)]
FileKeys = Annotated[tuple[Annotated[Path, AfterValidator(_key)], ...], BeforeValidator(listed)]
Verbs = Annotated[frozenset[Verb], BeforeValidator(listed)]


class Producer(Table):
    """One who signs commands, and what they may ask for.

    Attributes:
        algorithm: `EdDSA` with public keys, or `HS256` with shared secrets.
        keys_env: Variables that hold a key each.
        keys_file: Files that hold a key each; two keys at most in all, so that they can change.
        backends: The backends that they may name; None for all.
        verbs: What they may ask for.
        force: Whether they may say that a remote process has stopped, or ask for force "auto"; and whether their
            stricter wishes about the force step bind others who ask to stop the same job.
        per_minute: How many commands are taken in per minute; None for any number.
        operator: Whether they may abort cancellations, and attest that a remote process has stopped.

    """

    algorithm: Algorithm
    keys_env: Annotated[EnvKeys, Field(repr=False)] = ()
    keys_file: Annotated[FileKeys, AfterValidator(one_or_two), Field(repr=False, validate_default=True)] = ()
    backends: Backends | None = None
    verbs: Verbs = frozenset({"cancel", "delete"})
    force: StrictBool = False
    per_minute: Annotated[StrictInt, Field(ge=1)] | None = None
    operator: StrictBool = False

    @property
    def keys(self) -> tuple[Secret, ...]:
        """Where the keys are."""
        return secrets_at(self.keys_env, self.keys_file)


@dataclass(frozen=True, slots=True)
class Producers:
    """All producers by their names, and whether a command must be signed by one of them."""

    require_signed: bool = False
    producers: Mapping[str, Producer] = field(default_factory=lambda: MappingProxyType({}))


def parse_producers(
    document: Mapping[str, Any],
    *,
    source: str = "backends file",
    environ: Mapping[str, str] | None = None,
    backend_names: Iterable[str] = (),
    directory: Path | None = None,
) -> Producers:
    """Validate `require_signed` and `producers` of a backends file; its other keys are not looked at.

    Args:
        document: The file's content, read from TOML.
        source: What the problems call the file.
        environ: Where `keys_env` looks, instead of this process's environment.
        backend_names: The backends that the file has.
        directory: What relative paths are relative to; None: the working directory.

    Raises:
        ConfigurationError: Lists every mistake with file, table and field.

    """
    environment = process_environment() if environ is None else environ
    around = WithBackends(environment, directory or Path(), frozenset(backend_names))
    required, problems = _required(document)
    tables = document.get("producers", {})
    if not isinstance(tables, Mapping):
        problems.append("producers: must be tables such as [producers.billing] with algorithm and keys_env")
        tables = {}
    elif required and not tables:
        problems.append(
            "require_signed: is true, but there is no producer to sign: add a table such as [producers.billing]"
        )
    found: dict[str, Producer] = {}
    for name, table in tables.items():
        problems += _read(name, table, around, found)
    problems += _shared_keys(found, environment)
    if problems:
        raise ConfigurationError(f"{source}: {problem}" for problem in problems)
    return Producers(required, MappingProxyType(found))


def _required(document: Mapping[str, Any]) -> tuple[bool, list[str]]:
    try:
        return TypeAdapter(StrictBool).validate_python(document.get("require_signed", False)), []
    except ValidationError as error:
        return False, problems_of(error, lambda _: "require_signed")


def _read(name: str, table: object, around: WithBackends, found: dict[str, Producer]) -> list[str]:
    header = f"[producers.{name}]"
    problems = [] if PRODUCER.fullmatch(name) else [f"{header}: the name must match {PRODUCER.pattern}"]
    if not isinstance(table, Mapping):
        return [*problems, f"{header}: must be a table with algorithm and keys_env or keys_file"]
    try:
        found[name] = Producer.model_validate(dict(table), context=around)
    except ValidationError as error:
        return problems + problems_of(error, partial(place_in, header), _unknown)
    return problems


def _unknown(location: tuple[int | str, ...]) -> str:
    key = str(location[-1])
    if key in _INLINE:
        return "a key is never written here: use keys_env or keys_file"
    known = sorted(Producer.model_fields)
    listed = ", ".join(known)
    return f"no such key{suggestion(key, known) or f'; known keys are {listed}'}"


def _shared_keys(found: Mapping[str, Producer], environ: Mapping[str, str]) -> list[str]:
    """Find producers that could sign as each other."""
    owners: dict[str, str] = {}
    problems = []
    for name, producer in found.items():
        for secret in producer.keys:
            owner = owners.setdefault(secret.read(environ), name)
            if owner != name:
                problems.append(f"[producers.{name}]: has a key of [producers.{owner}]: each needs a key of its own")
    return problems
