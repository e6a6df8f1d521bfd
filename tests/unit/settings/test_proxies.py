"""The proxy of a backend: where it is named, for which hosts it is used, and which mistakes are listed."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from unit.settings.backends_file import one, problems

from worker.runtime.wiring import proxy_of
from worker.settings.backends_file.proxies import Proxy, proxy_for

ESS = 'kind = "oracle-ess"\nbase_url = "https://h"\nauth = { type = "none" }\n'


def used(url: str, environ: Mapping[str, str]) -> str | None:
    proxy = proxy_for(url, "environment", None, environ)
    return proxy and proxy.url


@pytest.mark.parametrize(
    ("url", "address", "username", "password"),
    [
        pytest.param("http://proxy:3128", "http://proxy:3128", "", "", id="plain"),
        pytest.param("http://proxy:3128/", "http://proxy:3128", "", "", id="slash"),
        pytest.param("http://proxy", "http://proxy:80", "", "", id="http-port"),
        pytest.param("HTTPS://Proxy.Example.com", "https://proxy.example.com:443", "", "", id="https-port"),
        pytest.param("http://[::1]:3128", "http://[::1]:3128", "", "", id="ipv6"),
        pytest.param("http://u:p@proxy:1", "http://proxy:1", "u", "p", id="login"),
        pytest.param("http://u%40d:p%2Fw%3A%C3%BC@[::1]:1", "http://[::1]:1", "u@d", "p/w:ü", id="percent-encoded"),
        pytest.param("http://u:p:w@proxy:1", "http://proxy:1", "u", "p:w", id="colon-in-the-password"),
        pytest.param("http://u@proxy:1", "http://proxy:1", "u", "", id="user-alone"),
    ],
)
def test_a_proxys_url_is_an_address_and_a_login(url: str, address: str, username: str, password: str) -> None:
    assert Proxy.parse(url) == Proxy(address, username, password)


def test_a_login_is_not_shown() -> None:
    assert repr(Proxy.parse("http://scott:hunter2@proxy:1")) == "Proxy(url='http://proxy:1')"


def test_without_a_key_the_environment_is_ignored() -> None:
    backend = one(ESS, {"HTTPS_PROXY": "http://proxy"})
    assert proxy_for("https://h", backend.proxy, backend.proxy_env, {"HTTPS_PROXY": "http://proxy"}) is None


def test_a_proxy_is_for_all_urls_of_a_backend() -> None:
    backend = one(f'{ESS}proxy = "http://proxy:3128"', {})
    assert [proxy_of(backend, url) and True for url in ("https://h", "http://127.0.0.1", "https://idp")] == [True] * 3


def test_a_proxys_login_becomes_its_authorization(monkeypatch: pytest.MonkeyPatch) -> None:
    environ = {"OUT": "http://scott:hunter%202@proxy:3128\n"}
    monkeypatch.setenv("OUT", environ["OUT"])
    proxy = proxy_of(one(f'{ESS}proxy_env = "OUT"', environ), "https://h")
    assert proxy is not None
    assert (proxy.url, proxy.authorization) == ("http://proxy:3128", "Basic c2NvdHQ6aHVudGVyIDI=")
    assert "c2NvdHQ" not in repr(proxy)


def test_a_url_without_a_login_may_be_in_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUT", "http://proxy:3128")
    proxy = proxy_of(one(f'{ESS}proxy_env = "OUT"', {"OUT": "http://proxy:3128"}), "https://h")
    assert proxy is not None
    assert proxy.authorization == ""


@pytest.mark.parametrize(
    ("environ", "https", "http"),
    [
        pytest.param({}, None, None, id="none"),
        pytest.param({"HTTPS_PROXY": "http://p:1"}, "http://p:1", None, id="https"),
        pytest.param({"HTTP_PROXY": "http://p:1"}, None, "http://p:1", id="http"),
        pytest.param({"https_proxy": "http://p:1"}, "http://p:1", None, id="lower-case"),
        pytest.param({"https_proxy": "http://a:1", "HTTPS_PROXY": "http://b:1"}, "http://a:1", None, id="both-cases"),
        pytest.param({"https_proxy": "", "HTTPS_PROXY": "http://b:1"}, None, None, id="switched-off-in-lower-case"),
        pytest.param({"HTTPS_PROXY": "p:1"}, "http://p:1", None, id="no-scheme"),
        pytest.param({"HTTPS_PROXY": "http://u:w@p:1"}, "http://p:1", None, id="login"),
        pytest.param({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "*"}, None, None, id="all-excepted"),
        pytest.param({"ALL_PROXY": "http://p:1"}, None, None, id="another-variable"),
    ],
)
def test_the_usual_variables_name_a_proxy_for_each_scheme(
    environ: dict[str, str], https: str | None, http: str | None
) -> None:
    assert (used("https://api.example.com", environ), used("http://api.example.com", environ)) == (https, http)


@pytest.mark.parametrize(
    ("exceptions", "url", "direct"),
    [
        pytest.param("example.com", "https://example.com", True, id="itself"),
        pytest.param("example.com", "https://api.example.com/x", True, id="below"),
        pytest.param(".example.com", "https://api.example.com", True, id="dot"),
        pytest.param(".example.com", "https://example.com", True, id="dot-itself"),
        pytest.param("example.com", "https://badexample.com", False, id="another-name"),
        pytest.param("example.com", "https://example.com.evil.org", False, id="another-end"),
        pytest.param("api.example.com", "https://example.com", False, id="above"),
        pytest.param("Example.COM", "https://API.example.com", True, id="case"),
        pytest.param("a.org, example.com ,b.org", "https://example.com", True, id="list"),
        pytest.param("a.org,,", "https://example.com", False, id="empty-entries"),
        pytest.param("example.com:8443", "https://example.com:8443", True, id="port"),
        pytest.param("example.com:443", "https://example.com", True, id="default-port"),
        pytest.param("example.com:8443", "https://example.com", False, id="another-port"),
        pytest.param("127.0.0.1", "https://127.0.0.1:8580", True, id="address"),
        pytest.param("10.0.0.0/8", "https://10.1.2.3", True, id="network"),
        pytest.param("10.0.0.1/8", "https://10.1.2.3", True, id="network-with-host-bits"),
        pytest.param("10.0.0.0/8", "https://11.1.2.3", False, id="another-network"),
        pytest.param("10.0.0.0/8", "https://api.example.com", False, id="a-network-is-no-name"),
        pytest.param("::1", "https://[::1]:8443", True, id="ipv6"),
        pytest.param("[::1]:8443", "https://[::1]:8443", True, id="ipv6-port"),
        pytest.param("fd00::/8", "https://[fd00::7]", True, id="ipv6-network"),
        pytest.param("*.example.com", "https://api.example.com", False, id="no-wildcard-in-a-name"),
        pytest.param("", "https://api.example.com", False, id="empty"),
    ],
)
@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
def test_no_proxy_excepts_hosts(name: str, exceptions: str, url: str, direct: bool) -> None:  # noqa: FBT001
    assert (used(url, {"HTTPS_PROXY": "http://p:1", name: exceptions}) is None) == direct


@pytest.mark.parametrize(
    ("keys", "place", "text"),
    [
        pytest.param('proxy = "http://u:hunter2@proxy"', "proxy", "use proxy_env for them", id="login"),
        pytest.param('proxy = "socks5://proxy:1080"', "proxy", "must be http:// or https://", id="socks"),
        pytest.param('proxy = "proxy:3128"', "proxy", '"environment" for HTTPS_PROXY', id="no-scheme"),
        pytest.param('proxy = "environ"', "proxy", '"environment" for HTTPS_PROXY', id="misspelt"),
        pytest.param('proxy = ""', "proxy", "must be http:// or https://", id="empty"),
        pytest.param('proxy = "http://"', "proxy", "must be http:// or https://", id="no-host"),
        pytest.param('proxy = "http://proxy/path"', "proxy", "nothing else", id="path"),
        pytest.param('proxy = "http://proxy/?x"', "proxy", "nothing else", id="query"),
        pytest.param('proxy = "http://proxy:port"', "proxy", "is not a URL", id="port"),
        pytest.param('proxy = "http://pro xy"', "proxy", "is not a URL", id="space"),
        pytest.param('proxy = "http://a..b"', "proxy", "must name a host", id="host"),
        pytest.param("proxy = true", "proxy", "text in quotes", id="no-text"),
        pytest.param('proxy_env = "ABSENT"', "proxy_env", "variable ABSENT is not set", id="unset"),
        pytest.param('proxy_env = "EMPTY"', "proxy_env", "variable EMPTY is empty", id="unset-value"),
        pytest.param('proxy_env = "http://u:hunter2@p"', "proxy_env", "not the secret itself", id="the-url-itself"),
        pytest.param('proxy_env = "SLASH"', "proxy_env", "SLASH is not a URL", id="slash-in-the-password"),
        pytest.param('proxy_env = "HASH"', "proxy_env", "percent-encode the special", id="hash-in-the-password"),
        pytest.param('proxy_env = "COLON"', "proxy_env", "COLON must have no colon in its user name", id="colon"),
        pytest.param('proxy_env = "SOCKS"', "proxy_env", "SOCKS must be http:// or https://", id="socks-variable"),
        pytest.param(
            'proxy = "http://p"\nproxy_env = "GOOD"', "proxy_env", "use exactly one of proxy and proxy_env", id="both"
        ),
        pytest.param('proxi = "http://p"', "proxi", "did you mean proxy?", id="misspelt-key"),
    ],
)
def test_a_mistake_about_a_proxy_is_told_and_no_login_shown(keys: str, place: str, text: str) -> None:
    environ = {
        "EMPTY": "",
        "GOOD": "http://u:hunter2@proxy",
        "SLASH": "http://u:hunter2/x@proxy:1",
        "HASH": "http://u:12345#hunter2@proxy",
        "COLON": "http://u%3Ahunter2:p@proxy",
        "SOCKS": "socks5://u:hunter2@proxy",
    }
    (problem,) = problems(f"[backends.x]\n{ESS}{keys}", environ)

    assert problem.startswith(f"b.toml: [backends.x] {place}: ")
    assert text in problem
    assert "hunter2" not in problem


def test_each_usual_variable_that_is_wrong_is_told() -> None:
    environ = {"https_proxy": "socks5://hunter2@p", "HTTP_PROXY": "http://p:hunter2"}
    (problem,) = problems(f'[backends.x]\n{ESS}proxy = "environment"', environ)

    assert "[backends.x] proxy: environment variable https_proxy must be http:// or https://" in problem
    assert "environment variable HTTP_PROXY is not a URL" in problem
    assert "hunter2" not in problem


def test_a_usual_variable_that_is_wrong_is_no_mistake_of_a_backend_that_does_not_use_it() -> None:
    assert one(ESS, {"HTTPS_PROXY": "socks5://p"}).proxy is None
