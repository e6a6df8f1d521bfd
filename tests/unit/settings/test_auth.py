from pathlib import Path

import pytest
from support.backends_file import parse_backends
from unit.settings.backends_file import ENVIRON, one, problems

from worker.backends.registry import TABLES
from worker.settings.backends_file.auth import (
    BasicAuth,
    BearerAuth,
    ClientCredentialsAuth,
    KeystoneAuth,
    NoAuth,
    OmlAuth,
    TokenAuth,
)
from worker.settings.backends_file.load import load_deployment
from worker.settings.errors import ConfigurationError
from worker.settings.secret import Secret

MRS = 'kind = "mrs"\nbase_url = "https://h"\nproject_id = "p"\n'
USER = 'username_env = "USER_NAME", password_env = "PASS"'


@pytest.mark.parametrize(
    ("keys", "model"),
    [
        pytest.param('type = "none"', NoAuth, id="none"),
        pytest.param('type = "bearer", token_env = "TOKEN"', BearerAuth, id="bearer"),
        pytest.param('type = "token", token_env = "TOKEN"', TokenAuth, id="token"),
        pytest.param(f'type = "basic", {USER}', BasicAuth, id="basic"),
        pytest.param(f'type = "oml", {USER}', OmlAuth, id="oml"),
        pytest.param(f'type = "keystone", url = "https://k", {USER}', KeystoneAuth, id="keystone"),
        pytest.param(
            'type = "oauth2_client_credentials", token_url = "https://t", client_id_env = "USER_NAME", '
            'client_secret_env = "PASS", scope = "s"',
            ClientCredentialsAuth,
            id="oauth2",
        ),
    ],
)
def test_each_auth_is_told_apart_by_its_type(keys: str, model: type) -> None:
    assert type(one(f"{MRS}auth = {{ {keys} }}").auth) is model


def test_an_auths_secrets_are_places() -> None:
    auth = one(f'{MRS}auth = {{ type = "basic", {USER} }}').auth
    assert isinstance(auth, BasicAuth)
    assert (auth.secret("username"), auth.secret("password")) == (Secret("env", "USER_NAME"), Secret("env", "PASS"))
    assert "hunter2" not in repr(auth)


def test_a_secret_file_is_found_beside_the_backends_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t-1\n", encoding="utf-8")
    (tmp_path / "b.toml").write_text(
        f'[backends.x]\n{MRS}auth = {{ type = "token", token_file = "token" }}', encoding="utf-8"
    )
    auth = load_deployment(tmp_path / "b.toml", TABLES, environ={}).backends["x"].auth
    assert isinstance(auth, TokenAuth)
    assert auth.secret("token").read({}) == "t-1"


def test_a_secret_is_read_anew_each_time(tmp_path: Path) -> None:
    path = tmp_path / "token"
    secret = Secret("file", str(path))
    path.write_text("old\r\n", encoding="utf-8")
    assert secret.read() == "old"
    path.write_text("new", encoding="utf-8")
    assert secret.read() == "new"


@pytest.mark.parametrize(
    ("secret", "text"),
    [
        pytest.param(Secret("env", "ABSENT"), "environment variable ABSENT is not set", id="unset"),
        pytest.param(Secret("env", "EMPTY"), "environment variable EMPTY is empty", id="empty"),
        pytest.param(Secret("file", "/absent"), "file /absent cannot be read", id="no-file"),
        pytest.param(Secret("env", "hunter2.x"), "must be the name of an environment variable", id="not-a-name"),
        pytest.param(Secret("env", "hunter2"), "environment variable named there is not set", id="maybe-the-secret"),
    ],
)
def test_a_secret_that_cannot_be_read_is_named(secret: Secret, text: str) -> None:
    with pytest.raises(ConfigurationError, match=text) as caught:
        secret.read(ENVIRON)
    assert "hunter2" not in f"{caught.value}{caught.value!r}{secret!r}"


