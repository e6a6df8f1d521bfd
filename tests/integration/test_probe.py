"""A probe's URL as it comes over the wire, by either transport."""

from __future__ import annotations

import pytest
from integration.wiretap import OK, says, wiretap

from config.backends import parse_backends
from worker.backends.http import Transport
from worker.wiring import probe_of

SAHARA = 'kind = "sahara"\nbase_url = "http://b"\nproject_id = "p"\nauth = { type = "none" }\n'


@pytest.mark.parametrize(
    ("path", "line"),
    [
        pytest.param("/my%20agent/{job_id}", "/my%20agent/a%2Fb%20%25", id="A7-an-escape"),
        pytest.param("/%7Ex/%2f/{job_id}/", "/%7Ex/%2f/a%2Fb%20%25/", id="escapes-that-need-not-be"),
        pytest.param("/it's!$&()*+,;=:@/{job_id}", "/it's!$&()*+,;=:@/a%2Fb%20%25", id="marks"),
        pytest.param("/?id={job_id}&y=a+b%27/..", "/?id=a%2Fb%20%25&y=a+b%27/..", id="in-the-query"),
    ],
)
async def test_a_probes_url_goes_out_as_it_is_written(transport: Transport, path: str, line: str) -> None:
    async with wiretap(says(OK)) as tap:
        table = f'remote_probe = {{ url = "{tap.url}{path}", gone_when = "404" }}'
        probe = probe_of("b", parse_backends(f"[backends.b]\n{SAHARA}{table}", environ={})["b"], transport)
        assert probe is not None
        gone = await probe.ask("a/b %")
        await probe.aclose()

    assert tap.lines() == [f"GET {line} HTTP/1.1"]
    assert gone is False
