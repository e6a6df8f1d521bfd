"""Three servers of one backend (API, token service, probe): whom each call trusts, and who is shown a certificate."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from support.backends_file import parse_backends
from support.certificates import Authority, shown_by
from support.http_recorder import Behave, Wiretap, says, wiretap

from worker.backends.adapter import Request
from worker.domain.errors import CredentialUnavailable
from worker.runtime.wiring import http_of, probe_of
from worker.settings.errors import ConfigurationError

LOOK = Request("GET", ("job",))
ENVIRON = {"U": "u", "P": "p"}


def reply(body: object) -> bytes:
    text = json.dumps(body).encode()
    return b"HTTP/1.1 200 OK\r\nX-Subject-Token: t\r\nContent-Length: %d\r\n\r\n" % len(text) + text


TOKEN = reply({"access_token": "t", "accessToken": "t", "expires_in": 3600})


@dataclass
class Server:
    """A server that accepts a client certificate; `shown` has the name on each request's certificate."""

    tap: Wiretap
    shown: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return self.tap.url


@asynccontextmanager
async def server(
    authority: Authority, clients: Authority, answer: bytes, *, needs: bool = False
) -> AsyncIterator[Server]:
    shown: list[str] = []
    context = authority.server()
    context.load_verify_locations(clients.file)
    context.verify_mode = ssl.CERT_REQUIRED if needs else ssl.CERT_OPTIONAL
    answers: Behave = says(answer)

    async def behave(writer: asyncio.StreamWriter, count: int) -> bool:
        shown.extend(shown_by(writer))
        return await answers(writer, count)

    async with wiretap(behave, context) as tap:
        yield Server(tap, shown)


@dataclass
class Files:
    """Two authorities that are not the system's, and a client certificate from each."""

    folder: Path
    api: Authority
    idp: Authority

    def tls(self, authority: Authority, name: str, sep: str = "\n") -> str:
        cert, key = authority.certificate(name)
        return sep.join((f'ca_file = "{authority.file}"', f'client_cert = "{cert}"', f'client_key = "{key}"'))


@pytest.fixture
def files(tmp_path: Path, system: Authority) -> Files:
    assert system.file.exists()
    return Files(tmp_path, Authority(tmp_path, "api-ca"), Authority(tmp_path, "idp-ca"))


def oauth2(url: str, extra: str = "") -> str:
    pair = 'client_id_env = "U", client_secret_env = "P"'
    return f'auth = {{ type = "oauth2_client_credentials", token_url = "{url}/token", {pair}{extra} }}'


async def called(keys: str) -> None:
    config = parse_backends(f"[backends.b]\n{keys}", environ=ENVIRON)["b"]
    http = http_of(config)
    try:
        await http.send(LOOK)
    finally:
        await http.aclose()


@pytest.fixture(autouse=True)
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)


async def test_a_private_api_goes_with_a_public_token_service(files: Files, system: Authority) -> None:
    async with (
        server(files.api, files.api, reply({}), needs=True) as api,
        server(system, files.api, TOKEN) as idp,
    ):
        keys = f'kind = "oracle-ess"\nbase_url = "{api.url}"\n{oauth2(idp.url)}\n{files.tls(files.api, "us")}'
        await called(keys)

    assert (len(api.tap.requests), len(idp.tap.requests)) == (1, 1)
    assert (api.shown, idp.shown) == (["us"], [])


async def test_a_public_api_goes_with_a_private_token_service(files: Files, system: Authority) -> None:
    async with (
        server(system, files.idp, reply({})) as api,
        server(files.idp, files.idp, TOKEN, needs=True) as idp,
    ):
        own = files.tls(files.idp, "us-at-the-idp", ", ")
        await called(f'kind = "oracle-ess"\nbase_url = "{api.url}"\n{oauth2(idp.url, ", " + own)}')

    assert (api.shown, idp.shown) == ([], ["us-at-the-idp"])


async def test_each_private_server_is_shown_its_own_certificate(files: Files) -> None:
    async with (
        server(files.api, files.api, reply({}), needs=True) as api,
        server(files.idp, files.idp, TOKEN, needs=True) as idp,
    ):
        auth = oauth2(idp.url, ", " + files.tls(files.idp, "us-at-the-idp", ", "))
        keys = f'kind = "oracle-ess"\nbase_url = "{api.url}"\n{auth}\n{files.tls(files.api, "us")}'
        await called(keys)

    assert (api.shown, idp.shown) == (["us"], ["us-at-the-idp"])


