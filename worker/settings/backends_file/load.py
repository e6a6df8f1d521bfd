"""The whole backends file: what may be called, who may ask for it, and where events go. All mistakes are listed."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ..errors import ConfigurationError
from .backend_table import BackendConfig, Kinds
from .backends import backends_file, parse_backends, read_backends_file
from .producers import Producers, parse_producers
from .sinks import Sink, parse_sinks

NO_SINKS: Mapping[str, Sink] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Deployment:
    """What one backends file says."""

    backends: Mapping[str, BackendConfig]
    producers: Producers
    sinks: Mapping[str, Sink] = field(default_factory=lambda: NO_SINKS)


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
    document = _document(text)
    names = document.get("backends", {})
    known: dict[str, Any] = {"source": str(place), "environ": environ, "directory": place.parent}
    known["backend_names"] = names if isinstance(names, dict) else {}
    producers, sinks = Producers(), NO_SINKS
    try:
        producers = parse_producers(document, **known)
    except ConfigurationError as error:
        problems += error.problems
    try:
        sinks = parse_sinks(document, **known)
    except ConfigurationError as error:
        problems += error.problems
    if problems:
        raise ConfigurationError(problems)
    return Deployment(backends, producers, sinks)


def _document(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return {}  # parse_backends has said so
