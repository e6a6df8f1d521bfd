"""The whole backends file: what may be called, and who may ask for it. Every mistake in either is listed at once."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from ..errors import ConfigurationError
from .backend_table import BackendConfig, Kinds
from .backends import backends_file, parse_backends, read_backends_file
from .producers import Producers, parse_producers


@dataclass(frozen=True, slots=True)
class Deployment:
    """What one backends file says."""

    backends: Mapping[str, BackendConfig]
    producers: Producers


def load_deployment(path: str | Path, kinds: Kinds, environ: Mapping[str, str] | None = None) -> Deployment:
    """Read and validate a backends file, the producers' keys included.

    Args:
        path: The file; relative paths inside it are relative to its directory.
        kinds: The table of each kind of backend.
        environ: Where `*_env` keys look, instead of this process's environment.

    Raises:
        ConfigurationError: Lists every mistake; or the file is missing or unreadable.

    """
    place = backends_file(path)
    text = read_backends_file(place)
    problems: list[str] = []
    backends: Mapping[str, BackendConfig] = {}
    try:
        backends = parse_backends(text, kinds, source=str(place), environ=environ, directory=place.parent)
    except ConfigurationError as error:
        problems += error.problems
    producers = _producers(text, place, environ, problems)
    if problems:
        raise ConfigurationError(problems)
    return Deployment(backends, producers)


def _producers(text: str, place: Path, environ: Mapping[str, str] | None, problems: list[str]) -> Producers:
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return Producers()  # parse_backends has said so
    tables = document.get("backends", {})
    names = tables if isinstance(tables, dict) else {}
    try:
        return parse_producers(
            document, source=str(place), environ=environ, backend_names=names, directory=place.parent
        )
    except ConfigurationError as error:
        problems += error.problems
        return Producers()
