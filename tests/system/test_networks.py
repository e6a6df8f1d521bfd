"""Cancellations through other people's networks: a proxy with a login, API keys, two authorities, end to end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import TypeVar

from support.cell import Cell, cell
from support.certificates import Authority
from support.proxy import ForwardProxy, forward_proxy, tls_front

from worker.aio.loop_thread import LoopThread

LOGIN = "scott:hunter2 %/x"
SECRETS = {
    "OUT": "http://scott:hunter2%20%25%2Fx@127.0.0.1:{port}",
    "ESS_ID": "the-client",
    "ESS_SECRET": "hunter2-client",
    "ESS_KEY": "hunter2-key",
}
KNOBS = {"ess": {"auth": "bearer", "username": "the-client", "password": "hunter2-client", "cancel_delay": 0.3}}
AUTH = 'type = "oauth2_client_credentials", client_id_env = "ESS_ID", client_secret_env = "ESS_SECRET"'
BACKEND = """
[backends.ess]
kind = "oracle-ess"
base_url = "{api}"
auth = {{ {auth}, token_url = "{idp}/oauth2/v1/token" }}
headers = {{ X-Requested-By = "canceller" }}
headers_env = {{ X-Api-Key = "ESS_KEY" }}
proxy_env = "OUT"
poll = {{ first = "100ms", max = "500ms" }}
timeout = "5s"
"""

Given = TypeVar("Given")


@contextmanager
def running(loop: LoopThread, one: AbstractAsyncContextManager[Given]) -> Iterator[Given]:
    """Run a server in a separate loop."""
    given = loop.call(one.__aenter__(), timeout=60)
    try:
        yield given
    finally:
        loop.call(one.__aexit__(None, None, None), timeout=60)


@contextmanager
def servers() -> Iterator[LoopThread]:
    loop = LoopThread("servers")
    try:
        yield loop
    finally:
        loop.close()


def secrets(proxy: ForwardProxy) -> dict[str, str]:
    return {name: value.format(port=proxy.port) for name, value in SECRETS.items()}


def cancelled(one: Cell) -> str:
    """Cancel a job; return everything that the deployment says about it."""
    one.start_worker()
    one.simulator.add_job("ess", "300100", life="runs")
    one.send("cancel", backend="ess", job_id="300100")
    one.wait_finished(1)
    assert one.finished("ess", "300100")["outcome"] == "cancelled", one.events
    return f"{one.events}{one.logs()}"


def test_a_job_is_cancelled_through_a_proxy_with_a_login_and_an_api_key(tmp_path: Path) -> None:
    with servers() as loop, running(loop, forward_proxy(login=LOGIN)) as proxy:
        backends = BACKEND.format(api="{ess}", idp="{ess}", auth=AUTH)
        with cell(tmp_path, backends, knobs=KNOBS, more=secrets(proxy)) as one:
            said = cancelled(one)
            received = len(one.simulator.log())

    heads = [head.lower() for head in proxy.heads]
    token, *api = heads
    assert len(heads) == received
    assert b"/oauth2/v1/token " in token
    assert b"x-api-key" not in token
    assert all(b"x-api-key: hunter2-key\r\n" in head for head in api)
    assert all(b"x-requested-by: canceller\r\n" in head for head in api)
    assert "hunter2" not in said


def test_a_private_api_and_a_public_token_service_are_reached_through_a_tunnel(tmp_path: Path) -> None:
    private, public = Authority(tmp_path, "private"), Authority(tmp_path, "public")
    backends = BACKEND.format(api="https://api.internal.example", idp="https://idp.example.com", auth=AUTH)
    backends += f'ca_file = "{private.file}"\n'
    trusted = {"SSL_CERT_FILE": str(public.file), "SSL_CERT_DIR": str(tmp_path / "none")}
    with ExitStack() as stack:
        loop = stack.enter_context(servers())
        proxy = stack.enter_context(running(loop, forward_proxy(login=LOGIN)))
        one = stack.enter_context(cell(tmp_path, backends, knobs=KNOBS, more=secrets(proxy) | trusted))
        port = int(one.simulator.url.rpartition(":")[2])
        one.simulator.hosts = {"api.internal.example", "idp.example.com"}
        for authority, host in ((private, "api.internal.example"), (public, "idp.example.com")):
            proxy.upstream[host] = stack.enter_context(running(loop, tls_front(authority.server(host), port)))
        said = cancelled(one)

    lines = proxy.lines()
    assert lines[0] == "CONNECT idp.example.com:443 HTTP/1.1"
    assert set(lines[1:]) == {"CONNECT api.internal.example:443 HTTP/1.1"}
    assert b"hunter2-key" not in b"".join(proxy.heads)
    assert "hunter2" not in said
