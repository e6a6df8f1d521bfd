"""The parts of pages that are kept up to date: each has a name, a template, and the data that it shows."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any

from ..client import Result
from ..store.codec import Snapshot as Seen
from ..views.batch_meter import progress
from ..views.explain import clock, words
from ..views.gates import gates_of, told_gates
from ..views.open_rows import STATES, Row, selected
from ..views.story import STILL_TRUE, Known, Line, chapters
from ..views.timeline import timeline
from .batches import EFFECTS
from .board import Board, keep, number
from .feed import Snapshot

PAGE = 50
"""Rows of one page of a list."""
HELD_PAGE = 6
"""Shut gates of one page, each with its conditions."""
BATCHES, BATCHES_AT_ONCE = 50, 6
"""The newest batches that their page shows, and those at work that the overview shows."""
RENDERED = 500
"""How many live parts are kept for further requests for the same part."""
TAKEN: Mapping[str, tuple[str, str]] = {
    "attest": ("attestation", "attested"),
    "hold": ("hold", "held"),
    "release": ("release", "released"),
    "abort": ("abort", "finished"),
}
"""The noun for each operator action, and the event that shows that it has taken effect."""

Params = Mapping[str, str]
Context = dict[str, Any]


@dataclass(frozen=True, slots=True)
class View:
    """What one live part shows; `context` raises UnknownCancellation if there is no such thing.

    `steady` means that it shows only what the shared reader has read, which is current when `context` is called.
    `needs` are the parameters without which there is nothing to show.
    """

    template: str
    context: Callable[[Board, Params], Awaitable[Context]]
    steady: bool = False
    needs: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Paging:
    """One page of a list, counted from 1; `others` are the pages before and after it, each with its label."""

    number: int
    pages: int
    total: int
    others: Sequence[tuple[str, int]]


async def overview(board: Board, params: Params) -> Context:
    """Show the deployment: what is held, what is forced next, each backend."""
    now = board.feed.snapshot
    summary = now.summary
    some, paging = paged(summary.held, params.get("page", ""), HELD_PAGE)
    rows = await with_commands(board, some)
    gates = [gate for row, command in rows for gate in gates_of(row, command, board.feed.gates)]
    some_batches = [progress(one) for one in now.batches if not one.state.final][:BATCHES_AT_ONCE]
    return {"gates": gates, "paging": paging, "forces": summary.forces, "batches": some_batches}


async def open_(board: Board, params: Params) -> Context:
    """Show the open cancellations of a backend, of a state, or all."""
    backend, state = params.get("backend", ""), params.get("state", "")
    some, paging = paged(selected(board.feed.snapshot.summary.rows, backend, state), params.get("page", ""), PAGE)
    rows = await with_commands(board, some)
    return {"rows": rows, "paging": paging, "backend": backend, "state_name": state}


async def cancellation(board: Board, params: Params) -> Context:
    """Show one cancellation: its words, its shut gates, its events."""
    seen = await board.client.get(params["id"])
    one = seen.record.cancellation
    story = await board.story(seen)
    now = board.feed.snapshot
    look = await board.client.ends.look(one.id) if seen.record.outcome is not None else None
    at = now.deployment.now if now.deployment else one.accepted_at
    (whole,) = chapters([Known(one.id, tuple(story.own), seen)], [], story.breaks, at)
    noun, event = TAKEN.get(params.get("action", ""), ("", ""))
    before = number(params.get("after"))
    taken = any(told.name == event and number(told.sequence) > before for told in story.own)
    said = words(seen, at, look if isinstance(look, Result) else None, await _obstacles(board, now, seen))
    return {
        "seen": seen,
        "one": one,
        "outcome": seen.record.outcome,
        "words": said,
        "gates": [] if seen.record.outcome is not None else list(told_gates(one, story.own)),
        "timeline": timeline(story.own),
        "story": _told(whole.lines),
        "missing": whole.missing,
        "order": await _order(board, params, noun and f"The {noun}", taken=taken),
        "end": look if isinstance(look, Result) else None,
    }


async def batches(board: Board, _: Params) -> Context:
    """Show the newest batches."""
    return {"batches": [progress(one) for one in await board.batches.list(BATCHES)]}


async def batch(board: Board, params: Params) -> Context:
    """Show one batch."""
    status = await board.batches.status(params["id"])
    action = params.get("action", "")
    noun = action.capitalize() if action in EFFECTS else ""
    order = await _order(board, params, noun, taken=status.state in EFFECTS.get(action, ()))
    return {"one": progress(status), "order": order}


def _told(lines: Sequence[Line]) -> list[tuple[str, datetime | None, list[str]]]:
    """Return the lines of a story, grouped by event, without what the page says elsewhere."""
    past = (line for line in lines if line.name not in STILL_TRUE)
    groups = groupby(past, key=lambda line: (line.name, line.at))
    return [(name, at, [line.text for line in some]) for (name, at), some in groups]


async def dead_letters(board: Board, params: Params) -> Context:
    """Show the dead letters, the newest first."""
    before = params.get("before", "")
    letters = await board.client.letters.newest(PAGE + 1, before)
    more = letters[PAGE - 1].id if len(letters) > PAGE else ""
    return {"letters": letters[:PAGE], "more": more, "before": before}


def paged(rows: Sequence[Row], number: str, size: int) -> tuple[Sequence[Row], Paging]:
    """Return a page of rows; a number without a page gets the nearest page."""
    pages = max(1, -(-len(rows) // size))
    wanted = min(max(1, int(number) if number.isdecimal() and len(number) < 9 else 1), pages)  # noqa: PLR2004 - digits
    around = (("previous", wanted - 1), ("next", wanted + 1))
    others = [(word, other) for word, other in around if 1 <= other <= pages]
    return rows[(wanted - 1) * size : wanted * size], Paging(wanted, pages, len(rows), others)


async def with_commands(board: Board, rows: Sequence[Row]) -> list[tuple[Row, Mapping[str, Any]]]:
    """Read who asked for some cancellations, and why."""
    seen = await board.overview.snapshots([row.id for row in rows], commands=True)
    commands = {one.record.cancellation.id: one.command for one in seen}
    return [(row, commands.get(row.id, {})) for row in rows]


async def _obstacles(board: Board, now: Snapshot, seen: Seen) -> list[str]:
    """Say why the backend of an open cancellation is not called now."""
    one = seen.record.cancellation
    if seen.record.outcome is not None or now.deployment is None:
        return []
    found = []
    backend = next((each for each in now.deployment.backends if each.name == one.backend), None)
    if now.deployment.workers == 0:
        found.append("no worker is running")
    elif backend is not None and not backend.served:
        found.append("no living worker knows its backend, so nothing is called")
    if backend is not None and backend.paused_until and backend.paused_until > now.deployment.now:
        until = clock(backend.paused_until, now.deployment.now)
        found.append(f"{one.backend} is paused until {until} after {backend.failures} failures in a row")
    if one.place:
        before, after = await board.store.places(one)
        if after and before != after:
            found.append(f"it was accepted for {before or 'another place'}, and {one.backend} is {after} now")
    return found


async def _order(board: Board, params: Params, noun: str, *, taken: bool) -> tuple[str, str] | None:
    """Return what became of the order that was just sent, if `noun` names one: a word and a sentence."""
    order = params.get("order", "")
    if not noun or not order:
        return None
    rejection = await board.client.ends.notes.rejection(order)
    if rejection:
        return "rejected", f"{noun} was rejected: {rejection}"
    if taken:
        return "taken", f"{noun} has taken effect."
    return "sent", f"{noun} is sent; no worker has taken it in yet."


VIEWS: Mapping[str, View] = {
    "overview": View("overview.html", overview, steady=True),
    "open": View("open.html", open_, steady=True),
    "cancellation": View("cancellation.html", cancellation, needs=("id",)),
    "batches": View("batches.html", batches),
    "batch": View("batch.html", batch, needs=("id",)),
    "dead-letters": View("dead_letters.html", dead_letters),
}
KNOWN: Mapping[str, Sequence[str]] = {
    "overview": ("page",),
    "open": ("backend", "state", "page"),
    "cancellation": ("id", "order", "action", "after"),
    "batches": (),
    "batch": ("id", "order", "action"),
    "dead-letters": ("before",),
}
"""The parameters of each view."""


async def rendered(board: Board, name: str, params: Mapping[str, str], base: str, *, acts: bool) -> str:
    """Return a live part; all requests for the same part get the same text until there is something new to show.

    Raises:
        UnknownCancellation: there is no such thing.

    """
    view = VIEWS[name]
    known = {key: params[key] for key in KNOWN[name] if params.get(key)}
    wanted = (name, tuple(known.items()), base, acts)
    now = await board.feed.current()
    age = board.feed.version if view.steady else board.feed.tick
    known_age, html = board.rendered.get(wanted, (-1, ""))
    if age != known_age or not age:
        shared = {"now": now, "deployment": now.deployment, "summary": now.summary, "states": STATES}
        context = await view.context(board, known)
        template = board.templates.get_template(f"live/{view.template}")
        html = template.render(base=base, acts=acts, params=known, **shared, **context)
        keep(board.rendered, wanted, (age, html), RENDERED)
    return html
