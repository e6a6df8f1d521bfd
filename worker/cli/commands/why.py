"""`why`: the whole story of a job, as it is known here; else what its backend says of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated

import typer

from ...domain.errors import CancellerError
from ...domain.model import Job, JobState, Observation
from ...runtime.asking import ask
from ...runtime.wiring import backend_of
from ...settings.backends_file.backends import BackendConfig
from ...settings.env_file import process_environment
from ...settings.problems import choices, suggestion
from ...views.explain import clock
from ...views.story import Chapter, by_nobody, chapters
from ..configuration import configuration
from ..exits import Exit
from ..history import history_of
from ..naming import cancellation_named
from ..options import BackendsFile, Json, One, one_named, pairs
from ..output import Output
from ..session import connected

NEWEST = 100_000
"""Events that are searched by default, which takes a second or two."""

Everything = Annotated[
    bool, typer.Option("--all", help=f"Search all events that are kept, not only the newest {NEWEST:,}.")
]
Parameters = Annotated[
    list[str] | None,
    typer.Option("--param", metavar="KEY=VALUE", help="What the backend needs besides the id to be asked about a job."),
]


async def why(
    named: One,
    *,
    everything: Everything = False,
    param: Parameters = None,
    backends: BackendsFile = None,
    json: Json = False,
) -> Exit:
    """Tell the whole story of a job: who asked, each call and its answer, each wait and its cause, the end, its proof.

    The newest cancellation comes first. If nothing is known of the job here, its backend is asked, for which the
    backends file is needed.

    Exit 1 when the backend does not know it either, or gives no answer.

    canceller why ess 300100

    canceller why 0198f3c2a1b27d0e8c4f5a6b7c8d9e0f --json
    """
    one_named(named)
    params = pairs(param or (), "--param")
    output = Output(as_json=json)
    if await _tell(named, None if everything else NEWEST, output):
        return Exit.DONE
    backend, job_id = named
    if backends is None and not process_environment().get("CANCELLER_BACKENDS"):
        raise typer.BadParameter(
            "to ask the job's backend, name its file here or in CANCELLER_BACKENDS", param_hint="--backends"
        )
    _, configs = configuration(backends)
    return await _ask(backend, _known_backend(backend, configs), Job(job_id, params), output)


async def _tell(named: Sequence[str], limit: int | None, output: Output) -> bool:
    """Tell what is known here; False if that is nothing."""
    async with connected() as session:
        only, (backend, job_id) = "", (named[0], named[-1])
        if len(named) == 1:
            cancellation = (await cancellation_named(session, named, output)).record.cancellation
            only, backend, job_id = cancellation.id, cancellation.backend, cancellation.job_id
        kept = await session.store.kept_events()
        with output.meter("events searched", kept if limit is None else min(kept, limit)) as meter:
            found = await history_of(session.store, backend, job_id, only, limit, meter)
    now, searched = datetime.now(UTC), found.searched
    story = chapters(found.known, found.others, found.breaks, now)
    for chapter in story:
        _write(chapter, now, output)
    if not searched.whole:
        back = f", back to {clock(searched.back_to, now)}" if searched.back_to else ""
        output.note(f"searched the newest {searched.searched:,} events{back}: --all searches all that are kept")
    if not story:
        output.note(f"nothing is known of {backend} {job_id} here: nothing is open, and no event is about it")
    return bool(story)


def _write(chapter: Chapter, now: datetime, output: Output) -> None:
    if output.json:
        output.object(chapter)
        return
    output.line(chapter.title)
    output.sheet([(clock(line.at, now) if line.at else line.name, line.text) for line in chapter.lines])
    if chapter.missing:
        output.line(f"{chapter.missing} of its events were not found")
    output.line("")


def _known_backend(name: str, configs: Mapping[str, BackendConfig]) -> BackendConfig:
    if name not in configs:
        raise typer.BadParameter(
            f"no backend is called {name!r}{suggestion(name, configs)}; there are {choices(configs)}",
            param_hint="BACKEND",
        )
    return configs[name]


async def _ask(name: str, config: BackendConfig, job: Job, output: Output) -> Exit:
    """Ask a backend about a job of which nothing is known here."""
    backend = backend_of(name, config)
    problem = backend.adapter.problem(job)
    if problem:
        await backend.connections.aclose()
        raise typer.BadParameter(problem, param_hint="JOB_ID")
    try:
        said = await ask(backend, job)
    except CancellerError as error:
        return _unanswered(name, job, str(error), output)
    finally:
        await backend.connections.aclose()
    if not isinstance(said, Observation):
        return _unanswered(name, job, said.detail or f"HTTP {said.status}", output)
    text = by_nobody(str(said.state), said.raw, said.facts)
    if output.json:
        shown = {
            "job_state": said.state,
            "raw_state": said.raw,
            "backend_facts": said.facts,
            "children": len(said.children),
        }
        output.object(
            {"backend": name, "job_id": job.id, "known": said.state is not JobState.GONE, **shown, "words": text}
        )
    else:
        output.line(f"{name} {job.id}: {text}")
    return Exit.ERROR if said.state is JobState.GONE else Exit.DONE


def _unanswered(name: str, job: Job, why_not: str, output: Output) -> Exit:
    if output.json:
        output.object({"backend": name, "job_id": job.id, "known": None, "words": why_not})
    else:
        output.line(f"{name} {job.id}: the backend gave no usable answer: {why_not}")
    return Exit.ERROR
