import pytest
from unit.settings.backends_file import one, problems

ESS = 'kind = "oracle-ess"\nbase_url = "https://h"\nauth = { type = "none" }\n'


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("ftp://h", id="scheme"),
        pytest.param("https://", id="no-host"),
        pytest.param("h.example.com", id="no-scheme"),
        pytest.param("https://u:hunter2@h", id="userinfo"),
        pytest.param("https://h:hunter2", id="port"),
        pytest.param("https://h:70000", id="port-range"),
        pytest.param("https://h?x=hunter2", id="query"),
        pytest.param("https://h/#hunter2", id="fragment"),
        pytest.param("https://h /x", id="space"),
        pytest.param("https://h%20x", id="escape-in-the-host"),
        pytest.param("https://h..x", id="empty-label"),
        pytest.param("https://256.1.1.1", id="no-address"),
        pytest.param("https://[v1.x]", id="no-address-in-brackets"),
        pytest.param("https://xn--a", id="no-encoded-name"),
    ],
)
def test_a_base_url_is_scheme_host_port_and_prefix(url: str) -> None:
    (problem,) = problems(f"[backends.x]\n{ESS.replace('https://h', url)}")
    assert problem.startswith("b.toml: [backends.x] base_url: ")
    assert "hunter2" not in problem


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://münchen.de/", "https://münchen.de"),
        ("https://h:8443/a/b/", "https://h:8443/a/b"),
        ("http://[::1]:1", "http://[::1]:1"),
        ("https://h/", "https://h"),
    ],
)
def test_a_base_url_keeps_its_prefix_and_no_last_slash(url: str, expected: str) -> None:
    assert one(ESS.replace("https://h", url)).base_url == expected


@pytest.mark.parametrize(
    ("url", "way_out"),
    [
        pytest.param("https://a/x", "must contain {job_id} once", id="no-placeholder"),
        pytest.param("https://a/{job_id}/{other}", "no other braces", id="other-placeholder"),
        pytest.param("https://{job_id}/x", "hosts come from configuration alone", id="id-as-host"),
        pytest.param("a/{job_id}", "must be http:// or https://", id="no-scheme"),
        pytest.param("https://a/{job_id}#x", "must hold no fragment", id="fragment"),
        pytest.param("https://a?id={job_id}", "must have a path", id="no-path"),
        pytest.param("https://a/{job_id}?", "remove the question mark", id="empty-query"),
        pytest.param("https://a/alive//{job_id}", "remove it", id="A7-empty-part"),
        pytest.param("https://a//{job_id}", "remove it", id="A7-empty-first-part"),
        pytest.param("https://a/x/{job_id}//", "remove it", id="A7-empty-last-part"),
        pytest.param("https://a//?id={job_id}", "remove it", id="A7-empty-parts-alone"),
        pytest.param("https://a/../{job_id}", "remove it", id="A7-dots"),
        pytest.param("https://a/./x/{job_id}", "remove it", id="A7-a-dot"),
        pytest.param("https://a/{job_id}/..", "remove it", id="A7-dots-at-the-end"),
        pytest.param("https://a/x/%2e%2E/{job_id}", "remove it", id="encoded-dots"),
        pytest.param("https://a/x/.%2e/{job_id}", "remove it", id="half-encoded-dots"),
        pytest.param("https://a/my agent/{job_id}", "a space as %20", id="a-space"),
        pytest.param("https://a/jöb/{job_id}", "a space as %20", id="an-unencoded-letter"),
        pytest.param("https://a/[x]/{job_id}", "a space as %20", id="brackets-in-the-path"),
        pytest.param("https://a/{job_id}?x=[1]", "a space as %20", id="brackets-in-the-query"),
        pytest.param("https://a/{job_id}\\u0007", "a space as %20", id="a-control-character"),
        pytest.param("https://a/50%/{job_id}", "a percent sign itself as %25", id="a-broken-escape"),
        pytest.param("https://a/x%{job_id}", "a percent sign itself as %25", id="a-broken-escape-before-the-id"),
        pytest.param("https://münchen.de/{job_id}", "xn--", id="a-host-in-other-letters"),
        pytest.param("https://a%20b/{job_id}", "must name a host", id="an-escape-in-the-host"),
        pytest.param("https://a..b/{job_id}", "must name a host", id="an-empty-label"),
        pytest.param(f"https://{'a' * 64}/{{job_id}}", "must name a host", id="a-long-label"),
        pytest.param("https://256.1.1.1/{job_id}", "must name a host", id="no-address"),
        pytest.param("https://[v1.x]/{job_id}", "must name a host", id="no-address-in-brackets"),
        pytest.param("https://xn--a/{job_id}", "must name a host", id="no-encoded-name"),
    ],
)
def test_a_mistake_in_a_probes_url_names_the_way_out(url: str, way_out: str) -> None:
    (problem,) = problems(f'[backends.x]\n{ESS}remote_probe = {{ url = "{url}", gone_when = "404" }}')
    assert problem.startswith("b.toml: [backends.x] remote_probe.url: ")
    assert way_out in problem


@pytest.mark.parametrize(
    ("keys", "way_out"),
    [
        pytest.param(', gone_when = "gone"', "must be HTTP statuses from 200 to 499", id="no-status"),
        pytest.param(', gone_when = "404,503"', "must be HTTP statuses from 200 to 499", id="server-error"),
        pytest.param(', gone_when = "401"', "they do not prove a process gone", id="no-right-is-no-proof"),
        pytest.param("", "is required and missing", id="no-default"),
    ],
)
def test_a_probe_must_be_able_to_prove_something(keys: str, way_out: str) -> None:
    (problem,) = problems(f'[backends.x]\n{ESS}remote_probe = {{ url = "https://a/{{job_id}}"{keys} }}')
    assert problem.startswith("b.toml: [backends.x] remote_probe.gone_when: ")
    assert way_out in problem


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("https://a/?id={job_id}", id="root-with-a-query"),
        pytest.param("https://a/{job_id}", id="at-the-root"),
        pytest.param("https://a/x/{job_id}/", id="slash-at-the-end"),
        pytest.param("https://a/{job_id}/?x=1", id="slash-before-the-query"),
        pytest.param("https://a/my%20agent/%2f/pre-{job_id}.pid", id="escapes"),
        pytest.param("https://a/x?q=a+b/..//?'&id={job_id}", id="dots-and-slashes-in-the-query"),
        pytest.param("https://a/it's!$&()*+,;=:@~/...;/{job_id}", id="every-character-of-a-path"),
        pytest.param("http://[::1]:8080/{job_id}", id="ipv6"),
        pytest.param("http://xn--mnchen-3ya.de./{job_id}", id="encoded-name"),
        pytest.param("HTTP://my_agent.A:1/{job_id}", id="capitals"),
    ],
)
def test_a_probes_url_is_kept_as_it_is_written(url: str) -> None:
    probe = one(f'{ESS}remote_probe = {{ url = "{url}", gone_when = "404" }}').remote_probe
    assert probe is not None
    assert probe.url == url


@pytest.mark.parametrize("statuses", ['"404,410"', "[404, 410]", '["404", 410, 404]'])
def test_statuses_may_be_a_list(statuses: str) -> None:
    probe = one(f'{ESS}remote_probe = {{ url = "https://a/{{job_id}}", gone_when = {statuses} }}').remote_probe
    assert probe is not None
    assert probe.gone_when == (404, 410)
