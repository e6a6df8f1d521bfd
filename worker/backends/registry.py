"""Every kind of backend: one line each, from which configuration, composition and the conformance tests follow."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from ..settings.backends_file.backend_table import BackendConfig, Kinds
from .adapter import Adapter
from .mrs import Mrs, MrsOptions
from .oracle_ess import OracleEss, OracleEssOptions
from .oracle_ess_selection import BY_CRITERIA
from .oracle_ml import OracleMl, OracleMlOptions
from .sahara import Sahara, SaharaOptions
from .selecting import Selecting

Options = TypeVar("Options", bound=BackendConfig)


class Kind:
    """A kind of backend: the table that configures one, how its adapter is made from that, and what `init` proposes."""

    __slots__ = ("adapter", "auth", "name", "options", "selecting")

    def __init__(
        self,
        options: type[Options],
        adapter: Callable[[Options], Adapter],
        *,
        name: str = "",
        auth: str = "bearer",
        selecting: Selecting | None = None,
    ) -> None:
        """Pair a table with an adapter that takes its options.

        `name` is the usual name of such a backend, empty if it equals the kind; `auth` is the usual `auth.type`;
        `selecting` is how its jobs are listed by what they have in common, None if they can't be.
        """
        self.options: type[BackendConfig] = options
        self.adapter: Callable[[Any], Adapter] = adapter
        self.name = name
        self.auth = auth
        self.selecting = selecting


KINDS: Mapping[str, Kind] = {
    "oracle-ess": Kind(OracleEssOptions, lambda _: OracleEss(), name="ess", selecting=BY_CRITERIA),
    "oracle-ml": Kind(
        OracleMlOptions, lambda given: OracleMl(given.scripts, given.service or ""), name="oml", auth="oml"
    ),
    "mrs": Kind(MrsOptions, lambda given: Mrs(given.project_id, given.dialect, given.cluster_id or ""), auth="token"),
    "sahara": Kind(SaharaOptions, lambda given: Sahara(given.project_id, given.dialect), auth="keystone"),
}
"""By the `kind` of a table in the backends file."""

TABLES: Kinds = {name: kind.options for name, kind in KINDS.items()}
"""What the reader of the backends file needs to know about them."""