async def test_the_apis_authorities_are_not_the_token_services(files: Files) -> None:
    async with server(files.api, files.api, reply({})) as api, server(files.api, files.api, TOKEN) as idp:
        keys = f'kind = "oracle-ess"\nbase_url = "{api.url}"\n{oauth2(idp.url)}\nca_file = "{files.api.file}"'
        with pytest.raises(CredentialUnavailable, match="the token endpoint gave no answer"):
            await called(keys)

    assert (api.tap.requests, idp.tap.requests) == ([], [])


@pytest.mark.parametrize("case", [str, str.upper], ids=["as-written", "another-case"])
async def test_tokens_from_the_apis_own_server_need_no_files_of_their_own(
    files: Files, case: Callable[[str], str]
) -> None:
    async with server(files.api, files.api, TOKEN, needs=True) as api:
        auth = f'auth = {{ type = "oml", username_env = "U", password_env = "P", token_url = "{case(api.url)}/t" }}'
        await called(f'kind = "oracle-ml"\nbase_url = "{api.url}"\n{auth}\n{files.tls(files.api, "us")}')

    assert api.tap.lines()[0] == "POST /t HTTP/1.1"
    assert len(api.tap.requests) == 2
    assert api.tap.connections == 1


async def test_keystone_has_tls_files_of_its_own(files: Files) -> None:
    async with server(files.api, files.api, reply({})) as api, server(files.idp, files.idp, TOKEN, needs=True) as idp:
        own = files.tls(files.idp, "us", ", ")
        user = 'username_env = "U", password_env = "P"'
        auth = f'auth = {{ type = "keystone", url = "{idp.url}/v3", {user}, {own} }}'
        project = 'kind = "sahara"\nproject_id = "p"'
        await called(f'{project}\nbase_url = "{api.url}"\n{auth}\nca_file = "{files.api.file}"')

    assert idp.tap.lines() == ["POST /v3/auth/tokens HTTP/1.1"]
    assert (api.shown, idp.shown) == ([], ["us"])


async def test_a_probe_trusts_the_apis_authorities_and_is_shown_nothing(files: Files) -> None:
    async with server(files.api, files.api, reply({})) as agent:
        keys = f'kind = "oracle-ess"\nbase_url = "https://b"\nauth = {{ type = "none" }}\n{files.tls(files.api, "us")}'
        remote = f'remote_probe = {{ url = "{agent.url}/alive/{{job_id}}", gone_when = "404" }}'
        probe = probe_of("b", parse_backends(f"[backends.b]\n{keys}\n{remote}", environ={})["b"])
        assert probe is not None
        gone = await probe.ask("1")
        await probe.http.aclose()

    assert gone is False
    assert (len(agent.tap.requests), agent.shown) == (1, [])


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        pytest.param('ca_file = "/absent"', "auth.ca_file: file /absent cannot be read", id="no-file"),
        pytest.param(
            'client_cert = "{cert}"', "auth.client_key: client_cert and client_key belong together", id="half"
        ),
        pytest.param(
            'client_cert = "{cert}", client_key = "{ca}"', "auth.client_key: file .* is not the key", id="key"
        ),
        pytest.param('ca_fil = "{ca}"', r"auth.ca_fil: no such key; did you mean ca_file\?", id="misspelt"),
    ],
)
def test_a_mistake_in_a_token_services_files_is_told(files: Files, keys: str, problem: str) -> None:
    cert, _ = files.api.certificate("us")
    auth = oauth2("https://idp", ", " + keys.format(cert=cert, ca=files.api.file))
    with pytest.raises(ConfigurationError, match=problem):
        parse_backends(f'[backends.b]\nkind = "oracle-ess"\nbase_url = "https://b"\n{auth}', environ=ENVIRON)


@pytest.mark.parametrize("auth", ["bearer", "token"])
def test_a_given_token_has_no_service_whose_files_there_could_be(files: Files, auth: str) -> None:
    keys = f'auth = {{ type = "{auth}", token_env = "P", ca_file = "{files.api.file}" }}'
    with pytest.raises(ConfigurationError, match=r"auth\.ca_file: no such key"):
        parse_backends(f'[backends.b]\nkind = "oracle-ess"\nbase_url = "https://b"\n{keys}', environ=ENVIRON)
