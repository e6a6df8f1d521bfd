"""The composition root: builds store, backends and admission from the settings."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from contextlib import AsyncExitStack
from functools import partial
from urllib.parse import urlsplit

from msgspec.structs import replace

from ..backends.adapter import Adapter
from ..backends.registry import KINDS, TABLES
from ..domain.model import Force, Policy, Poll
from ..engine.backend import Backend
from ..http.client import ExtraHeaders, Http
from ..http.credentials import Credential, StaticCredential, basic
from ..http.probe import Probe
from ..http.tls import SYSTEM, Tls
from ..http.token_endpoints import OML_TOKEN_PATH, ClientCredentials, Keystone, Oml
from ..http.transport import Proxy
from ..http.transport_aiohttp import AiohttpTransport
from ..intake.admission import Admission, BackendRules
from ..intake.reopening import reopened
from ..observability.observer import NOBODY, Observer
from ..protocol.signing import Producer, Signatures
from ..settings.backends_file.auth import (
    BasicAuth,
    BearerAuth,
    ClientCredentialsAuth,
    KeystoneAuth,
    NoAuth,
    OmlAuth,
    TokenAuth,
)
from ..settings.backends_file.backend_table import BackendConfig, WithProject
from ..settings.backends_file.load import Deployment, load_deployment
from ..settings.backends_file.producers import Producers
from ..settings.backends_file.proxies import PORTS, proxy_for
from ..settings.backends_file.sinks import WebhookSink
from ..settings.backends_file.tls_files import TlsFiles
from ..settings.environment import Settings
from ..settings.errors import ConfigurationError
from ..settings.secret import Secret
from ..store.redis_client import connect
from ..store.retention import Retention
from ..store.script_connection import ScriptConnection
from ..store.store import Store


def policy_of(config: BackendConfig, adapter: Adapter) -> Policy:
    """Return the policy that a backend is configured with."""
    stopped = config.gone_means_stopped
    return Policy(
        steps=adapter.steps,
        force=Force(config.force),
        force_after=config.force_after,
        give_up_after=config.give_up_after,
        warn_after=config.warn_after,
        poll=Poll(config.poll.first, config.poll.max, config.poll.factor),
        timeout=config.timeout,
        gone_means_stopped=adapter.steps.gone_means_stopped if stopped is None else stopped,
        believe_after=config.believe_after,
        appears_within=config.appears_within,
        probes=config.remote_probe is not None,
    )


def place_of(config: BackendConfig, adapter: Adapter) -> str:
    """Say which API is called at which address, without secrets: a cancellation trusts only observations from there."""
    parts = urlsplit(config.base_url)
    host = parts.netloc.lower().removesuffix(":443" if parts.scheme == "https" else ":80")
    return ", ".join((f"{config.kind} at {parts.scheme}://{host}{parts.path}", *adapter.within))


def credential_of(config: BackendConfig) -> Credential | None:
    """Return how a backend's calls are authenticated; secrets are read on first use."""
    auth = config.auth
    match auth:
        case NoAuth():
            return None
        case BearerAuth():
            return StaticCredential(auth.secret("token").read)
        case TokenAuth():
            return StaticCredential(auth.secret("token").read, header="X-Auth-Token")
        case BasicAuth():
            return StaticCredential(auth.secret("password").read, username=auth.secret("username").read)
        case ClientCredentialsAuth():
            return ClientCredentials(
                auth.token_url,
                client_id=auth.secret("client_id").read,
                client_secret=auth.secret("client_secret").read,
                scope=auth.scope,
                client_auth=auth.client_auth,
            )
        case OmlAuth():
            return Oml(token_url_of(config) or "", auth.secret("username").read, auth.secret("password").read)
        case KeystoneAuth():
            if auth.application_credential:
                return Keystone(auth.url, *(one.read for one in auth.application_credential))
            project_id = config.project_id if isinstance(config, WithProject) else ""
            return Keystone(
                auth.url,
                auth.secret("username").read,
                auth.secret("password").read,
                user_domain=auth.user_domain,
                project_id=project_id,
            )


def headers_of(config: BackendConfig) -> ExtraHeaders:
    """Return the extra headers of a backend's calls; the ones from environment variables are read here."""
    secret = {name: Secret("env", variable).read() for name, variable in config.headers_env.items()}
    return ExtraHeaders(config.headers, secret)


def token_url_of(config: BackendConfig) -> str | None:
    """Return the URL of a backend's token service; None if it needs none."""
    match config.auth:
        case ClientCredentialsAuth(token_url=url) | KeystoneAuth(url=url):
            return url
        case OmlAuth(token_url=url):
            return url or config.base_url + OML_TOKEN_PATH
        case _:
            return None


def http_of(config: BackendConfig) -> Http:
    """Return the client of a backend's API and of its token service."""
    api = own_tls(config), proxy_of(config, config.base_url)
    token = token_tls(config), proxy_of(config, token_url_of(config) or config.base_url)
    return Http(
        config.base_url,
        credential=credential_of(config),
        timeout=config.timeout,
        max_reply=config.max_reply,
        wire=AiohttpTransport(*api),
        token_wire=AiohttpTransport(*token) if token != api else None,
        headers=headers_of(config),
    )


