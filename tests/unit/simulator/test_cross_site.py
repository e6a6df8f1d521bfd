"""A foreign web page can neither create jobs in the simulator nor read about them."""

from __future__ import annotations

import httpx
import pytest

from worker.simulator import Clock, Simulator
from worker.simulator.cross_site import foreign

JOB = '{"system": "ess", "id": 1}'


@pytest.mark.parametrize(
    ("headers", "sign"),
    [
        pytest.param({"host": "evil.example"}, "Host", id="dns-rebinding"),
        pytest.param({"host": "127.0.0.1.evil.example:80"}, "Host", id="a-name-that-begins-as-an-address"),
        pytest.param({"host": "10.0.0.1"}, "Host", id="another-machine"),
        pytest.param({"host": "[::1"}, "Host", id="unreadable-host"),
        pytest.param({"host": "127.0.0.1:8580", "origin": "http://evil.example"}, "Origin", id="another-origin"),
        pytest.param({"host": "127.0.0.1:8580", "origin": "null"}, "Origin", id="a-page-without-an-origin"),
        pytest.param({"host": "localhost:8580", "origin": "http://localhost:3000"}, "Origin", id="another-port"),
        pytest.param({"host": "localhost:8580", "sec-fetch-site": "cross-site"}, "Sec-Fetch-Site", id="cross-site"),
        pytest.param({"host": "localhost:8580", "sec-fetch-site": "same-site"}, "Sec-Fetch-Site", id="same-site"),
    ],
)
def test_what_a_page_sends_shows_that_it_is_foreign(headers: dict[str, str], sign: str) -> None:
    assert foreign(headers, set()).startswith(sign)


@pytest.mark.parametrize(
    ("headers", "hosts"),
    [
        pytest.param({}, set(), id="http-1.0"),
        pytest.param({"host": "127.0.0.1:8580"}, set(), id="address"),
        pytest.param({"host": "[::1]:8580"}, set(), id="ipv6"),
        pytest.param({"host": "localhost"}, set(), id="name"),
        pytest.param({"host": "localhost:1", "origin": "http://localhost:1"}, set(), id="its-own-origin"),
        pytest.param({"host": "localhost:1", "sec-fetch-site": "none"}, set(), id="typed-into-a-browser"),
        pytest.param({"host": "api.example:8580"}, {"api.example"}, id="behind-a-proxy"),
        pytest.param({"host": "simulator:8580"}, None, id="open-to-a-network"),
    ],
)
def test_clients_and_pages_of_its_own_are_not_foreign(headers: dict[str, str], hosts: set[str] | None) -> None:
    assert foreign(headers, hosts) == ""


@pytest.mark.parametrize("header", [{"Host": "evil.example"}, {"Origin": "http://evil.example"}], ids=str)
@pytest.mark.asyncio
async def test_a_foreign_request_makes_no_job(header: dict[str, str]) -> None:
    async with (
        Simulator(clock=Clock(0, start=1.0)) as sim,
        httpx.AsyncClient(base_url=sim.url, timeout=60, trust_env=False) as client,
    ):
        text = {"Content-Type": "text/plain", **header}
        reply = await client.post("/_sim/jobs", content=JOB, headers=text)

        assert (reply.status_code, "refuses requests from web pages" in reply.text) == (403, True)
        assert (sim.job("ess", 1).known, sim.log()) == (False, [])
