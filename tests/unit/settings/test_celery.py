import ssl
from typing import Any
from urllib.parse import quote

import certifi
import pytest
from celery import Celery
from celery.app.defaults import NAMESPACES, flatten
from kombu import Connection

from worker.settings.celery import celery_settings
from worker.settings.environment import Settings
from worker.settings.errors import ConfigurationError

REDIS = "redis://h:1/2"
AUTHORITIES = certifi.where()
NEW_IN_5_7 = {"task_acks_on_failure", "task_acks_on_timeout"}


def settings_of(url: str = REDIS, **environ: str) -> dict[str, Any]:
    return celery_settings(Settings.load({"CELERY_BROKER_URL": url, **environ}))


def options_of(url: str) -> dict[str, Any]:
    options: dict[str, Any] = settings_of(url)["broker_transport_options"]
    return options


@pytest.mark.parametrize("url", [REDIS, "amqp://h//"])
def test_celery_knows_every_name(url: str) -> None:
    known = set(dict(flatten(NAMESPACES)))
    assert settings_of(url).keys() - known <= NEW_IN_5_7 - known


def test_celery_accepts_the_settings() -> None:
    app = Celery(set_as_current=False)
    app.conf.update(settings_of(REDIS))
    assert app.conf.worker_pool == "threads"
    assert app.conf.task_acks_late is True
    assert set(app.amqp.queues) == {"commands"}
    assert app.amqp.router.route({}, "worker.cancel")["queue"].name == "commands"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        pytest.param("redis://h:1/2", "redis://h:1/2", id="plain"),
        pytest.param("redis://", "redis://localhost/0", id="bare"),
        pytest.param("redis://u:p%40w@h?db=3&protocol=3", "redis://u:p%40w@h/3", id="db-in-query"),
        pytest.param("rediss://:p@h", "rediss://:p@h/0?ssl_cert_reqs=required", id="tls-verifies"),
        pytest.param(
            f"rediss://h/1?ssl_cert_reqs=CERT_NONE&ssl_ca_certs={AUTHORITIES}",
            f"rediss://h/1?ssl_cert_reqs=none&ssl_ca_certs={quote(AUTHORITIES, safe='')}",
            id="tls-as-told",
        ),
        pytest.param("unix:///a%20b/r.sock?db=1", "redis+socket:///a%20b/r.sock?virtual_host=1", id="unix"),
        pytest.param("unix://:p@/r.sock", "redis+socket://:p@/r.sock?virtual_host=0", id="unix-password"),
        pytest.param(
            "redis+sentinel://:p%3Bw@h1:26379,[::1]:7/main/2",
            "sentinel://:p%3Bw@h1:26379/2;sentinel://:p%3Bw@[::1]:7/2",
            id="sentinel",
        ),
        pytest.param(
            "rediss+sentinel://h1,h2/main?ssl_check_hostname=no",
            "sentinel://h1:26379/0?ssl_cert_reqs=required&ssl_check_hostname=False;"
            "sentinel://h2:26379/0?ssl_cert_reqs=required&ssl_check_hostname=False",
            id="sentinel-tls",
        ),
        pytest.param("redis+sentinel://h1/main?sentinel_tls=1", "sentinel://h1:26379/0", id="only-sentinels-tls"),
        pytest.param("amqp://u:p@h:5672/v", "amqp://u:p@h:5672/v", id="amqp"),
        pytest.param("memory://", "memory://", id="other"),
    ],
)
def test_the_broker_url_is_said_in_kombus_words(url: str, expected: str) -> None:
    assert settings_of(url)["broker_url"] == expected


def test_kombu_understands_the_sentinels() -> None:
    made = settings_of("redis+sentinel://:p%3Bw@h1:26379,h2:7/main/2")
    connection = Connection(made["broker_url"], transport_options=made["broker_transport_options"])
    assert connection.transport_cls == "sentinel"
    assert (connection.password, connection.virtual_host, len(connection.alt)) == ("p;w", "2", 2)


def test_kombu_verifies_tls() -> None:
    assert Connection(settings_of("rediss://h")["broker_url"]).ssl == {"ssl_cert_reqs": ssl.CERT_REQUIRED}


def test_kombu_talks_tls_to_a_primary_that_sentinels_name() -> None:
    made = settings_of("rediss+sentinel://h1,h2/main?ssl_check_hostname=no")
    connection = Connection(made["broker_url"], transport_options=made["broker_transport_options"])
    assert connection.ssl == {"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_check_hostname": False}
    assert made["broker_transport_options"]["sentinel_kwargs"]["ssl"] is True


