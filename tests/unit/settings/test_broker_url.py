"""What is wrong with a broker's URL, as kombu judges it, and that no more of the URL is told than its scheme."""

from __future__ import annotations

import traceback

import pytest
from kombu.transport import TRANSPORT_ALIASES

from worker.settings.backends_file.sinks import parse_sinks
from worker.settings.broker_url import check_broker_url
from worker.settings.environment import Settings
from worker.settings.errors import ConfigurationError

UNREADABLE = "is not a URL that kombu can read"
NO_SCHEME = "must be a URL with a scheme"
WRONG = {
    "a slash in a password": ("amqp://u:hunter2/x@h", UNREADABLE),
    "a semicolon in a password": ("amqp://u:hunter2;x@h", UNREADABLE),
    "a port that is none": ("amqp://h:hunter2/", UNREADABLE),
    "a port beyond all": ("amqp://u:hunter2@h:99999/", UNREADABLE),
    "an alternative's port": ("amqp://h;amqp://h:hunter2/", UNREADABLE),
    "an option that is none": ("amqp://h//?hunter2=1", UNREADABLE),
    "an option's value": ("amqp://h//?heartbeat=hunter2", UNREADABLE),
    "an unknown scheme": ("foo://u:hunter2@h", "has the scheme foo, for which kombu knows no broker"),
    "a mistyped scheme": ("amqpp://u:hunter2@h", "has the scheme amqpp, .* did you mean amqp?"),
    "an alternative's scheme": ("amqp://h;foo://u:hunter2@h", "has the scheme foo, "),
    "a path to a class": ("os.path:hunter2://h", NO_SCHEME),
    "a password in the place of a scheme": ("u:hunter2@h://", NO_SCHEME),
    "a missing package": ("zookeeper://u:hunter2@h", "has the scheme zookeeper, for which kombu lacks a package: "),
    "a missing package of a database": ("sqla+sqlite:///hunter2", "has the scheme sqla.sqlite, .* lacks a package: "),
    "a package that is reported otherwise": (
        "qpid://u:hunter2@h",
        "has the scheme qpid, .* lacks a package: RuntimeError$",
    ),
    "a package that its transport needs": ("confluentkafka://h", "has the scheme confluentkafka, .*: NameError$"),
}
RIGHT = [
    "amqp://",
    "amqp://u:p%2Fw@h:5672/vhost?heartbeat=10",
    "AMQPS://h//?ssl_ca_certs=/ca.pem",
    "amqp://h1;amqp://h2",
    "amqp://h1;h2",
    "memory://",
    "filesystem://",
    "redis+socket:///redis.sock?virtual_host=1",
]


@pytest.mark.parametrize(("url", "problem"), WRONG.values(), ids=WRONG.keys())
def test_a_broker_that_kombu_can_not_use_is_a_mistake_of_the_configuration(url: str, problem: str) -> None:
    with pytest.raises(ConfigurationError, match=f"^CELERY_BROKER_URL: {problem}") as caught:
        Settings.load({"REDIS_URL": "redis://h", "CELERY_BROKER_URL": url})

    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(("url", "problem"), WRONG.values(), ids=WRONG.keys())
def test_so_is_a_sinks_broker(url: str, problem: str) -> None:
    sink = {"kind": "celery", "broker_url_env": "BROKER", "queue": "q", "task": "t"}
    place = r"backends file: \[sinks.x\] broker_url_env: environment variable BROKER"

    with pytest.raises(ConfigurationError, match=f"^{place} {problem}") as caught:
        parse_sinks({"sinks": {"x": sink}}, environ={"BROKER": url})

    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("url", RIGHT)
def test_a_broker_that_kombu_can_use_is_none(url: str) -> None:
    check_broker_url(url)


def test_a_transport_that_the_host_adds_to_kombus_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(TRANSPORT_ALIASES, "ours", "kombu.transport.memory:Transport")

    check_broker_url("ours://h")
