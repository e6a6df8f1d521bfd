"""What backends that can list their jobs let one select by. Pure, as adapters are: an exchange for each page."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import NamedTuple

from ..domain.model import Answer
from .adapter import Reply, Request

Where = Mapping[str, str]
"""What jobs are selected by: a value for some of the keys that an adapter declares; all of them must hold."""


class Listed(NamedTuple):
    """A page of a list: ids of jobs, and where the next page begins, None if there is none."""

    ids: tuple[str, ...]
    after: tuple[str, ...] | None
    """Means something to the adapter alone."""


Listing = Generator[Request, Reply, Listed | Answer]


class Selecting(NamedTuple):
    """How the jobs of a kind of backend are listed by what they have in common."""

    criteria: Mapping[str, str]
    """The keys that it takes, each with what its value is, in words."""
    objections: Callable[[Where], list[str]]
    """Says what is wrong with the values of known keys."""
    list_page: Callable[[Where, tuple[str, ...]], Listing]
    """Lists a page of the jobs for which all of `where` holds, behind the page whose `Listed.after` is given, if any.

    Only jobs that the reply shows to be such ones are listed. An `Answer` says why the list can't be used.
    """
