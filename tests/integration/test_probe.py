"""A probe's URL as it is sent over the wire, and what `check` reports about it."""

from __future__ import annotations

import pytest
from support.backends_file import parse_backends
from support.http_recorder import OK, drops, says, wiretap

from worker.cli.commands.check import probe_finding
from worker.runtime.wiring import probe_of
from worker.settings.backends_file.backends import BackendConfig

SAHARA = 'kind = "sahara"\nbase_url = "http://b"\nproject_id = "p"\nauth = { type = "none" }\n'


def probed(url: str) -> BackendConfig:
    """Return a backend with a probe."""
    table = f'remote_probe = {{ url = "{url}", gone_when = "404" }}'
    return parse_backends(f"[backends.b]\n{SAHARA}{table}", environ={})["b"]


def status(line: str) -> bytes:
    return f"HTTP/1.1 {line}\r\nContent-Length: 0\r\n\r\n".encode()


@pytest.mark.parametrize(
    ("path", "line"),
    [
        pytest.param("/my%20agent/{job_id}", "/my%20agent/a%2Fb%3F%20%25", id="A7-an-escape"),
        pytest.param("/%7Ex/%2f/{job_id}/", "/%7Ex/%2f/a%2Fb%3F%20%25/", id="escapes-that-need-not-be"),
        pytest.param("/it's!$&()*+,;=:@/{job_id}", "/it's!$&()*+,;=:@/a%2Fb%3F%20%25", id="marks"),
        pytest.param("/x/pre-{job_id}.pid", "/x/pre-a%2Fb%3F%20%25.pid", id="inside-a-part"),
        pytest.param("/?id={job_id}&y=a+b%27/..", "/?id=a%2Fb%3F%20%25&y=a+b%27/..", id="in-the-query"),
    ],
)
async def test_a_probes_url_goes_out_as_it_is_written(path: str, line: str) -> None:
    async with wiretap(says(OK)) as tap:
        probe = probe_of("b", probed(tap.url + path))
        assert probe is not None
        gone = await probe.ask("a/b? %")
        await probe.http.aclose()

    assert tap.lines() == [f"GET {line} HTTP/1.1"]
    assert gone is False


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        pytest.param(status("404 Not Found"), "ok", id="gone"),
        pytest.param(status("204 No Content"), "warning", id="there"),
        pytest.param(status("302 Found"), "wrong", id="a-redirect"),
        pytest.param(status("503 Service Unavailable"), "wrong", id="down"),
        pytest.param(b"", "wrong", id="no-answer"),
    ],
)
async def test_check_asks_a_probe_about_a_job_that_can_not_exist(reply: bytes, verdict: str) -> None:
    async with wiretap(says(reply) if reply else drops(0, reset=False)) as tap:
        found = await probe_finding("b", probed(f"{tap.url}/alive/{{job_id}}"))

    assert (found.verdict, found.what) == (verdict, "probe of backend b"), found.text
    assert tap.lines() == ["GET /alive/canceller-check-no-such-job HTTP/1.1"]
