"""`check`: whether all that a worker needs is there, and what a crash would lose."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence

from redis.exceptions import RedisError

from ...backends.adapter import Adapter
from ...domain.errors import CallUnanswered, CancellerError, StoreUnavailable
from ...domain.model import Answer, AnswerKind, Job, JobState, Observation, Source
from ...intake.strays import StraySearch
from ...runtime.asking import ask
from ...runtime.wiring import backend_of, deployment_of, probe_of, rules_of, store_of
from ...settings.backends_file.backends import BackendConfig
from ...settings.environment import Settings
from ...settings.redis_url import RedisTarget
from ...store.codec import place_mark
from ...store.redis_client import connect_to
from ...views.counted import counted
from ..checks.findings import Finding, Verdict, left_behind, probe_judged, stray_findings
from ..checks.http import http_finding
from ..checks.rabbitmq import rabbit_findings
from ..checks.redis import redis_look
from ..checks.redis_findings import MOST_OPEN
from ..checks.sinks import sink_finding
from ..configuration import configuration
from ..exits import Exit
from ..options import BackendsFile, Json
from ..output import Output

MOST_PAGES = 1000
"""Thousands of keys that are searched for commands in other lists than the queue: half a second for Redis at most."""
PROBE_IDS = ("canceller-check-no-such-job", "0")
"""Job ids that no backend has; some backends only know numbers."""


async def check(*, backends: BackendsFile = None, json: Json = False) -> Exit:
    """Check settings, backends file, Redis, RabbitMQ, backends and sinks, and say what a crash would lose.

    Each backend is asked about a job that can't exist, which changes nothing; no sink gets an event. Exit 0 when
    nothing is wrong, 1 when something is, 2 when the configuration has mistakes.

    canceller check

    canceller check --backends backends.toml --json
    """
    output = Output(as_json=json)
    settings, configs = configuration(backends, needs_redis=True)
    findings = [Finding("ok", "settings", f"{counted(len(configs), 'backend')} in {settings.backends}")]
    findings += [Finding("warning", "backends file", text) for text in deployment_of(settings).left_alone]
    findings += await _look_around(settings, configs)
    _write(findings, output)
    return Exit.ERROR if any(finding.verdict == "wrong" for finding in findings) else Exit.DONE


def _write(findings: Sequence[Finding], output: Output) -> None:
    if output.json:
        output.object({"ok": all(finding.verdict != "wrong" for finding in findings), "findings": findings})
        return
    if not output.on_terminal:
        output.rows((), [(one.verdict, one.what, ": ".join(filter(None, (one.text, one.to_copy)))) for one in findings])
        return
    output.rows(("", "what", ""), [(finding.verdict, finding.what, finding.text) for finding in findings])
    for one in findings:
        if one.to_copy:  # a table would fold it
            for line in ("", f"{one.what}:", one.to_copy):
                output.line(line)


async def _look_around(settings: Settings, configs: Mapping[str, BackendConfig]) -> list[Finding]:
    """Look at Redis and RabbitMQ, then at all backends and sinks at once."""
    found = [*await redis_look(settings, configs), *await _left_behind(settings, configs)]
    if settings.redis_broker is not None:
        found += await _strays(settings.redis_broker, settings.queue)
    if settings.http is not None:
        found.append(await http_finding(settings.http))
    if settings.amqp_broker:
        found += await asyncio.to_thread(rabbit_findings, settings)
    return found + await asyncio.gather(
        *(_backend(name, config) for name, config in configs.items()),
        *(probe_finding(name, config) for name, config in configs.items() if config.remote_probe),
        *(sink_finding(name, config) for name, config in deployment_of(settings).sinks.items()),
    )


async def _left_behind(settings: Settings, configs: Mapping[str, BackendConfig]) -> list[Finding]:
    """Count the open cancellations that were accepted for another place than the backends file names now."""
    store, found = store_of(settings, configs), []
    try:
        for name, config in configs.items():
            place = rules_of(config).place
            known = ("", place_mark(place))
            places = await store.open_places(name, MOST_OPEN)
            if count := sum(one not in known for one in places):
                found.append(left_behind(name, place, count, len(places)))
    except StoreUnavailable:
        return []  # `redis_look` has reported it
    finally:
        await store.aclose()
    return found


async def _strays(broker: RedisTarget, queue: str) -> list[Finding]:
    """Look for commands in other lists than the queue; a search that fails is a warning."""
    client = connect_to(broker)
    try:
        search = StraySearch(client, queue, everywhere=True)
        strays = await search.look(MOST_PAGES)
        return list(stray_findings(strays, queue, through=search.through, denied=search.denied))
    except (RedisError, OSError) as error:
        return [Finding("warning", f"queue {queue}", f"other lists could not be searched for commands: {error}")]
    finally:
        await client.aclose()


async def _backend(name: str, config: BackendConfig) -> Finding:
    what = f"backend {name}"
    try:
        backend = backend_of(name, config)
    except (OSError, ValueError) as error:
        return Finding("wrong", what, f"it can't be set up: {error}")
    await asyncio.sleep(0)  # all are set up before the first is called, so that answer times do not include it
    started = time.monotonic()
    try:
        said = await ask(backend, probe_job(backend.adapter))
    except CancellerError as error:
        return Finding("wrong", what, f"{config.base_url}: {error}")
    finally:
        await backend.connections.aclose()
    verdict, text = judged(said, shown=config.auth.type != "none")
    return Finding(verdict, what, f"{config.base_url}: {text} ({(time.monotonic() - started) * 1000:.0f} ms)")


async def probe_finding(name: str, config: BackendConfig) -> Finding:
    """Ask a backend's second source about a process that can't exist, and say what its answer means."""
    what = f"probe of backend {name}"
    try:
        probe = probe_of(name, config)
    except (OSError, ValueError) as error:
        return Finding("wrong", what, f"it can't be set up: {error}")
    assert probe is not None  # noqa: S101 - it is called only for backends with one
    try:
        status = (await probe.reply(probe_job(rules_of(config).adapter).id)).status
    except CallUnanswered as error:
        return Finding("wrong", what, f"it did not answer, so it proves nothing: {error}")
    finally:
        await probe.http.aclose()
    verdict, text = probe_judged(status, gone=probe.meaning(status))
    return Finding(verdict, what, text)


def probe_job(adapter: Adapter) -> Job:
    """Return a job that the backend can't have."""
    params = dict.fromkeys(adapter.params, PROBE_IDS[0])
    jobs = [Job(job_id, own) for job_id in PROBE_IDS for own in ({}, params)]
    return next((job for job in jobs if not adapter.problem(job)), jobs[0])


TAKES = {True: "it answers and accepts the credential", False: "it answers, and asks for no credential"}
"""What it means that a backend answers, by whether it was shown a credential."""


def judged(said: Observation | Answer, *, shown: bool) -> tuple[Verdict, str]:
    """Judge what a backend says about a job that it can't have; `shown` is whether it was shown a credential."""
    if isinstance(said, Observation) and said.source is not Source.OWN:
        return "warning", f"it answers {said.raw}, not in its API's own words: is the path of base_url right?"
    if isinstance(said, Observation):
        unclear = (
            "" if said.state is JobState.GONE else f", though it claims to know a job that can't exist ({said.raw})"
        )
        return ("warning" if unclear else "ok"), f"{TAKES[shown]}{unclear}"
    detail = said.detail or f"HTTP {said.status}"
    if said.kind is AnswerKind.BUSY:
        return "warning", f"it answers that it is busy: {detail}"
    if said.kind is AnswerKind.REFUSED:
        return "wrong", f"it refuses to show jobs: {detail}"
    return "wrong", f"it gives no usable answer: {detail}"
