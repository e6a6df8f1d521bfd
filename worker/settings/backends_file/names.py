"""Lists of names in the backends file, and the backends that such a list may name."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, StrictStr, ValidationInfo

from ..problems import suggestion
from .fields import Surroundings


@dataclass(frozen=True, slots=True)
class WithBackends(Surroundings):
    """What validation needs, with the names of the file's backends."""

    backends: frozenset[str]


def listed(value: object) -> tuple[Any, ...]:
    """Return a list's items, or a single text as the only item."""
    if isinstance(value, str | Path):
        return (value,)
    if isinstance(value, list | tuple):
        return tuple(value)
    raise ValueError("must be a list, or one text in quotes")


def _known_backend(name: str, info: ValidationInfo) -> str:
    around = info.context
    if isinstance(around, WithBackends) and name not in around.backends:
        raise ValueError(f"no backend has this name{suggestion(name, around.backends)}")
    return name


Backends = Annotated[frozenset[Annotated[StrictStr, AfterValidator(_known_backend)]], BeforeValidator(listed)]
"""Names of the file's backends."""
