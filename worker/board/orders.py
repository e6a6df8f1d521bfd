"""The pages of what people can give orders about, a cancellation or a batch, with the forms for that."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from ..client import AsyncClient, UnknownCancellation
from ..views.batch_meter import progress
from . import actions, batches
from .actions import Form, Given, Problem, given
from .answers import base_of, own_form, shown, stream_of
from .board import Board
from .live import rendered
from .templating import path_part


@dataclass(frozen=True, slots=True)
class Found:
    """A cancellation or a batch: its id, what to call it, the orders that it takes, and how far its events are."""

    id: str
    title: str
    kind: str
    offers: tuple[str, ...]
    before: int


@dataclass(frozen=True, slots=True)
class Subject:
    """What orders are about: its path and its live part, how it is found, and how an order is sent."""

    path: str
    view: str
    forms: Mapping[str, Form]
    find: Callable[[Board, str], Awaitable[Found]]
    send: Callable[[AsyncClient, str, Given], Awaitable[str]]


async def _cancellation(board: Board, reference: str) -> Found:
    record = (await board.client.get(reference)).record
    one = record.cancellation
    offers = () if record.outcome is not None else tuple(actions.FORMS)
    return Found(one.id, f"{one.backend} {one.job_id}", str(one.spec.verb), offers, record.sequence)


async def _batch(board: Board, reference: str) -> Found:
    one = progress(await board.client.batch_by_id(reference).status())
    return Found(one.status.id, one.status.id, "batch", one.offers, 0)


CANCELLATION = Subject("cancellations", "cancellation", actions.FORMS, _cancellation, actions.send)
BATCH = Subject("batches", "batch", batches.FORMS, _batch, batches.send)


def page_of(subject: Subject) -> Callable[[Board, Request], Awaitable[Response]]:
    """Make the page of one of them."""

    async def answer(board: Board, request: Request) -> Response:
        found = await subject.find(board, request.path_params["id"])
        return await _shown(board, request, subject, found, {})

    return answer


def order_of(subject: Subject) -> Callable[[Board, Request], Awaitable[Response]]:
    """Make what takes the forms of such a page, and sends the order."""

    async def answer(board: Board, request: Request) -> Response:
        fields = await own_form(board, request)
        if isinstance(fields, Response):
            return fields
        action = request.path_params["action"]
        if action not in subject.forms:
            raise UnknownCancellation(f"there is no action called {action!r}")
        found = await subject.find(board, request.path_params["id"])
        try:
            order = await subject.send(board.client, found.id, given(subject.forms[action], action, fields))
        except Problem as problem:
            return await _shown(board, request, subject, found, {**fields, "action": action}, str(problem))
        query = urlencode({"order": order, "action": action, "after": str(found.before)})
        return RedirectResponse(f"{base_of(request)}/{subject.path}/{path_part(found.id)}?{query}", 303)

    return answer


async def _shown(
    board: Board, request: Request, subject: Subject, found: Found, filled: Mapping[str, str], problem: str = ""
) -> Response:
    acts = board.may_act(request)
    params = {**request.query_params, "id": found.id}
    part = await rendered(board, subject.view, params, base_of(request), acts=acts)
    chosen = filled.get("action") or request.query_params.get("act", "")
    return shown(
        board,
        request,
        "subject.html",
        400 if problem else 200,
        title=found.title,
        kind=found.kind,
        path=f"/{subject.path}/{path_part(found.id)}",
        part=part,
        stream=stream_of(subject.view, params),
        forms={name: subject.forms[name] for name in found.offers} if acts else {},
        chosen=chosen if chosen in found.offers else "",
        filled={"child": request.query_params.get("child", ""), **filled},
        problem=problem,
    )
