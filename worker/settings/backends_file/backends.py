"""The backends file: read once, validated whole, every mistake listed at once.

Each kind of backend has its own table, which the caller passes in: this package knows no kind.
"""

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, cast, get_args

from pydantic import BaseModel, ValidationError

from ..env_file import process_environment
from ..errors import ConfigurationError
from ..paths import expanded
from ..problems import choices, place_in, problems_of, suggestion
from .auth import BasicAuth, BearerAuth, ClientCredentialsAuth, KeystoneAuth, NoAuth, OmlAuth, TokenAuth
from .backend_table import BackendConfig, Breaker, Kinds, Poll, RemoteProbe
from .fields import Surroundings

__all__ = ["AUTHS", "BackendConfig", "backends_file", "read_backends_file"]

Location = tuple[int | str, ...]

TOP_LEVEL: Final = ("backends", "producers", "require_signed", "sinks")
"""What a backends file may hold; the modules beside this one read all but `backends`."""

NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
"""The names that backends and sinks may have."""
AUTHS: Final[dict[str, type[BaseModel]]] = {
    get_args(model.model_fields["type"].annotation)[0]: model
    for model in (NoAuth, BearerAuth, BasicAuth, ClientCredentialsAuth, OmlAuth, TokenAuth, KeystoneAuth)
}
"""The table of each `auth.type`."""
TABLES_IN: Final[dict[str, type[BaseModel]]] = {"poll": Poll, "breaker": Breaker, "remote_probe": RemoteProbe}
"""The tables in a backend's table, by their keys."""


def backends_file(path: str | Path) -> Path:
    """Return the path of a backends file; it may begin with any user's home, such as `~ann`.

    Raises:
        ConfigurationError: That home is not known.

    """
    try:
        return expanded(path)
    except ValueError as error:
        problem = f"CANCELLER_BACKENDS: {error}"
    raise ConfigurationError([problem])


def read_backends_file(place: Path) -> str:
    """Read the text of a backends file.

    Raises:
        ConfigurationError: It is missing or unreadable.

    """
    try:
        return place.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        problem = f"{place}: no such file: set CANCELLER_BACKENDS or --backends to your backends file"
    except OSError as error:
        problem = f"{place}: cannot be read ({error.strerror}): it must be a file this user may read"
    except ValueError:
        problem = f"{place}: is not UTF-8 text: save it as UTF-8"
    raise ConfigurationError([problem])


def document_of(text: str, source: str) -> dict[str, Any]:
    """Read TOML.

    Raises:
        ConfigurationError: It is not TOML.

    """
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        problem = f"{source}: is not TOML: {error}"
    raise ConfigurationError([problem])


def backends_in(
    document: Mapping[str, Any],
    kinds: Kinds,
    *,
    source: str = "backends file",
    environ: Mapping[str, str] | None = None,
    directory: Path | None = None,
    may_lack: bool = False,
) -> Mapping[str, BackendConfig]:
    """Validate the backends of a backends file.

    Args:
        document: The file, read from TOML.
        kinds: The table of each kind.
        source: What the problems call the file.
        environ: Where `*_env` keys look, instead of this process's environment.
        directory: What relative paths are relative to; None: the working directory.
        may_lack: Whether the file may have none.

    Raises:
        ConfigurationError: Lists every mistake with file, table and field.

    """
    tables, problems = _tables(document, may_lack=may_lack)
    around = Surroundings(process_environment() if environ is None else environ, directory or Path())
    backends: dict[str, BackendConfig] = {}
    for name, table in tables.items():
        backend, wrong = _backend(name, table, kinds, around)
        problems += wrong
        if backend is not None:
            backends[name] = backend
    if problems:
        raise ConfigurationError(f"{source}: {problem}" for problem in problems)
    return MappingProxyType(backends)


def _tables(document: Mapping[str, Any], *, may_lack: bool) -> tuple[dict[str, Any], list[str]]:
    problems = [
        f"{key}: no such key or table here{suggestion(key, TOP_LEVEL)}" for key in document.keys() - set(TOP_LEVEL)
    ]
    tables = document.get("backends", {})
    if not isinstance(tables, dict) or not (tables or may_lack):
        problems.append("backends: there is none: add a table such as [backends.ess] with kind, base_url and auth")
        return {}, problems
    return tables, problems


def _backend(name: str, table: object, kinds: Kinds, around: Surroundings) -> tuple[BackendConfig | None, list[str]]:
    header = f"[backends.{name}]"
    problems = [] if NAME.fullmatch(name) else [f"{header}: the name must match {NAME.pattern}"]
    if not isinstance(table, dict):
        return None, [*problems, f"{header}: must be a table with kind, base_url and auth"]
    kind = table.get("kind")
    model = kinds.get(kind) if isinstance(kind, str) else None
    if model is None:
        problems.append(f"{header} kind: {_no_kind(kind, kinds)}")
        return None, problems + _common_problems(header, table, kinds, around)
    try:
        return model.model_validate(table, context=around), problems
    except ValidationError as error:
        return None, problems + _explained(header, table, model, error)


def _no_kind(kind: object, kinds: Kinds) -> str:
    wrong = "is required and missing: add" if kind is None else "must be"
    close = suggestion(kind, kinds) if isinstance(kind, str) else ""
    quoted = (f'"{name}"' for name in kinds)
    return f"{wrong} {choices(quoted)}{close}"


def _common_problems(header: str, table: dict[str, Any], kinds: Kinds, around: Surroundings) -> list[str]:
    """List what is wrong whatever the kind was meant to be, so that nothing waits for a second run."""
    own = {key for model in kinds.values() for key in model.model_fields.keys() - BackendConfig.model_fields.keys()}
    common = {key: value for key, value in table.items() if key not in own}
    try:
        BackendConfig.model_validate({**common, "kind": ""}, context=around)
    except ValidationError as error:
        return _explained(header, table, BackendConfig, error)
    return []


def _explained(header: str, table: dict[str, Any], model: type[BaseModel], error: ValidationError) -> list[str]:
    auth = table.get("auth")
    auth_type = auth.get("type") if isinstance(auth, dict) else None

    keys = auth if isinstance(auth, dict) else {}
    # A secret written in place of its variable's name is one mistake: that no variable is named is not another one.
    misplaced = tuple(f"{header} auth.{key}_file:" for key in keys if f"{key}_file" not in keys)

    def place(location: Location) -> str:
        return place_in(header, _written(location, auth_type))

    def unknown_key(location: Location) -> str:
        written = _written(location, auth_type)
        key, known = str(written[-1]), _known_keys(written, model, auth_type)
        if f"{key}_env" in known:
            return f"a secret is never written here: use {key}_env or {key}_file"
        return f"no such key{suggestion(key, known) or '; known keys are ' + ', '.join(sorted(known))}"

    return [problem for problem in problems_of(error, place, unknown_key) if not problem.startswith(misplaced)]


def _written(location: Location, auth_type: object) -> Location:
    """Leave out what pydantic adds and nobody wrote: the union's tag after `auth`, the mark of a key."""
    if location[-1] == "[key]":
        location = location[:-1]
    if location[:2] == ("auth", auth_type):
        return ("auth", *location[2:])
    return location


def _known_keys(location: Location, model: type[BaseModel], auth_type: object) -> list[str]:
    if len(location) == 1:
        return list(model.model_fields)
    if location[0] == "auth":
        return list(AUTHS[cast("str", auth_type)].model_fields)
    return list(TABLES_IN[str(location[0])].model_fields)
