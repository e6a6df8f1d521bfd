"""Selects jobs from the lists of backends that can list them. Pure, as adapters are: an exchange for each page."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import NamedTuple

from ..domain.model import Answer
from .adapter import Reply, Request

Where = Mapping[str, str]
"""What jobs are selected by: a value for some of the keys that an adapter declares; all of them must match."""


class Listed(NamedTuple):
    """A page of a list: ids of jobs, and where the next page begins, None if there is none."""

    ids: tuple[str, ...]
    after: tuple[str, ...] | None
    """Only the adapter knows what it means."""


Listing = Generator[Request, Reply, Listed | Answer]


class Selecting(NamedTuple):
    """How the jobs of a kind of backend are listed by what they have in common."""

    criteria: Mapping[str, str]
    """The keys that it takes, each with a description of its value."""
    objections: Callable[[Where], list[str]]
    """Says what is wrong with the values of known keys."""
    list_page: Callable[[Where, tuple[str, ...]], Listing]
    """Lists a page of the jobs that match all of `where`, after the page whose `Listed.after` is given, if any.

    Only jobs that match according to the reply itself are listed. An `Answer` says why the list can't be used.
    """
