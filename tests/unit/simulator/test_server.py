"""The simulator over real HTTP: headers, broken connections, the control API."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.utils import parsedate_to_datetime

import httpx
import pytest

from worker.simulator import Clock, Simulator

T = 1_763_899_200.0
LONG = 200_000
"""Entries of a log that takes a long time to read."""
ESS = "/ess/rest/scheduler/v1/requests"
HASTY = httpx.Timeout(10.0, read=0.05)
"""For a reply that never comes; connecting may take longer on a busy machine."""


@asynccontextmanager
async def running() -> AsyncIterator[tuple[Simulator, httpx.AsyncClient]]:
    async with (
        Simulator(clock=Clock(0, start=T)) as sim,
        httpx.AsyncClient(base_url=sim.url, timeout=60, trust_env=False) as client,
    ):
        yield sim, client


@pytest.mark.asyncio
async def test_every_reply_carries_the_simulated_date() -> None:
    async with running() as (sim, client):
        sim.clock.advance(3600)
        dates = [(await client.get(path)).headers["Date"] for path in (f"{ESS}/1", "/_sim/clock")]

    assert [parsedate_to_datetime(date).timestamp() for date in dates] == [T + 3600, T + 3600]


@pytest.mark.asyncio
async def test_the_date_can_be_left_out() -> None:
    async with running() as (sim, client):
        sim.set_knobs({"all.date_header": False})
        reply = await client.get(f"{ESS}/1")

    assert "Date" not in reply.headers


@pytest.mark.asyncio
async def test_the_log_is_read_in_another_thread_while_requests_arrive() -> None:
    async with running() as (sim, client):
        await client.get(f"{ESS}/1")
        sim.world.journal.extend(sim.log() * LONG)  # so that requests arrive while it is read
        read = asyncio.get_running_loop().run_in_executor(None, lambda: [len(sim.log()) for _ in range(20)])
        asked = 0
        while not read.done():
            await client.get(f"{ESS}/1")
            asked += 1

    lengths = await read
    assert lengths == sorted(lengths)
    assert LONG < lengths[-1] <= LONG + 1 + asked


@pytest.mark.asyncio
async def test_the_thirty_minutes_pass_in_a_moment() -> None:
    async with running() as (sim, client):
        sim.add_job("ess", 4711, "stuck")
        early = [(await client.post(f"{ESS}/4711/{step}")).status_code for step in ("cancel", "forceCancel")]
        sim.clock.advance(1800)
        due = await client.post(f"{ESS}/4711/forceCancel")
        true = sim.job("ess", 4711)

    assert (early, due.status_code) == ([200, 400], 200)
    assert (true.state, true.verbs(), true.effects("force")) == ("CANCELLED", ("cancel", "force", "force"), 1)


@pytest.mark.asyncio
@pytest.mark.parametrize(("kind", "effect"), [("lost_answer", True), ("reset", False)])
async def test_a_cut_connection_may_hide_an_effect(kind: str, *, effect: bool) -> None:
    async with running() as (sim, client):
        sim.add_job("ess", 1)
        sim.add_fault(kind, verb="cancel", times=1)
        with pytest.raises(httpx.TransportError):
            await client.post(f"{ESS}/1/cancel")
        true = sim.job("ess", 1)

    assert ([(entry.http, entry.effect) for entry in true.log], true.state == "CANCELLING") == (
        [(None, effect)],
        effect,
    )


@pytest.mark.asyncio
async def test_a_hanging_call_ends_in_the_clients_timeout() -> None:
    async with running() as (sim, client):
        sim.add_fault("hang")
        with pytest.raises(httpx.ReadTimeout):
            await client.get(f"{ESS}/1", timeout=HASTY)


@pytest.mark.asyncio
async def test_a_body_cut_in_the_middle_is_an_error() -> None:
    async with running() as (sim, client):
        sim.add_job("ess", 1)
        sim.add_fault("cut_body")
        with pytest.raises(httpx.TransportError):
            await client.get(f"{ESS}/1")


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("kind", "rule", "http", "header"),
    [
        pytest.param("throttled", {"retry_after": 7}, 429, ("Retry-After", "7"), id="429"),
        pytest.param("throttled", {"retry_after": None}, 429, ("Retry-After", None), id="429 without a hint"),
        pytest.param("expired_token", {}, 401, ("Retry-After", None), id="401"),
        pytest.param("html", {}, 502, ("Content-Type", "text/html"), id="proxy"),
        pytest.param("html", {"http": 200}, 200, ("Content-Type", "text/html"), id="proxy with 200"),
        pytest.param("error", {"http": 409}, 409, ("Retry-After", None), id="409"),
    ],
)
async def test_a_fault_shows_in_the_answer(
    kind: str, rule: dict[str, int | None], http: int, header: tuple[str, str | None]
) -> None:
    async with running() as (sim, client):
        sim.add_job("ess", 1)
        sim.add_fault(kind, **rule)
        reply = await client.get(f"{ESS}/1")

    assert (reply.status_code, reply.headers.get(header[0])) == (http, header[1])


@pytest.mark.asyncio
async def test_bodies_arrive_truncated_huge_or_slowly() -> None:
    async with running() as (sim, client):
        sim.add_job("ess", 1)
        whole = (await client.get(f"{ESS}/1?fields=state")).content
        sim.add_fault("truncated", times=1)
        sim.add_fault("big_body", times=1, size=2_000_000)
        sim.add_fault("slow_drip", times=1, gap=0.001)
        half, big, slow = [(await client.get(f"{ESS}/1?fields=state")).content for _ in range(3)]

    assert (half, len(big), slow) == (whole[: len(whole) // 2], 2_000_000, whole)


@pytest.mark.asyncio
async def test_an_awkward_id_survives_the_wire() -> None:
    async with running() as (sim, client):
        sim.add_job("oml", "a b/../c?x=1#y")
        reply = await client.delete("/oml/api/r-scripts/v2/jobs/a%20b%2F..%2Fc%3Fx%3D1%23y")
        log = sim.job("oml", "a b/../c?x=1#y").log

    assert reply.status_code == 200
    assert [entry.raw_path for entry in log] == ["/oml/api/r-scripts/v2/jobs/a%20b%2F..%2Fc%3Fx%3D1%23y"]


@pytest.mark.asyncio
async def test_the_control_api_makes_a_job_and_tells_its_truth() -> None:
    async with running() as (_, client):
        made = await client.post("/_sim/jobs", json={"system": "sahara", "id": "j", "cancels_after": 60})
        await client.get("/sahara/v1.1/p/job-executions/j/cancel")
        clock = await client.post("/_sim/clock", json={"advance": 60})
        true = (await client.get("/_sim/jobs/sahara/j")).json()

    assert (made.status_code, clock.json()["now"]) == (201, "2025-11-23T12:01:00.000Z")
    assert (true["state"], true["ended_at"]) == ("KILLED", "2025-11-23T12:01:00.000Z")
    assert [(entry["verb"], entry["http"], entry["effect"]) for entry in true["log"]] == [("cancel", 200, True)]


@pytest.mark.asyncio
async def test_the_control_log_holds_the_changing_calls() -> None:
    async with running() as (sim, client):
        sim.add_job("ess", 1)
        await client.get(f"{ESS}/1")
        await client.post(f"{ESS}/1/cancel")
        logs = [(await client.get(path)).json()["log"] for path in ("/_sim/log", "/_sim/log?all=true")]

    assert [[entry["verb"] for entry in log] for log in logs] == [["cancel"], ["look", "cancel"]]


@pytest.mark.asyncio
async def test_the_control_api_sets_and_lifts_faults_and_knobs() -> None:
    async with running() as (sim, client):
        fault = await client.post("/_sim/faults", json={"kind": "reset"})
        lifted = await client.delete("/_sim/faults")
        knobs = await client.post("/_sim/knobs", json={"ess": {"times": "naive"}})

    assert (fault.status_code, lifted.status_code, knobs.json()["ess"]["times"]) == (201, 204, "naive")
    assert sim.world.faults == []


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/_sim/jobs", {"system": "vax", "id": "1"}),
        ("/_sim/jobs", {"system": "ess"}),
        ("/_sim/jobs", {"system": "ess", "id": "1", "life": "sings"}),
        ("/_sim/faults", {"kind": "fire"}),
        ("/_sim/knobs", {"ess.nope": 1}),
        ("/_sim/clock", {"advance": -1}),
        ("/_sim/clock", {"jump": 1}),
    ],
)
async def test_a_control_call_that_cannot_be_read_gets_a_sentence(path: str, body: dict[str, object]) -> None:
    async with running() as (_, client):
        reply = await client.post(path, json=body)

    assert (reply.status_code, list(reply.json())) == (400, ["error"])


@pytest.mark.asyncio
async def test_a_stopped_simulator_comes_back_with_its_memory() -> None:
    async with running() as (sim, client):
        sim.add_job("ess", 1)
        await sim.stop()
        with pytest.raises(httpx.ConnectError):
            await client.get(f"{ESS}/1")
        await sim.start()
        reply = await client.get(f"{ESS}/1")

    assert reply.status_code == 200


@pytest.mark.asyncio
async def test_a_hanging_call_does_not_keep_the_simulator_from_stopping() -> None:
    async with running() as (sim, client):
        sim.add_fault("hang")
        with pytest.raises(httpx.ReadTimeout):
            await client.get(f"{ESS}/1", timeout=HASTY)
        await asyncio.wait_for(sim.stop(), 60)
