"""Every kind of backend: one line each, from which configuration, composition and the conformance tests follow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from ..settings.backends_file.backend_table import BackendConfig, Kinds
from .adapter import Adapter
from .mrs import Mrs, MrsOptions
from .oracle_ess import OracleEss, OracleEssOptions
from .oracle_ml import OracleMl, OracleMlOptions
from .sahara import Sahara, SaharaOptions

Options = TypeVar("Options", bound=BackendConfig)


class Kind:
    """A kind of backend: the table that configures one, and how its adapter is made of that."""

    __slots__ = ("adapter", "options")

    def __init__(self, options: type[Options], adapter: Callable[[Options], Adapter]) -> None:
        """Pair a table with an adapter that takes its options."""
        self.options: type[BackendConfig] = options
        self.adapter: Callable[[Any], Adapter] = adapter


KINDS: Mapping[str, Kind] = {
    "oracle-ess": Kind(OracleEssOptions, lambda _: OracleEss()),
    "oracle-ml": Kind(OracleMlOptions, lambda given: OracleMl(given.scripts, given.service or "")),
    "mrs": Kind(MrsOptions, lambda given: Mrs(given.project_id, given.dialect, given.cluster_id or "")),
    "sahara": Kind(SaharaOptions, lambda given: Sahara(given.project_id, given.dialect)),
}
"""By the `kind` of a table in the backends file."""

CRITERIA: Mapping[str, Mapping[str, str]] = {"oracle-ess": OracleEss.criteria}
"""By what the jobs of a kind can be selected, for those whose adapter is `Selecting`."""

TABLES: Kinds = {name: kind.options for name, kind in KINDS.items()}
"""What the reader of the backends file needs to know of them."""
