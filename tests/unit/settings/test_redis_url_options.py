"""The options of a Redis URL: each is read by its type, and all mistakes are listed in words."""

from pathlib import Path

import pytest
from support.certificates import Authority

from worker.settings.environment import Settings
from worker.settings.errors import ConfigurationError
from worker.settings.redis_url import RedisTarget

VARIABLES = ("REDIS_URL", "CELERY_BROKER_URL")


def problems(url: str, variable: str = "REDIS_URL") -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        Settings.load({variable: url})
    return [problem.removeprefix(f"{variable}: ") for problem in caught.value.problems]


@pytest.mark.parametrize("written", ["CERT_NONE", "none", "None", "cert_none"])
def test_celerys_words_for_certificates_are_understood(written: str) -> None:
    assert RedisTarget.parse(f"rediss://h?ssl_cert_reqs={written}").tls_options == {"ssl_cert_reqs": "none"}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        pytest.param("socket_timeout=3", {"socket_timeout": 3.0}, id="seconds"),
        pytest.param("socket_connect_timeout=0.5", {"socket_connect_timeout": 0.5}, id="fraction"),
        pytest.param("health_check_interval=0", {"health_check_interval": 0}, id="off"),
        pytest.param("max_connections=50", {"max_connections": 50}, id="number"),
        pytest.param("socket_keepalive=False", {"socket_keepalive": False}, id="boolean"),
        pytest.param("client_name=billing-1", {"client_name": "billing-1"}, id="text"),
        pytest.param("protocol=3&retry_on_timeout=true", {}, id="without-effect"),
    ],
)
def test_an_option_is_read_by_its_type(query: str, expected: dict[str, object]) -> None:
    assert RedisTarget.parse(f"redis://h?{query}").options == expected


@pytest.mark.parametrize("variable", VARIABLES)
@pytest.mark.parametrize(
    ("url", "problem"),
    [
        pytest.param("redis://h?decode_responses=true", "option decode_responses would change how", id="replies"),
        pytest.param("redis://h?encoding=latin1", "option encoding would change how replies are read", id="encoding"),
        pytest.param("redis://h?decode_responses", "option decode_responses would change", id="without-a-value"),
        pytest.param("redis://h?foo=bar", "option foo does not exist", id="unknown"),
        pytest.param("redis://h?sockettimeout=9", "did you mean socket_timeout?", id="misspelt"),
        pytest.param("rediss://h?ssl_ca_cert=/a", "did you mean ssl_ca_certs?", id="misspelt-for-tls"),
        pytest.param("redis://h?ssl_cert_reqs=none", "begin the URL with rediss", id="tls-without-tls"),
        pytest.param("unix:///r.sock?ssl_ca_certs=/a", "begin the URL with rediss", id="tls-over-a-socket"),
        pytest.param("redis+sentinel://h/m?ssl_cert_reqs=none", "begin the URL with rediss", id="tls-by-sentinels"),
        pytest.param("rediss://h?ssl_cert_reqs=maybe", "must be none, optional or required", id="certificates"),
        pytest.param("rediss://h?ssl_check_hostname=perhaps", "must be true or false", id="boolean"),
        pytest.param("redis://h?socket_timeout=abc", "must be a number of seconds from 3 to 300", id="seconds"),
        pytest.param("redis://h?socket_timeout=1", "a wait for the next command alone lasts a second", id="too-short"),
        pytest.param("redis://h?socket_timeout=nan", "must be a number of seconds", id="no-number"),
        pytest.param("redis://h?max_connections=1", "must be a whole number from 10", id="too-few"),
        pytest.param("redis://h?protocol=4", "must be a whole number from 2 to 3", id="protocol"),
        pytest.param("redis://h?db=two", "option db must be a whole number", id="database"),
        pytest.param("redis://h?client_name=", "option client_name must be ASCII", id="empty"),
        pytest.param("redis://h?db=1&db=2", "option db is given twice", id="twice"),
        pytest.param("redis://h?=1", "without a name", id="nameless"),
        pytest.param("redis+sentinel://h/m?db=1", "it is for redis://, rediss:// or unix://", id="another-form"),
        pytest.param("redis://h?sentinel_password=x", "it is for redis+sentinel://", id="no-sentinels"),
        pytest.param("unix:///r.sock?socket_keepalive=1", "does not exist for unix://", id="no-tcp"),
        pytest.param("rediss://h?ssl_keyfile=/k", "without ssl_certfile", id="key-alone"),
        pytest.param("redis://h?ssl=true", "is set by the scheme", id="tls-by-option"),
    ],
)
def test_a_wrong_option_is_a_mistake_in_words(variable: str, url: str, problem: str) -> None:
    (found,) = problems(url, variable)
    assert problem in found


