from pathlib import Path

import pytest

from config.backends import (
    BackendConfig,
    BasicAuth,
    BearerAuth,
    ClientCredentialsAuth,
    KeystoneAuth,
    NoAuth,
    OmlAuth,
    TokenAuth,
    load_backends,
    parse_backends,
)
from config.errors import ConfigurationError
from config.secret import Secret

ENVIRON = {"USER_NAME": "u", "PASS": "hunter2", "TOKEN": "hunter2\n", "EMPTY": ""}
MRS = 'kind = "mrs"\nbase_url = "https://h"\nproject_id = "p"\n'
USER = 'username_env = "USER_NAME", password_env = "PASS"'


def one(table: str) -> BackendConfig:
    return parse_backends(f"[backends.x]\n{table}", source="b.toml", environ=ENVIRON)["x"]


def problems(text: str) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        parse_backends(text, source="b.toml", environ=ENVIRON)
    return caught.value.problems


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
    assert (auth.username, auth.password) == (Secret("env", "USER_NAME"), Secret("env", "PASS"))
    assert "hunter2" not in repr(auth)


def test_a_secret_file_is_found_beside_the_backends_file(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t-1\n", encoding="utf-8")
    (tmp_path / "b.toml").write_text(
        f'[backends.x]\n{MRS}auth = {{ type = "token", token_file = "token" }}', encoding="utf-8"
    )
    auth = load_backends(tmp_path / "b.toml", environ={})["x"].auth
    assert isinstance(auth, TokenAuth)
    assert auth.token.read({}) == "t-1"


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
    assert auth.token == Secret("env", "ELSEWHERE")


def test_the_clients_secrets_are_places() -> None:
    auth = ClientCredentialsAuth(
        type="oauth2_client_credentials",
        token_url="https://t",
        client_id_env="ID",
        client_secret_file=Path("/s"),
    )
    assert (auth.client_id, auth.client_secret) == (Secret("env", "ID"), Secret("file", "/s"))
