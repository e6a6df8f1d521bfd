"""What backends that can list their jobs let one select by. Pure, as adapters are: an exchange for each page."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Mapping
from typing import ClassVar, NamedTuple

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


class Selecting(ABC):
    """An adapter whose backend can list jobs by what they have in common."""

    criteria: ClassVar[Mapping[str, str]]
    """The keys that it takes, each with what its value is, in words."""

    @abstractmethod
    def objections(self, where: Where) -> list[str]:
        """Say what is wrong with the values of known keys."""

    @abstractmethod
    def list_page(self, where: Where, after: tuple[str, ...] = ()) -> Listing:
        """List a page of the jobs for which all of `where` holds, from the start or `after` an earlier page.

        Only jobs that the reply shows to be such ones are listed. An `Answer` says why the list can't be used.
        """
