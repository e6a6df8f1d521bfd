import pytest

from config.backends import BackendConfig, parse_backends
from config.errors import ConfigurationError

ESS = 'kind = "oracle-ess"\nbase_url = "https://h"\nauth = { type = "none" }\n'


def one(table: str) -> BackendConfig:
    return parse_backends(f"[backends.x]\n{table}", source="b.toml", environ={})["x"]


def problems(text: str) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        parse_backends(text, source="b.toml", environ={})
    return caught.value.problems


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
    ],
)
def test_a_base_url_is_scheme_host_port_and_prefix(url: str) -> None:
    (problem,) = problems(f"[backends.x]\n{ESS.replace('https://h', url)}")
    assert problem.startswith("b.toml: [backends.x] base_url: ")
    assert "hunter2" not in problem


@pytest.mark.parametrize(
    ("url", "expected"),
    [("https://h:8443/a/b/", "https://h:8443/a/b"), ("http://[::1]:1", "http://[::1]:1"), ("https://h/", "https://h")],
)
def test_a_base_url_keeps_its_prefix_and_no_last_slash(url: str, expected: str) -> None:
    assert one(ESS.replace("https://h", url)).base_url == expected


@pytest.mark.parametrize(
    ("keys", "field"),
    [
        pytest.param('url = "https://a/x", gone_when = "404"', "url", id="no-placeholder"),
        pytest.param('url = "https://{job_id}/x", gone_when = "404"', "url", id="placeholder-as-host"),
        pytest.param('url = "https://a/{job_id}/{other}", gone_when = "404"', "url", id="other-placeholder"),
        pytest.param('url = "https://a/{job_id}#x", gone_when = "404"', "url", id="fragment"),
        pytest.param('url = "https://a?id={job_id}", gone_when = "404"', "url", id="no-path"),
        pytest.param('url = "https://a/alive//{job_id}", gone_when = "404"', "url", id="A7-empty-part"),
        pytest.param('url = "https://a//{job_id}", gone_when = "404"', "url", id="A7-empty-first-part"),
        pytest.param('url = "https://a/../{job_id}", gone_when = "404"', "url", id="A7-dots"),
        pytest.param('url = "https://a/./x/{job_id}", gone_when = "404"', "url", id="A7-a-dot"),
        pytest.param('url = "https://a/my agent/{job_id}", gone_when = "404"', "url", id="a-space"),
        pytest.param('url = "https://a/50%/{job_id}", gone_when = "404"', "url", id="a-broken-escape"),
        pytest.param('url = "https://a/jöb/{job_id}", gone_when = "404"', "url", id="an-unencoded-letter"),
        pytest.param('url = "https://a/{job_id}", gone_when = "gone"', "gone_when", id="no-status"),
        pytest.param('url = "https://a/{job_id}", gone_when = "404,503"', "gone_when", id="server-error"),
        pytest.param('url = "https://a/{job_id}", gone_when = "401"', "gone_when", id="no-right-is-no-proof"),
        pytest.param('url = "https://a/{job_id}"', "gone_when", id="no-default"),
    ],
)
def test_a_probe_must_be_able_to_prove_something(keys: str, field: str) -> None:
    (problem,) = problems(f"[backends.x]\n{ESS}remote_probe = {{ {keys} }}")
    assert problem.startswith(f"b.toml: [backends.x] remote_probe.{field}: ")


@pytest.mark.parametrize("statuses", ['"404,410"', "[404, 410]", '["404", 410, 404]'])
def test_statuses_may_be_a_list(statuses: str) -> None:
    probe = one(f'{ESS}remote_probe = {{ url = "https://a/{{job_id}}", gone_when = {statuses} }}').remote_probe
    assert probe is not None
    assert probe.gone_when == (404, 410)
