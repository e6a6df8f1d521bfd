"""Reads the whole configuration of a command, and reports every mistake at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from ..backends.registry import TABLES
from ..settings.backends_file.backends import BackendConfig, backends_file
from ..settings.backends_file.load import load_deployment
from ..settings.env_file import process_environment
from ..settings.environment import Settings
from ..settings.errors import ConfigurationError
from ..store.redis_client import NO_REDIS

Read = TypeVar("Read")

NO_BACKENDS = (
    "CANCELLER_BACKENDS: is not set: name the file that lists the backends, here or by --backends; "
    "`canceller init` writes a commented one"
)
REDIS_VARIABLES = ("REDIS_URL", "CANCELLER_DATA_DIR", "XDG_STATE_HOME")
"""The variables that say where Redis is."""


def configuration(
    backends: Path | None, *, needs_redis: bool = False, embeds_redis: bool = False
) -> tuple[Settings, Mapping[str, BackendConfig]]:
    """Read the environment and the backends file; `backends` takes the place of CANCELLER_BACKENDS.

    With `needs_redis` the returned settings name a Redis: that of REDIS_URL, or a running embedded one. With
    `embeds_redis` they name a Redis, or the data directory for an embedded one.

    Raises:
        ConfigurationError: lists all mistakes.

    """
    variables = dict(process_environment())
    if backends is not None:
        variables["CANCELLER_BACKENDS"] = str(backends_file(backends).absolute())
    problems: list[str] = []
    settings = _tried(lambda: Settings.load(variables), problems)
    if needs_redis or embeds_redis:
        _tried(lambda: _check_redis(variables, embeds=embeds_redis), problems)
    configs = _tried(lambda: _backends(variables, settings), problems)
    if problems or settings is None or configs is None:
        raise ConfigurationError(dict.fromkeys(problems))
    return settings.discovered() if needs_redis else settings, configs


def _tried(read: Callable[[], Read], problems: list[str]) -> Read | None:
    try:
        return read()
    except ConfigurationError as error:
        problems += error.problems
        return None


def _check_redis(variables: Mapping[str, str], *, embeds: bool) -> None:
    """Make sure that there is a Redis to connect to, or a directory for one that will be started.

    This reads only the variables that say where Redis is, whatever is wrong with the others.
    """
    settings = Settings.load({name: variables[name] for name in REDIS_VARIABLES if name in variables})
    if not embeds and settings.discovered().redis_url is None:
        raise ConfigurationError([NO_REDIS])
    if embeds and settings.redis_url is None:
        _ = settings.data_dir


def _backends(variables: Mapping[str, str], settings: Settings | None) -> Mapping[str, BackendConfig]:
    place = variables.get("CANCELLER_BACKENDS")
    if not place:
        raise ConfigurationError([NO_BACKENDS])
    leave_unknown = settings is not None and settings.unknown_keys == "warn"
    return load_deployment(place, TABLES, leave_unknown=leave_unknown).backends
