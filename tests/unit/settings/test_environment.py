import os
import re
import traceback
from pathlib import Path

import pytest

from worker.settings.env_file import ENV_FILE
from worker.settings.environment import Settings
from worker.settings.errors import ConfigurationError
from worker.settings.redis_url import RedisTarget

EXAMPLE = Path(__file__).parents[3] / ".env.example"
VARIABLES = {str(field.validation_alias) for field in Settings.model_fields.values()} | {ENV_FILE}


def example() -> dict[str, str]:
    return dict(re.findall(r"^#([A-Z_]+)=(.*)$", EXAMPLE.read_text(encoding="utf-8"), re.MULTILINE))


def problems(environ: dict[str, str]) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        Settings.load(environ)
    return caught.value.problems


def test_the_example_names_every_variable_and_no_other() -> None:
    assert set(example()) == VARIABLES


def test_the_example_shows_the_defaults() -> None:
    assert Settings.load(example()) == Settings.load({})


def test_without_a_mapping_this_processs_environment_is_read() -> None:
    assert Settings.load() == Settings.load(os.environ)


def test_an_empty_variable_is_an_unset_one() -> None:
    assert Settings.load(dict.fromkeys(VARIABLES, "")) == Settings.load({})


def test_every_variable_is_read() -> None:
    settings = Settings.load(
        {
            "REDIS_URL": "redis://h/1",
            "CELERY_BROKER_URL": "amqp://h//",
            "CANCELLER_BACKENDS": "~/b.toml",
            "CANCELLER_PREFIX": "cell-1",
            "CANCELLER_QUEUE": "q",
            "CANCELLER_KEEP_EVENTS": "1h",
            "CANCELLER_KEEP_RECORDS": "90",
            "CANCELLER_KEEP_DEAD_LETTERS": "2d",
            "CANCELLER_DATA_DIR": "/data",
            "CANCELLER_LOG_FORMAT": "JSON",
            "CANCELLER_LOG_LEVEL": "Warning",
            "CANCELLER_LOG_QUEUE": "50",
            "CANCELLER_SLOTS": "7",
            "CANCELLER_UNKNOWN_KEYS": "Warn",
            "UNRELATED": "x",
        }
    )
    assert settings.redis == RedisTarget("url", "redis://h/1", db=1)
    assert settings.broker_url is not None
    assert settings.broker_url.get_secret_value() == "amqp://h//"
    assert (settings.backends, settings.data_dir) == (Path.home() / "b.toml", Path("/data"))
    assert (settings.prefix, settings.queue, settings.slots) == ("cell-1", "q", 7)
    assert settings.unknown_keys == "warn"
    assert (settings.keep_events, settings.keep_records, settings.keep_dead_letters) == (3600, 90, 172800)
    assert (settings.log_format, settings.log_level, settings.log_queue) == ("json", "warning", 50)


def test_the_broker_is_redis_unless_named() -> None:
    settings = Settings.load({"REDIS_URL": "redis://h/1"})
    assert settings.broker_url == settings.redis_url


def test_without_redis_there_is_no_target_and_no_broker() -> None:
    assert (Settings.load({}).redis, Settings.load({}).broker_url) == (None, None)


@pytest.mark.parametrize(
    ("state_home", "expected"),
    [
        pytest.param("/state", Path("/state/canceller"), id="xdg"),
        pytest.param("relative", Path.home() / ".local/state/canceller", id="relative-is-ignored"),
    ],
)
def test_data_lives_in_the_state_directory(state_home: str, expected: Path) -> None:
    assert Settings.load({"XDG_STATE_HOME": state_home}).data_dir == expected


@pytest.mark.parametrize("kept", ["EVENTS", "RECORDS", "DEAD_LETTERS"])
@pytest.mark.parametrize("length", ["500ms", "367d", "99999999999999d"])
def test_nothing_is_kept_for_less_than_a_second_or_for_years(kept: str, length: str) -> None:
    (problem,) = problems({f"CANCELLER_KEEP_{kept}": length})
    assert "must be from 1 s to 366 days" in problem


def test_every_mistake_is_listed_at_once() -> None:
    found = problems(
        {
            "REDIS_URL": "http://h",
            "CELERY_BROKER_URL": "h:5672",
            "CANCELLER_UNKNOWN_KEYS": "ignore",
            "CANCELLER_PREFIX": "{a}",
            "CANCELLER_QUEUE": "a b",
            "CANCELLER_KEEP_EVENTS": "0",
            "CANCELLER_KEEP_RECORDS": "soon",
            "CANCELLER_LOG_FORMAT": "xml",
            "CANCELLER_LOG_LEVEL": "loud",
            "CANCELLER_LOG_QUEUE": "0",
            "CANCELLER_SLOTS": "0",
        }
    )
    assert [problem.partition(":")[0] for problem in found] == [
        "REDIS_URL",
        "CELERY_BROKER_URL",
        "CANCELLER_UNKNOWN_KEYS",
        "CANCELLER_PREFIX",
        "CANCELLER_QUEUE",
        "CANCELLER_KEEP_EVENTS",
        "CANCELLER_KEEP_RECORDS",
        "CANCELLER_LOG_FORMAT",
        "CANCELLER_LOG_LEVEL",
        "CANCELLER_LOG_QUEUE",
        "CANCELLER_SLOTS",
    ]