def proxy_of(config: BackendConfig | WebhookSink, url: str) -> Proxy | None:
    """Return the proxy for calls to a URL: a backend's API, its token service, its probe, or a sink."""
    proxy = proxy_for(url, config.proxy, config.proxy_env)
    if proxy is None:
        return None
    named = proxy.username or proxy.password
    return Proxy(proxy.url, f"Basic {basic(proxy.username, proxy.password)}" if named else "")


def own_tls(files: TlsFiles) -> Tls:
    """Return the TLS files that a table of the backends file names."""
    return Tls(*(str(file) if file else None for file in (files.ca_file, files.client_cert, files.client_key)))


def token_tls(config: BackendConfig) -> Tls:
    """Return the TLS files for a token service: its own, else the API's if both are the same server."""
    own = own_tls(config.auth) if isinstance(config.auth, TlsFiles) else SYSTEM
    url = token_url_of(config)
    if url is None:
        return own_tls(config)
    urls = urlsplit(url), urlsplit(config.base_url)
    servers = {(one.scheme, one.hostname, one.port or PORTS[one.scheme]) for one in urls}
    return own_tls(config) if own == SYSTEM and len(servers) == 1 else own


def probe_of(name: str, config: BackendConfig) -> Probe | None:
    """Return a backend's probe; None if none is configured.

    It trusts the backend's certificate authorities and never gets the client certificate, which is for the API.
    """
    remote = config.remote_probe
    if remote is None:
        return None
    scheme, _, rest = remote.url.partition("://")
    host, slash, target = rest.partition("/")
    wire = AiohttpTransport(Tls(ca_file=own_tls(config).ca_file), proxy_of(config, remote.url))
    http = Http(f"{scheme}://{host}", timeout=config.timeout, max_reply=config.max_reply, wire=wire)
    return Probe(name, http, slash + target, remote.gone_when)


def backend_of(name: str, config: BackendConfig, clock_speed: float = 1.0, observer: Observer = NOBODY) -> Backend:
    """Return a backend that is ready for use; call this in the event loop that will use it."""
    rules, probe = rules_of(config), probe_of(name, config)
    http, connections = http_of(config), AsyncExitStack()
    for one in (http, probe.http) if probe else (http,):
        connections.push_async_callback(one.aclose)
    return Backend(
        name=name,
        adapter=rules.adapter,
        policy=replace(rules.policy, clock_speed=clock_speed),
        calls=http,
        probe=probe.ask if probe else None,
        max_in_flight=config.max_in_flight,
        rate=config.rate or 0.0,
        breaker_failures=config.breaker.failures,
        breaker_pause=config.breaker.pause,
        look_many=config.look_many,
        watch_after=config.watch_after,
        reopen=partial(reopened, rules) if config.reopen else None,
        place=rules.place,
        observer=observer,
        connections=connections,
    )


def rules_of(config: BackendConfig) -> BackendRules:
    """Return what intake must know about a configured backend."""
    adapter = KINDS[config.kind].adapter(config)
    return BackendRules(
        adapter, policy_of(config, adapter), config.require, place_of(config, adapter), config.attest == "another"
    )


def intake_of(configs: Mapping[str, BackendConfig], producers: Producers, sinks: Collection[str] = ()) -> Admission:
    """Return the admission of commands for the configured backends; the producers' keys are read here, once.

    `sinks` are the names that a command's `reply_to` may hold.
    """
    rules = {name: rules_of(config) for name, config in configs.items()}
    signers = {
        name: Producer(
            name=name,
            algorithm=one.algorithm,
            keys=tuple(key.read() for key in one.keys),
            backends=one.backends,
            verbs=frozenset(one.verbs),
            force=one.force,
            per_minute=one.per_minute,
            operator=one.operator,
        )
        for name, one in producers.producers.items()
    }
    return Admission(rules, signatures=Signatures(signers, producers.require_signed), sinks=frozenset(sinks))


def store_of(
    settings: Settings,
    configs: Mapping[str, BackendConfig],
    observer: Observer = NOBODY,
    sinks: Collection[str] = (),
) -> Store:
    """Return the store of this deployment; `sinks` are the names of its sinks."""
    longest = max((config.give_up_after for config in configs.values()), default=0.0)
    redis = connect(settings)
    scripts = ScriptConnection(redis)
    return Store(redis, settings.prefix, Retention.of(settings), longest, scripts, observer, sinks)


def deployment_of(settings: Settings) -> Deployment:
    """Read the backends file.

    Raises:
        ConfigurationError: no file is named, or it has mistakes, which are all listed.

    """
    if settings.backends is None:
        raise ConfigurationError(["CANCELLER_BACKENDS: is not set: name the file that lists the backends"])
    return load_deployment(settings.backends, TABLES, leave_unknown=settings.unknown_keys == "warn")
