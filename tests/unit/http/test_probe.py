"""The second source: what its answers mean, and which jobs it is asked about."""

from __future__ import annotations

import aiohttp
import httpx
import pytest
from structlog.testing import capture_logs
from support.mock_transport import HttpxTransport

from worker.domain.polling import LONGEST_DELAY
from worker.http.client import Http
from worker.http.probe import Probe
from worker.observability.outage import SELDOM


class Agent:
    """An agent that answers with one status, or not at all, and records what it was asked."""

    def __init__(self, status: int | None, retry_after: str | None = None) -> None:
        self.status = status
        self.headers = {} if retry_after is None else {"Retry-After": retry_after}
        self.asked: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        if self.status is None:
            raise aiohttp.ServerDisconnectedError
        return httpx.Response(self.status, headers=self.headers)


def probe(agent: Agent, target: str = "/alive/{job_id}", **options: object) -> Probe:
    http = Http("https://agent.example.com", wire=HttpxTransport(httpx.MockTransport(agent)))
    return Probe("ess", http, target, (404, 410), **options)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("status", "gone"),
    [
        pytest.param(404, True, id="one-that-says-gone"),
        pytest.param(410, True, id="another-that-says-gone"),
        pytest.param(200, False, id="the-process-is-there"),
        pytest.param(204, False, id="the-process-is-there-without-a-body"),
        pytest.param(302, None, id="a-login-page"),
        pytest.param(401, None, id="no-credential"),
        pytest.param(403, None, id="a-firewall"),
        pytest.param(429, None, id="too-many"),
        pytest.param(503, None, id="down"),
        pytest.param(None, None, id="no-answer"),
    ],
)
async def test_only_a_success_or_a_named_status_says_anything(status: int | None, *, gone: bool | None) -> None:
    assert await probe(Agent(status)).ask("7") is gone


@pytest.mark.parametrize("status", [404, 429, 503])
@pytest.mark.parametrize(("asked", "heeded"), [(40, 40), (86400, LONGEST_DELAY)])
async def test_one_that_asks_for_time_says_nothing_and_is_not_asked_before(
    status: int, asked: int, heeded: float
) -> None:
    now = [0.0]
    agent = Agent(status, str(asked))
    source = probe(agent, monotonic=lambda: now[0])
    for now[0] in (0.0, 1.0, heeded - 0.5):
        assert await source.ask("7") is None
    assert len(agent.asked) == 1

    now[0], agent.status = heeded, 200
    assert await source.ask("8") is False


async def test_no_credential_is_shown_to_it() -> None:
    agent = Agent(200)
    await probe(agent).ask("7")

    assert not {"authorization", "x-auth-token"} & set(agent.asked[0].headers)


async def test_one_that_can_not_tell_is_told_once_a_minute() -> None:
    now = [0.0]
    source = probe(Agent(503), monotonic=lambda: now[0])
    with capture_logs() as logs:
        for seconds in (0.0, 1.0, SELDOM, SELDOM + 1):
            now[0] = seconds
            await source.ask("7")

    assert [line["event"] for line in logs] == ["backend.probe_can_not_tell"] * 2


@pytest.mark.parametrize("status", [302, 503, None])
async def test_the_warning_names_the_backend_and_why(status: int | None) -> None:
    with capture_logs() as logs:
        await probe(Agent(status)).ask("7")

    (line,) = logs
    assert (line["log_level"], line["backend"]) == ("warning", "ess")
    assert str(status or "without a reply") in line["error"]


@pytest.mark.parametrize(
    ("target", "job_id"),
    [
        pytest.param("/alive/{job_id}", "", id="the-list-of-all"),
        pytest.param("/alive?id={job_id}", "", id="no-id-in-the-query"),
        pytest.param("/alive/{job_id}", ".", id="dot"),
        pytest.param("/alive/{job_id}", "..", id="dots"),
        pytest.param("/alive/{job_id}/", "..", id="dots-before-a-slash"),
        pytest.param("/{job_id}/alive?x=1", "..", id="dots-in-front"),
        pytest.param("/alive/.{job_id}", ".", id="dots-in-part-ours"),
    ],
)
async def test_an_id_that_leads_out_of_the_path_is_never_asked_about(target: str, job_id: str) -> None:
    agent = Agent(404)

    assert await probe(agent, target).ask(job_id) is None
    assert agent.asked == []


async def test_an_id_of_dots_in_a_query_leads_nowhere() -> None:
    agent = Agent(404)
    assert await probe(agent, "/alive?id={job_id}").ask("..") is True
