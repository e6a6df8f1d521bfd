"""PURE: drafts a backends file with one backend from the user's answers; the file's own reader checks it."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic.fields import FieldInfo

from ..backends.registry import TABLES
from ..settings.backends_file.auth import APPLICATION
from ..settings.backends_file.backend_table import BackendConfig
from ..settings.backends_file.backends import AUTHS, backends_in, document_of
from ..settings.errors import ConfigurationError

HEADER: Final = (
    "# The backends of Canceller, as `canceller init` wrote them. Name this file in CANCELLER_BACKENDS.\n#\n"
)
REFERENCE: Final = re.compile(r"^# The name after .*?(?=^\[backends\.)", re.DOTALL | re.MULTILINE)
"""The part of the shipped example that describes all keys."""
SCHEMA: Final = re.compile(r"#:schema .*\n")
"""The line by which editors find the schema of the file."""
VARIABLE: Final = "_env"
"""The suffix of keys that name the variable of a secret."""
BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
"""A key that TOML accepts without quotes."""
SET: Final = "x"
"""The stand-in for a variable's value while a draft is checked: the variable need not be set yet."""

OWN: Final[Mapping[str, Mapping[str, FieldInfo]]] = {
    kind: {key: about for key, about in model.model_fields.items() if key not in BackendConfig.model_fields}
    for kind, model in TABLES.items()
}
"""The keys that only one kind has, by kind."""


@dataclass(slots=True)
class Draft:
    """The table of one backend as far as it is known; `keys` are in the order in which they are written."""

    name: str
    keys: dict[str, Any] = field(default_factory=dict)

    def put(self, key: str, value: Any) -> None:
        """Set a key; `auth.KEY` is one of the table `auth`."""
        table, _, inner = key.rpartition(".")
        (self.keys.setdefault(table, {}) if table else self.keys)[inner] = value

    @property
    def wanted(self) -> Iterator[str]:
        """The keys that are still needed besides kind, base_url and auth.type."""
        auth = self.keys.get("auth", {})
        fields = AUTHS[auth["type"]].model_fields
        yield from (f"auth.{key}" for key, about in fields.items() if about.is_required() and key not in auth)
        application = any(f"{stem}{VARIABLE}" in auth for stem in APPLICATION)
        for stem in [key.removesuffix(VARIABLE) for key in fields if key.endswith(VARIABLE)]:
            known = any(f"{stem}{source}" in auth for source in (VARIABLE, "_file"))
            if not known and not application and stem not in APPLICATION:
                yield f"auth.{stem}{VARIABLE}"
        yield from (
            key for key, about in OWN[self.keys["kind"]].items() if about.is_required() and key not in self.keys
        )

    @property
    def variables(self) -> list[str]:
        """The variables that hold its secrets."""
        return [value for key, value in self.keys.get("auth", {}).items() if key.endswith(VARIABLE)]

    def usual(self, key: str) -> str:
        """Return the usual name of the variable that a key names; empty for other keys."""
        words = f"{self.name}_{key.removeprefix('auth.').removesuffix(VARIABLE)}"
        return re.sub(r"\W", "_", words).upper() if key.endswith(VARIABLE) else ""

    def problems(self) -> list[str]:
        """List what is wrong with it, or missing, in the words of the reader of a backends file."""
        try:
            table = document_of(self.table(), "backends file")
            backends_in(table, TABLES, environ=dict.fromkeys(map(str, self.variables), SET))
        except ConfigurationError as error:
            return [problem.partition("]")[2].lstrip(": ") for problem in error.problems]
        return []

    def table(self) -> str:
        """Write it as TOML."""
        lines = [f"{key} = {written(value)}" for key, value in self.keys.items()]
        name = self.name if BARE.fullmatch(self.name) else written(self.name)
        return "\n".join([f"[backends.{name}]", *lines, ""])

    def text(self, example: str) -> str:
        """Write the whole file; comments are those of the example that ships with Canceller."""
        reference = REFERENCE.search(example)
        assert reference is not None  # noqa: S101 - a test reads it
        appends = re.search(rf'^kind = "{re.escape(self.keys["kind"])}" +(#.*)$', example, re.MULTILINE)
        kind, rest = f"kind = {written(self.keys['kind'])}", self.table()
        if appends:
            rest = rest.replace(kind, f"{kind}  {appends[1]}", 1)
        more = (
            f"# {key} = {written(about.default or '...')}\n"
            for key, about in OWN[self.keys["kind"]].items()
            if key not in self.keys
        )
        schema = SCHEMA.match(example)
        return f"{schema[0] if schema else ''}{HEADER}{reference[0]}{rest}{''.join(more)}"


def written(value: Any) -> str:
    """Write a value as TOML."""
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{key} = {written(inner)}' for key, inner in value.items())} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(written, value))}]"
    return json.dumps(value, ensure_ascii=False)


def value_of(text: str) -> Any:
    """Read what was typed for a value: as TOML if it is valid, such as `8`, `true` or `["reason"]`, else as text."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except (tomllib.TOMLDecodeError, KeyError):
        return text