@pytest.mark.parametrize(
    "url",
    [
        pytest.param("redis://:hunter2/x@h:1/0", id="slash-makes-it-a-port"),
        pytest.param("redis://:hunter2@h:port/0", id="bad-port"),
        pytest.param("redis:/:hunter2@h", id="one-slash"),
        pytest.param("redis://:hunter2@h/db", id="bad-database"),
        pytest.param("redis://:hunter2[@h/0", id="bracket"),
        pytest.param("redis://:hunter2\u2100@h/0", id="nfkc"),
        pytest.param("redis+sentinel://:hunter2@h1,h2", id="no-master"),
        pytest.param("redis+sentinel://:hunter2@h1,:2/main", id="no-host"),
        pytest.param("redis+sentinel://:hunter2@h1/main?x=1", id="unknown-option"),
        pytest.param("http://:hunter2@h", id="scheme"),
        pytest.param("redis://:hunter2 @h", id="space"),
        pytest.param("unix://:hunter2@/?db=0", id="no-path"),
        pytest.param("redis://:hun?hunter2=1@h:6379/0", id="question-mark"),
        pytest.param("redis://h?socket_timeout=hunter2", id="value"),
        pytest.param("redis://h?hunter2!=1", id="no-name"),
        pytest.param("rediss+sentinel://h1/main?sentinel_password=hunter2&sentinel_password=hunter2", id="twice"),
    ],
)
@pytest.mark.parametrize("variable", ["REDIS_URL", "CELERY_BROKER_URL"])
def test_no_error_shows_a_password(variable: str, url: str) -> None:
    if variable == "CELERY_BROKER_URL" and url.startswith("http"):
        url = f"sentinel://{url.partition('://')[2]}"
    with pytest.raises(ConfigurationError) as caught:
        Settings.load({variable: url})
    assert caught.value.problems[0].startswith(f"{variable}: ")
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


def test_no_repr_shows_a_password() -> None:
    settings = Settings.load({"REDIS_URL": "redis://u:hunter2@h", "CELERY_BROKER_URL": "amqp://u:hunter2@h"})
    assert "hunter2" not in f"{settings!r} {settings} {settings.redis!r} {settings.broker_url}"


def test_another_redis_can_be_put_in() -> None:
    settings = Settings.load({}).with_redis_url("unix:///tmp/r.sock?db=2")
    assert settings.redis == RedisTarget("url", "unix:///tmp/r.sock?db=2", db=2)


def test_another_redis_is_validated_too() -> None:
    with pytest.raises(ConfigurationError, match="REDIS_URL: must be"):
        Settings.load({}).with_redis_url("http://h")


def test_settings_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        Settings.load({}).prefix = "x"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        pytest.param("redis://", RedisTarget("url", "redis://"), id="bare"),
        pytest.param(
            "rediss://u:p%40w@h:1/3?ssl_cert_reqs=none",
            RedisTarget(
                "url",
                "rediss://u:p%40w@h:1/3?ssl_cert_reqs=none",
                db=3,
                username="u",
                password="p@w",
                tls=True,
                tls_options={"ssl_cert_reqs": "none"},
            ),
            id="tls",
        ),
        pytest.param("redis://h?db=4", RedisTarget("url", "redis://h?db=4", db=4), id="db-in-query"),
        pytest.param(
            "redis+sentinel://:p%2Fw@h1:26380,h2,[::1]:7/main/2?sentinel_password=s",
            RedisTarget(
                "sentinel",
                sentinels=(("h1", 26380), ("h2", 26379), ("::1", 7)),
                master="main",
                db=2,
                password="p/w",
                sentinel_password="s",
            ),
            id="sentinel",
        ),
        pytest.param(
            "redis+sentinel://h1/main",
            RedisTarget("sentinel", sentinels=(("h1", 26379),), master="main"),
            id="sentinel-without-database",
        ),
    ],
)
def test_a_redis_url_names_its_target(url: str, expected: RedisTarget) -> None:
    assert RedisTarget.parse(url) == expected


def test_the_environment_of_the_process_does_not_leak_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CANCELLER_QUEUE", "of-the-process")

    assert Settings.load({}).queue == "commands"


@pytest.mark.parametrize(
    ("url", "expected"),
    [("amqp://h//", True), ("AMQPS://h//", True), ("pyamqp://h", True), ("redis://h", False), ("memory://", False)],
)
def test_it_is_known_whether_the_broker_is_a_rabbitmq(url: str, expected: bool) -> None:  # noqa: FBT001 - pytest's
    assert Settings.load({"REDIS_URL": "redis://h", "CELERY_BROKER_URL": url}).amqp_broker is expected
    assert not Settings.load({"REDIS_URL": "redis://h"}).amqp_broker


@pytest.mark.parametrize("content", [b"\xff\xfe", b"http://h\n", b""], ids=["no text", "another URL", "empty"])
def test_an_address_that_is_none_is_a_mistake_of_the_configuration(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "redis.url").write_bytes(content)

    with pytest.raises(ConfigurationError, match="REDIS_URL"):
        Settings.load({"CANCELLER_DATA_DIR": str(tmp_path)}).discovered()


def test_dead_letters_may_take_64_megabytes_unless_it_is_said() -> None:
    assert Settings.load({}).dead_letters_size == 64_000_000
    assert Settings.load({"CANCELLER_DEAD_LETTERS_SIZE": "10MiB"}).dead_letters_size == 10_485_760


@pytest.mark.parametrize("size", ["999KB", "0", "-1", "much", "1.5"])
def test_a_size_for_dead_letters_is_a_megabyte_at_least(size: str) -> None:
    with pytest.raises(ConfigurationError, match="CANCELLER_DEAD_LETTERS_SIZE"):
        Settings.load({"CANCELLER_DEAD_LETTERS_SIZE": size})
