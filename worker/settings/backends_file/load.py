"""The whole backends file: what may be called, who may ask for it, and where events go. All mistakes are listed."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ..errors import ConfigurationError
from .backend_table import BackendConfig, Kinds
from .backends import backends_file, backends_in, document_of, read_backends_file
from .newer import without_unknown
from .producers import Producers, parse_producers
from .sinks import Sink, parse_sinks

NO_SINKS: Mapping[str, Sink] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Deployment:
    """What one backends file says.

    Attributes:
        backends: Those that this version can serve.
        producers: Who may send commands.
        sinks: Those that this version can deliver to.
        sink_names: All that the file has, including those of kinds that this version does not know.
        left_alone: One text for each table or key that this version does not know and leaves alone.

    """

    backends: Mapping[str, BackendConfig]
    producers: Producers
    sinks: Mapping[str, Sink] = field(default_factory=lambda: NO_SINKS)
    sink_names: frozenset[str] = frozenset()
    left_alone: tuple[str, ...] = ()


def load_deployment(
    path: str | Path, kinds: Kinds, environ: Mapping[str, str] | None = None, *, leave_unknown: bool = False
) -> Deployment:
    """Read and validate a backends file, the producers' keys included.

    Args:
        path: The file; relative paths inside it are relative to its directory.
        kinds: The table of each kind of backend.
        environ: Where `*_env` keys look, instead of this process's environment.
        leave_unknown: Leave alone what a newer version may know, instead of reporting it as a mistake.

    Raises:
        ConfigurationError: Lists every mistake; or the file is missing or unreadable.

    """
    place = backends_file(path)
    written = document_of(read_backends_file(place), str(place))
    document, left = without_unknown(written, kinds) if leave_unknown else (written, [])
    around: dict[str, Any] = {"source": str(place), "environ": environ, "directory": place.parent}
    names: dict[str, frozenset[str]] = {}
    for key in ("backends", "sinks"):
        tables = written.get(key)
        names[key] = frozenset(tables) if isinstance(tables, dict) else frozenset()
    named = {**around, "backend_names": names["backends"]}
    problems: list[str] = []
    backends: Mapping[str, BackendConfig] = {}
    try:
        may_lack = bool(names["backends"]) and leave_unknown
        backends = backends_in(document, kinds, **around, may_lack=may_lack)
    except ConfigurationError as error:
        problems += error.problems
    producers, sinks = Producers(), NO_SINKS
    try:
        producers = parse_producers(document, **named)
    except ConfigurationError as error:
        problems += error.problems
    try:
        sinks = parse_sinks(document, **named)
    except ConfigurationError as error:
        problems += error.problems
    if problems:
        raise ConfigurationError(problems)
    return Deployment(backends, producers, sinks, names["sinks"], tuple(f"{place}: {one}" for one in left))
