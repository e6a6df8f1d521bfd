"""Tables of sinks are read, or each mistake in them is named."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from worker.domain.model import Outcome
from worker.settings.backends_file.sinks import (
    OUTCOMES,
    SHORT_TYPES,
    CelerySink,
    Sink,
    StdoutSink,
    WebhookSink,
    is_loopback,
    parse_sinks,
)
from worker.settings.errors import ConfigurationError
from worker.settings.secret import Secret
from worker.views.summary import GISTS

ENVIRON = {
    "SECRET": "whsec_c2VjcmV0LW9mLXRoaXJ0eS10d28tYnl0ZXMtYXQtbGVhc3Q=\n",
    "NEXT": "hunter2",
    "LAST": "hunter3",
    "CUT": "whsec_%%%hunter2",
    "EMPTY": "",
    "BROKER": "redis://:hunter2@h:6379/3",
    "NO_BROKER": "hunter2",
}
WEBHOOK = 'kind = "webhook"\nurl = "https://h/x"\nsecret_env = "SECRET"\n'
CELERY = 'kind = "celery"\nbroker_url_env = "BROKER"\nqueue = "q"\ntask = "t"\n'


def parse(text: str, directory: Path | None = None) -> Any:
    return parse_sinks(
        tomllib.loads(text), source="b.toml", environ=ENVIRON, backend_names=["ess", "mrs"], directory=directory
    )


def one(table: str, directory: Path | None = None) -> Sink:
    found: Sink = parse(f"[sinks.x]\n{table}", directory)["x"]
    return found


def problems(text: str) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        parse(text)
    return caught.value.problems


def test_a_file_without_sinks_has_none() -> None:
    assert parse("") == {}


def test_a_webhook_has_its_defaults() -> None:
    sink = one(WEBHOOK)
    assert isinstance(sink, WebhookSink)

    assert (sink.types, sink.backends, sink.outcomes) == (None, None, None)
    assert (sink.max_tries, sink.keep_at_most, sink.believe_after) == (20, 30 * 86400.0, 120.0)
    assert sink.secrets == (Secret("env", "SECRET"),)


def test_a_webhook_has_two_secrets_while_they_change(tmp_path: Path) -> None:
    (tmp_path / "next").write_text("hunter2")
    sink = one(WEBHOOK + 'secret_file = "next"', tmp_path)
    assert isinstance(sink, WebhookSink)

    assert sink.secrets == (Secret("env", "SECRET"), Secret("file", str(tmp_path / "next")))


def test_other_kinds_are_read() -> None:
    sink = one(CELERY)

    assert isinstance(sink, CelerySink)
    assert (sink.broker_url_env, sink.queue, sink.task) == ("BROKER", "q", "t")
    assert isinstance(one('kind = "stdout"'), StdoutSink)


def test_types_may_be_short_or_whole() -> None:
    sink = one('kind = "stdout"\ntypes = ["finished", "canceller.cancellation.held.v1", "canceller.batch.started.v1"]')

    assert sink.types == {
        "canceller.cancellation.finished.v1",
        "canceller.cancellation.held.v1",
        "canceller.batch.started.v1",
    }


def test_every_outcome_and_every_event_of_a_cancellation_has_a_name_here() -> None:
    assert list(Outcome) == list(OUTCOMES)
    assert set(SHORT_TYPES) == GISTS.keys() - {"paused", "resumed", "reappeared"}


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "127.0.0.1", "127.9.9.9", "::1"], ids=str)
def test_a_url_of_this_machine_needs_no_tls(host: str) -> None:
    shown = f"[{host}]" if ":" in host else host

    assert is_loopback(host)
    assert isinstance(one(WEBHOOK.replace("https://h/x", f"http://{shown}:8080/x?a=b")), WebhookSink)


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        pytest.param("", '[sinks.x] kind: is required and missing: add "webhook", "celery" or "stdout"', id="no-kind"),
        pytest.param(
            'kind = "webhok"',
            '[sinks.x] kind: must be "webhook", "celery" or "stdout"; did you mean webhook?',
            id="another-kind",
        ),
        pytest.param(
            WEBHOOK.replace("https", "http"),
            "[sinks.x] url: must be https://, unless its host is this machine: events say what your jobs are about",
            id="no-tls",
        ),
        pytest.param(
            WEBHOOK.replace("https://h", "http://localhost.example.com"),
            "[sinks.x] url: must be https://, unless its host is this machine: events say what your jobs are about",
            id="nearly-this-machine",
        ),
        pytest.param(WEBHOOK.replace("/x", "/#x"), "[sinks.x] url: must hold no fragment: it is never sent", id="hash"),
        pytest.param(
            WEBHOOK.replace("h/x", "u:hunter2@h/x"),
            "[sinks.x] url: must hold no user or password: a URL ends up in logs; a backend's go into its auth",
            id="password",
        ),
        pytest.param(
            'kind = "webhook"\nurl = "https://h"',
            "[sinks.x] secret_file: no secrets are given: name one in secret_env or secret_file, two while they change",
            id="no-secret",
        ),
        pytest.param(
            WEBHOOK.replace('"SECRET"', '["SECRET", "NEXT", "LAST"]'),
            "[sinks.x] secret_file: 3 secrets are given: name one in secret_env or secret_file, two while they change",
            id="three-secrets",
        ),
        pytest.param(
            WEBHOOK.replace("SECRET", "CUT"),
            "[sinks.x] secret_env[0]: environment variable CUT begins with whsec_ and must continue in base64: "
            "it is cut short or mistyped",
            id="broken-secret",
        ),
        pytest.param(
            WEBHOOK + 'secret = "hunter2"',
            "[sinks.x] secret: a secret is never written here: use secret_env or secret_file",
            id="secret-inline",
        ),
        pytest.param(
            WEBHOOK + "max_trys = 3", "[sinks.x] max_trys: no such key; did you mean max_tries?", id="unknown-key"
        ),
        pytest.param(WEBHOOK + "max_tries = 0", "[sinks.x] max_tries: must be 1 or more", id="no-try"),
        pytest.param(
            WEBHOOK + 'types = ["finish"]',
            "[sinks.x] types[0]: no event of a cancellation has this name; did you mean finished?",
            id="unknown-type",
        ),
        pytest.param(
            WEBHOOK + 'types = ["canceller.cancellation.finishd.v1"]',
            "[sinks.x] types[0]: no event of a cancellation has this name; did you mean finished?",
            id="unknown-whole-type",
        ),
        pytest.param(
            WEBHOOK + 'types = ["canceller.backend.Paused"]',
            "[sinks.x] types[0]: must be a full type, such as canceller.backend.paused.v1",
            id="no-type",
        ),
        pytest.param(
            WEBHOOK + 'backends = ["es"]',
            "[sinks.x] backends[0]: no backend has this name; did you mean ess?",
            id="backend",
        ),
        pytest.param(
            WEBHOOK + 'outcomes = ["canceled"]',
            "[sinks.x] outcomes[0]: no outcome has this name; did you mean cancelled?",
            id="outcome",
        ),
        pytest.param(
            CELERY.replace("BROKER", "NO_BROKER"),
            "[sinks.x] broker_url_env: environment variable NO_BROKER must be a URL with a scheme, such as "
            "redis://host:6379/0 or amqp://host:5672//",
            id="no-broker",
        ),
        pytest.param(
            CELERY + 'broker_url = "redis://h"',
            "[sinks.x] broker_url: a secret is never written here: use broker_url_env",
            id="broker-inline",
        ),
        pytest.param(
            CELERY.replace('"q"', '"q q"'),
            "[sinks.x] queue: must be 1 to 255 characters without whitespace",
            id="queue",
        ),
    ],
)
def test_a_mistake_is_named_with_its_table_and_key(table: str, problem: str) -> None:
    assert problems(f"[sinks.x]\n{table}") == (f"b.toml: {problem}",)


def test_all_mistakes_are_listed_at_once() -> None:
    found = problems(
        f'[sinks.a]\n{WEBHOOK}max_tries = 0\ntypes = ["x"]\n[sinks."b b"]\nkind = "stdout"\n'
        '[sinks.c]\nkind = "mail"\nbackends = ["x"]\n'
    )

    assert [problem.split(": ")[1] for problem in found] == [
        "[sinks.a] types[0]",
        "[sinks.a] max_tries",
        "[sinks.b b]",
        "[sinks.c] kind",
        "[sinks.c] backends[0]",
    ]
    assert "hunter" not in " ".join(found)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("sinks = 1", "sinks: must be tables such as [sinks.billing] with kind and url"),
        ("sinks.x = 1", "[sinks.x]: must be a table with a kind"),
    ],
    ids=["no tables", "no table"],
)
def test_what_is_no_table_is_named(text: str, problem: str) -> None:
    assert problems(text) == (f"b.toml: {problem}",)


def test_no_repr_shows_where_a_secret_is() -> None:
    assert "SECRET" not in repr(one(WEBHOOK))
