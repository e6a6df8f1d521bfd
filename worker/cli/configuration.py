"""The whole configuration of a command, with every mistake at once."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from config.backends import BackendConfig, load_backends
from config.errors import ConfigurationError
from config.settings import Settings, process_environment
from worker.wiring import backends_of


def configuration(backends: Path | None) -> tuple[Settings, Mapping[str, BackendConfig]]:
    """Read the environment and the backends file; `backends` is taken instead of CANCELLER_BACKENDS.

    Raises:
        ConfigurationError: lists the mistakes of both.

    """
    problems: list[str] = []
    configs: Mapping[str, BackendConfig] = {}
    variables = dict(process_environment())
    if backends is not None:
        variables["CANCELLER_BACKENDS"] = str(backends.expanduser().absolute())
    try:
        settings = Settings.load(variables)
    except ConfigurationError as error:
        problems += error.problems
        settings = None
    try:
        if settings is not None:
            configs = backends_of(settings)
        elif variables.get("CANCELLER_BACKENDS"):
            load_backends(variables["CANCELLER_BACKENDS"])
    except ConfigurationError as error:
        problems += error.problems
    if settings is None or problems:
        raise ConfigurationError(problems)
    return settings, configs