def test_every_wrong_option_is_listed() -> None:
    found = problems("redis://h?decode_responses=1&foo=2&socket_timeout=x&protocol=2")
    assert [text.split()[1] for text in found] == ["decode_responses", "foo", "socket_timeout"]


@pytest.mark.parametrize("variable", VARIABLES)
@pytest.mark.parametrize("option", ["ssl_ca_certs", "ssl_certfile"])
@pytest.mark.parametrize("scheme", ["rediss://h/0", "rediss+sentinel://h/m", "redis+sentinel://h/m"])
def test_a_file_that_cant_be_read_is_named(variable: str, option: str, scheme: str) -> None:
    tls = "&sentinel_tls=true" if scheme.startswith("redis+") else ""
    assert problems(f"{scheme}?{option}=/nowhere/x.pem{tls}", variable) == [
        f"option {option}: file /nowhere/x.pem cannot be read (No such file or directory): create it for this user"
    ]


def test_a_file_without_certificates_is_named(tmp_path: Path) -> None:
    (file := tmp_path / "ca.pem").write_text("no certificate\n")
    assert problems(f"rediss://h?ssl_ca_certs={file}") == [
        f"option ssl_ca_certs: file {file} holds no certificate in PEM format"
    ]


def test_a_key_that_is_anothers_is_named(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "ca")
    certificate, key = authority.certificate("one")[0], authority.certificate("two")[1]
    (found,) = problems(f"rediss://h?ssl_certfile={certificate}&ssl_keyfile={key}")
    assert found.startswith("option ssl_certfile: ")
    assert "do not belong together" in found


def test_a_certificate_and_its_key_are_taken(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "ca")
    certificate, key = authority.certificate("one")
    settings = Settings.load(
        {"REDIS_URL": f"rediss://h?ssl_ca_certs={authority.file}&ssl_certfile={certificate}&ssl_keyfile={key}"}
    )
    assert settings.redis is not None
    assert settings.redis.tls_options.keys() == {"ssl_ca_certs", "ssl_certfile", "ssl_keyfile"}


@pytest.mark.parametrize(
    ("url", "tls", "sentinel_tls"),
    [
        pytest.param("redis+sentinel://h/m", False, False, id="none"),
        pytest.param("rediss+sentinel://h/m", True, True, id="both"),
        pytest.param("rediss+sentinel://h/m?sentinel_tls=false", True, False, id="redis-alone"),
        pytest.param("redis+sentinel://h/m?sentinel_tls=true&ssl_cert_reqs=none", False, True, id="sentinels-alone"),
    ],
)
def test_tls_may_differ_between_redis_and_its_sentinels(url: str, *, tls: bool, sentinel_tls: bool) -> None:
    target = RedisTarget.parse(url)
    assert (target.tls, target.sentinel_tls) == (tls, sentinel_tls)


def test_sentinels_have_a_user_of_their_own() -> None:
    target = RedisTarget.parse("redis+sentinel://u:p@h/m?sentinel_username=watch&sentinel_password=w%40")
    assert (target.username, target.password) == ("u", "p")
    assert (target.sentinel_username, target.sentinel_password) == ("watch", "w@")


def test_no_repr_shows_the_sentinels_password() -> None:
    assert "hunter2" not in repr(RedisTarget.parse("redis+sentinel://h/m?sentinel_password=hunter2"))
