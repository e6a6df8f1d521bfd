"""All dialects, each with what its vendor's pages promise: a file in `replies/` per kind of the product's registry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module

import pytest
from conformance.dialect import Dialect, Habits

from worker.backends.registry import KINDS

_REPLIES = [import_module(f"conformance.replies.{kind.replace('-', '_')}") for kind in KINDS]
DIALECTS: tuple[Dialect, ...] = tuple(dialect for replies in _REPLIES for dialect in replies.DIALECTS)
HABITS: Mapping[str, Habits] = {replies.DIALECTS[0].system: replies.HABITS for replies in _REPLIES}


def habitual() -> Iterator[Dialect]:
    """Each dialect with each single setting that its backend may have."""
    for dialect in DIALECTS:
        for knob, values in HABITS[dialect.system].items():
            for value in values:
                yield dialect.with_knobs(f"{knob}={value}", **{f"{dialect.system}.{knob}": value})


each_dialect = pytest.mark.parametrize("dialect", DIALECTS, ids=lambda dialect: dialect.name)
each_text_dialect = pytest.mark.parametrize(
    "dialect", [one for one in DIALECTS if one.text_ids], ids=lambda dialect: dialect.name
)
