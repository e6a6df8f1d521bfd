"""Selects jobs by asking their backend for them: reads its list page by page."""

from __future__ import annotations

from collections.abc import AsyncIterator, Generator, Sequence
from typing import TypeVar

from ...backends.adapter import Reply, Request
from ...backends.registry import KINDS
from ...backends.selecting import Where
from ...domain.errors import CancellerError
from ...domain.model import Answer
from ...http.client import Http
from ...runtime.wiring import http_of
from ...settings.backends_file.backend_table import BackendConfig
from ...settings.problems import choices, suggestion

MOST_PAGES = 100_000
"""The most pages that are read: a list that is longer is taken as endless."""

Told = TypeVar("Told")


class ListingError(CancellerError):
    """A backend's list can't be read; the text says why."""


def criteria_help() -> str:
    """Say by which criteria jobs of each kind of backend can be selected."""
    told = (
        f"{name}: {', '.join(f'{key} ({meaning})' for key, meaning in kind.selecting.criteria.items())}"
        for name, kind in KINDS.items()
        if kind.selecting is not None
    )
    return "; ".join(told)


def where_problems(config: BackendConfig, name: str, where: Where) -> list[str]:
    """Say why the jobs of a backend can't be selected like this."""
    selecting = KINDS[config.kind].selecting
    if selecting is None:
        return [f"{name} ({config.kind}) can't list its jobs by any key; {criteria_help()}. Give ids in a file"]
    found = []
    for key in where:
        if key not in selecting.criteria:
            close = suggestion(key[:64], selecting.criteria)
            found.append(
                f"{name} ({config.kind}) can't list by {key[:64]!r}, only by {choices(selecting.criteria)}{close}"
            )
    return found or selecting.objections(where)


async def listed(config: BackendConfig, where: Where) -> AsyncIterator[Sequence[str]]:
    """Yield the ids of the jobs for which all of `where` holds, page by page.

    Raises:
        ListingError: the backend can't be asked, or its list can't be used.
        CallUnanswered, CredentialUnavailable, CredentialRefused: a call had no reply.

    """
    selecting = KINDS[config.kind].selecting
    assert selecting is not None  # noqa: S101 - `where_problems` has checked it
    try:
        http = http_of(config)
    except (OSError, ValueError) as error:
        raise ListingError(f"{config.base_url}: it can't be set up: {error}") from None
    try:
        page = selecting.list_page(where, ())
        for _ in range(MOST_PAGES):
            said = await _driven(http, page)
            if isinstance(said, Answer):
                raise ListingError(f"{config.base_url}: {said.detail or f'HTTP {said.status}'}")
            if said.ids:
                yield said.ids
            if said.after is None:
                return
            page = selecting.list_page(where, said.after)
        raise ListingError(f"{config.base_url}: its list does not end: {MOST_PAGES} pages were read")
    finally:
        await http.aclose()


async def _driven(http: Http, exchange: Generator[Request, Reply, Told]) -> Told:
    """Make the calls of an exchange."""
    request = next(exchange)
    while True:
        reply = await http.send(request)
        try:
            request = exchange.send(reply)
        except StopIteration as stop:
            told: Told = stop.value
            return told