def test_the_sentinels_options_name_the_master_and_their_own_user() -> None:
    options = options_of("redis+sentinel://h1/main?sentinel_username=u&sentinel_password=s")
    assert options["master_name"] == "main"
    assert (options["sentinel_kwargs"]["username"], options["sentinel_kwargs"]["password"]) == ("u", "s")


def test_kombu_gives_up_a_sentinel_that_hangs_at_once() -> None:
    sentinels = options_of("redis+sentinel://h1/main")["sentinel_kwargs"]
    assert (sentinels["socket_timeout"], sentinels["socket_connect_timeout"]) == (1.0, 1.0)
    assert sentinels["retry"].get_retries() == 0


def test_kombu_gets_what_the_url_says_about_connections() -> None:
    options = options_of(f"{REDIS}?socket_timeout=5&max_connections=20&client_name=x&protocol=3&retry_on_timeout=yes")
    assert (options["socket_timeout"], options["max_connections"], options["client_name"]) == (5.0, 20, "x")
    assert not options.keys() & {"protocol", "retry_on_timeout"}


@pytest.mark.parametrize("url", [REDIS, "unix:///r.sock", "redis+socket:///r.sock", "redis+sentinel://h/main"])
def test_redis_gives_back_soon_what_a_dead_worker_held(url: str) -> None:
    options = options_of(url)
    assert options["visibility_timeout"] == 15
    assert (options["unacked_restore_interval"], options["unacked_restore_throttle"]) == (2, 1)


@pytest.mark.parametrize("url", [REDIS, "unix:///r.sock", "redis+socket:///r.sock", "redis+sentinel://h/main"])
def test_what_workers_hold_on_redis_lies_under_keys_of_this_deployment(url: str) -> None:
    ours, others = (
        {name: value for name, value in made["broker_transport_options"].items() if name.startswith("unacked")}
        for made in (settings_of(url), settings_of(url, CANCELLER_PREFIX="cell", CANCELLER_QUEUE="in"))
    )
    keys = {name: value for name, value in ours.items() if name.endswith("_key")}

    assert keys == {
        "unacked_key": "{canceller}:broker:commands:unacked",
        "unacked_index_key": "{canceller}:broker:commands:unacked_index",
        "unacked_mutex_key": "{canceller}:broker:commands:unacked_mutex",
    }
    assert not {others[name] for name in keys} & set(keys.values())


def test_a_socket_timeout_outlasts_brpop() -> None:
    assert options_of(REDIS)["socket_timeout"] > 1


@pytest.mark.parametrize("url", ["amqp://h//", "amqps://h//"])
def test_rabbitmq_gets_one_quorum_queue_and_confirms(url: str) -> None:
    made = settings_of(url)
    assert made["broker_transport_options"] == {"confirm_publish": True}
    (queue,) = made["task_queues"]
    assert (queue.name, queue.queue_arguments) == ("commands", {"x-queue-type": "quorum"})
    assert (made["task_default_queue_type"], made["task_create_missing_queue_type"]) == ("quorum", "quorum")


def test_a_producer_declares_the_same_command_queue() -> None:
    producer = Celery(set_as_current=False)
    producer.conf.task_create_missing_queue_type = "quorum"
    theirs = producer.amqp.queues["commands"]
    ours = settings_of("amqp://h//")["task_queues"][0]
    assert (theirs.exchange.name, theirs.exchange.type) == (ours.exchange.name, ours.exchange.type)
    assert (theirs.routing_key, theirs.queue_arguments) == (ours.routing_key, ours.queue_arguments)
    assert (theirs.durable, theirs.exchange.durable) == (ours.durable, ours.exchange.durable)


@pytest.mark.parametrize("url", [REDIS, "amqp://h//", "memory://"])
def test_the_command_queue_is_the_only_one(url: str) -> None:
    made = settings_of(url, CANCELLER_PREFIX="cell", CANCELLER_QUEUE="in")
    assert [queue.name for queue in made["task_queues"]] == ["in"]
    assert made["task_default_queue"] == "in"


@pytest.mark.parametrize(("switch", "meant"), [("", "off"), ("false", "off"), ("true", "on"), ("1", "on")])
def test_remote_control_is_off_unless_switched_on_and_never_under_celerys_names(switch: str, meant: str) -> None:
    made = settings_of(REDIS, CANCELLER_REMOTE_CONTROL=switch)

    assert made["worker_enable_remote_control"] is (meant == "on")
    assert (made["control_exchange"], made["event_exchange"]) == ("canceller.commands", "canceller.commands.events")


def test_without_a_broker_it_says_what_to_set() -> None:
    with pytest.raises(ConfigurationError, match="REDIS_URL"):
        celery_settings(Settings.load({}))
