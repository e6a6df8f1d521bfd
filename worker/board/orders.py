"""The pages of cancellations and batches, with the forms by which people give orders about them."""

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
from .answers import base_of, own_form, shown, shown_live
from .board import Board
from .templating import path_part

NOTHING: Mapping[str, str] = {}


@dataclass(frozen=True, slots=True)
class Found:
    """A cancellation or a batch: its id, title and kind, the orders that it takes, and the number of its last event."""

    id: str
    title: str
    kind: str
    offers: tuple[str, ...]
    before: int


@dataclass(frozen=True, slots=True)
class Subject:
    """A kind of thing that orders are about: its path and live part, how one is found, and how an order is sent."""

    path: str
    view: str
    forms: Mapping[str, Form]
    find: Callable[[Board, str], Awaitable[Found]]
    send: Callable[[AsyncClient, str, Given], Awaitable[str]]

    async def page(
        self, board: Board, request: Request, filled: Mapping[str, str] = NOTHING, problem: str = ""
    ) -> Response:
        """Show it with the forms of its orders; `filled` is what was filled in, `problem` what is wrong with that."""
        found = await self.find(board, request.path_params["id"])
        chosen = filled.get("action") or request.query_params.get("act", "")
        answer = await shown_live(
            board,
            request,
            "subject.html",
            self.view,
            {**request.query_params, "id": found.id},
            title=found.title,
            kind=found.kind,
            path=f"/{self.path}/{path_part(found.id)}",
            forms={name: self.forms[name] for name in found.offers} if board.may_act(request) else {},
            chosen=chosen if chosen in found.offers else "",
            filled={"child": request.query_params.get("child", ""), **filled},
            problem=problem,
        )
        answer.status_code = 400 if problem else 200
        return answer

    async def order(self, board: Board, request: Request) -> Response:
        """Read the submitted form of such a page, and send the order."""
        if not board.may_act(request):
            return shown(board, request, "message.html", 403, title="Read-only", said="Nobody may act on this board.")
        fields = await own_form(board, request)
        if fields is None:
            text = "This form is too old, or did not come from a page of this board: load the page again."
            return shown(board, request, "message.html", 403, title="Form refused", said=text)
        action = request.path_params["action"]
        if action not in self.forms:
            raise UnknownCancellation(f"there is no action called {action!r}")
        found = await self.find(board, request.path_params["id"])
        try:
            order = await self.send(board.client, found.id, given(self.forms[action], action, fields))
        except Problem as problem:
            return await self.page(board, request, {**fields, "action": action}, str(problem))
        query = urlencode({"order": order, "action": action, "after": str(found.before)})
        return RedirectResponse(f"{base_of(request)}/{self.path}/{path_part(found.id)}?{query}", 303)


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