def test_a_binary_secret_file_is_not_quoted(tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes(b"hunter2\xff")
    with pytest.raises(ConfigurationError, match="not UTF-8 text") as caught:
        Secret("file", str(tmp_path / "token")).read()
    assert "hunter2" not in repr(caught.value)


@pytest.mark.parametrize(
    ("keys", "field", "text"),
    [
        pytest.param('token_env = "TOKEN", token_file = "f"', "token_file", "exactly one of", id="both"),
        pytest.param("", "token_file", "exactly one of token_env and token_file", id="neither"),
        pytest.param('token_env = "ABSENT"', "token_env", "ABSENT is not set", id="unset"),
        pytest.param('token_env = "EMPTY"', "token_env", "EMPTY is empty", id="empty"),
        pytest.param('token_env = "hunter2.b"', "token_env", "not the secret itself", id="secret-as-a-name"),
        pytest.param('token_env = "hunter2"', "token_env", "is not set", id="secret-that-could-be-a-name"),
        pytest.param('token_file = "/absent"', "token_file", "cannot be read", id="no-file"),
        pytest.param('token_env = "TOKEN", token = "hunter2"', "token", "use token_env or token_file", id="inline"),
        pytest.param('token_env = "TOKEN", tokn_env = "X"', "tokn_env", "did you mean token_env?", id="unknown"),
    ],
)
def test_a_mistaken_secret_is_told_and_never_shown(keys: str, field: str, text: str) -> None:
    comma = "," if keys else ""
    (problem,) = problems(f'[backends.x]\n{MRS}auth = {{ type = "bearer"{comma} {keys} }}')
    assert problem.startswith(f"b.toml: [backends.x] auth.{field}: ")
    assert text in problem
    assert "hunter2" not in problem


def test_a_secret_is_not_looked_for_when_a_shape_is_built_by_hand() -> None:
    auth = BearerAuth(type="bearer", token_env="ELSEWHERE")
    assert auth.secret("token") == Secret("env", "ELSEWHERE")


def test_the_clients_secrets_are_places() -> None:
    auth = ClientCredentialsAuth(
        type="oauth2_client_credentials",
        token_url="https://t",
        client_id_env="ID",
        client_secret_file=Path("/s"),
    )
    assert (auth.secret("client_id"), auth.secret("client_secret")) == (Secret("env", "ID"), Secret("file", "/s"))


OAUTH2 = 'type = "oauth2_client_credentials", token_url = "https://t", client_id_env = "ID", client_secret_env = "PASS"'
KEYSTONE = 'type = "keystone", url = "https://k"'
APPLICATION = 'application_credential_id_env = "ID", application_credential_secret_env = "PASS"'


@pytest.mark.parametrize(
    ("keys", "where"),
    [
        pytest.param("", "basic", id="default"),
        pytest.param(', client_auth = "basic"', "basic", id="basic"),
        pytest.param(', client_auth = "post"', "post", id="post"),
    ],
)
def test_a_client_shows_its_secret_where_client_auth_says(keys: str, where: str) -> None:
    auth = one(f"{MRS}auth = {{ {OAUTH2}{keys} }}").auth
    assert isinstance(auth, ClientCredentialsAuth)
    assert auth.client_auth == where


def test_an_application_credential_is_a_pair_of_secrets() -> None:
    auth = one(f"{MRS}auth = {{ {KEYSTONE}, {APPLICATION} }}").auth
    assert isinstance(auth, KeystoneAuth)
    assert auth.application_credential == (Secret("env", "ID"), Secret("env", "PASS"))


def test_an_application_credential_may_come_from_files(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("hunter2", encoding="utf-8")
    keys = 'application_credential_id_env = "ID", application_credential_secret_file = "s"'
    text = f"[backends.x]\n{MRS}auth = {{ {KEYSTONE}, {keys} }}"
    auth = parse_backends(text, environ=ENVIRON, directory=tmp_path)["x"].auth
    assert isinstance(auth, KeystoneAuth)
    assert auth.application_credential is not None
    assert auth.application_credential[1].read() == "hunter2"


def test_a_user_is_no_application_credential() -> None:
    auth = one(f"{MRS}auth = {{ {KEYSTONE}, {USER} }}").auth
    assert isinstance(auth, KeystoneAuth)
    assert auth.application_credential is None


@pytest.mark.parametrize("url", ["https://k", "https://k/", "https://k/v3", "https://k/identity/v3/", "https://v3"])
def test_keystones_address_may_end_with_v3(url: str) -> None:
    assert one(f'{MRS}auth = {{ type = "keystone", url = "{url}", {USER} }}')


@pytest.mark.parametrize("url", ["https://k/v2.0", "https://k/v2.0/", "https://k/v3/auth/tokens", "https://k/v4"])
def test_keystones_address_may_be_of_no_other_version(url: str) -> None:
    (problem,) = problems(f'[backends.x]\n{MRS}auth = {{ type = "keystone", url = "{url}", {USER} }}')
    assert "auth.url: must be Keystone's address as OS_AUTH_URL holds it, with or without /v3" in problem


@pytest.mark.parametrize(
    ("keys", "found"),
    [
        pytest.param(
            "", {"username_file": "or an application", "password_file": "or an application"}, id="nobody-is-named"
        ),
        pytest.param('username_env = "ID"', {"password_file": "exactly one of password_env"}, id="no-password"),
        pytest.param(
            f"{APPLICATION}, {USER}",
            {"username_file": "replaces the user: remove username_env", "password_file": "remove password_env"},
            id="both",
        ),
        pytest.param(
            f'{APPLICATION}, password_env = "PASS"', {"password_file": "replaces the user"}, id="a-password-too-many"
        ),
        pytest.param(
            'application_credential_id_env = "ID"',
            {"application_credential_secret_file": "belong together"},
            id="id-alone",
        ),
        pytest.param(
            'application_credential_secret_env = "PASS"',
            {"application_credential_secret_file": "belong together"},
            id="secret-alone",
        ),
        pytest.param(
            f'{APPLICATION}, application_credential_id_file = "f"',
            {"application_credential_id_file": "exactly one of application_credential_id_env"},
            id="id-twice",
        ),
        pytest.param(
            'application_credential_id_env = "ABSENT", application_credential_secret_env = "EMPTY"',
            {
                "application_credential_id_env": "ABSENT is not set",
                "application_credential_secret_env": "EMPTY is empty",
            },
            id="no-variables",
        ),
        pytest.param(
            f'{APPLICATION}, application_credential_secret = "hunter2"',
            {"application_credential_secret": "a secret is never written here"},
            id="inline",
        ),
    ],
)
def test_each_mistake_about_who_asks_keystone_is_listed(keys: str, found: dict[str, str]) -> None:
    comma = "," if keys else ""
    told = problems(f"[backends.x]\n{MRS}auth = {{ {KEYSTONE}{comma} {keys} }}")
    assert len(told) == len(found)
    for problem, (field, text) in zip(told, found.items(), strict=True):
        assert problem.startswith(f"b.toml: [backends.x] auth.{field}: ")
        assert text in problem
        assert "hunter2" not in problem


def test_client_auth_is_one_of_two() -> None:
    (problem,) = problems(f'[backends.x]\n{MRS}auth = {{ {OAUTH2}, client_auth = "jwt" }}')
    assert problem == "b.toml: [backends.x] auth.client_auth: must be 'basic' or 'post'"


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        (
            'type = "bearer", token = "hunter2"',
            "auth.token: a secret is never written here: use token_env or token_file",
        ),
        ('type = "bearr", token_env = "TOKEN"', "; did you mean bearer?"),
    ],
    ids=["a secret in place of its variable", "a mistyped type"],
)
def test_one_slip_is_one_mistake(keys: str, told: str) -> None:
    (problem,) = problems(f"[backends.x]\n{MRS}auth = {{ {keys} }}")
    assert problem.endswith(told)
