"""How a backend wants to be spoken to: the tables under `auth`.

Every secret is a pair of keys, `*_env` and `*_file`, of which exactly one is given.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StrictStr, ValidationInfo, field_validator

from config.fields import BaseUrl, Surroundings, Table, WebUrl, located
from config.secret import Secret

EnvName = StrictStr | None
SecretFile = Path | None
_PAIR = Field(default=None, validate_default=True, repr=False)


class _Secrets(Table):
    """Checks every `*_env` / `*_file` pair of a subclass."""

    @field_validator("*")
    @classmethod
    def _usable(cls, value: object, info: ValidationInfo) -> object:
        name = info.field_name or ""
        stem, _, source = name.rpartition("_")
        if source == "env":
            _check_env(value, info)
        elif source == "file":
            _check_pair(stem, value, info)
            return _check_file(value, info)
        return value

    def secret(self, stem: str) -> Secret:
        """Give the secret of a pair of keys, e.g. `token` for `token_env` or `token_file`."""
        name = getattr(self, f"{stem}_env")
        if name is not None:
            return Secret("env", name)
        return Secret("file", str(getattr(self, f"{stem}_file")))


def _check_env(value: object, info: ValidationInfo) -> None:
    around = Surroundings.of(info)
    if isinstance(value, str) and around is not None:
        _refuse(Secret("env", value).problem(around.environ))


def _check_pair(stem: str, value: object, info: ValidationInfo) -> None:
    if f"{stem}_env" not in info.data:
        return  # That key's own mistake is already listed.
    given = (info.data[f"{stem}_env"] is not None) + (value is not None)
    if given != 1:
        wrong = "both are given" if given else "neither is given"
        _refuse(f"{wrong}: use exactly one of {stem}_env and {stem}_file")


def _check_file(value: object, info: ValidationInfo) -> object:
    around = Surroundings.of(info)
    if not isinstance(value, Path) or around is None:
        return value
    path = located(value, info)
    _refuse(Secret("file", str(path)).problem())
    return path


def _refuse(problem: str | None) -> None:
    if problem is not None:
        raise ValueError(problem)


class _Token(_Secrets):
    token_env: EnvName = _PAIR
    token_file: SecretFile = _PAIR

    @property
    def token(self) -> Secret:
        """The token."""
        return self.secret("token")


class _User(_Secrets):
    username_env: EnvName = _PAIR
    username_file: SecretFile = _PAIR
    password_env: EnvName = _PAIR
    password_file: SecretFile = _PAIR

    @property
    def username(self) -> Secret:
        """The user's name."""
        return self.secret("username")

    @property
    def password(self) -> Secret:
        """The user's password."""
        return self.secret("password")


class NoAuth(Table):
    """Nothing is sent."""

    type: Literal["none"]


class BearerAuth(_Token):
    """`Authorization: Bearer ...`; the token is read again on a 401, since files rotate."""

    type: Literal["bearer"]


class TokenAuth(_Token):
    """`X-Auth-Token: ...`; the token is read again on a 401, since files rotate."""

    type: Literal["token"]


class BasicAuth(_User):
    """HTTP Basic."""

    type: Literal["basic"]


class ClientCredentialsAuth(_Secrets):
    """OAuth 2.0 client credentials from `token_url`."""

    type: Literal["oauth2_client_credentials"]
    token_url: WebUrl
    client_id_env: EnvName = _PAIR
    client_id_file: SecretFile = _PAIR
    client_secret_env: EnvName = _PAIR
    client_secret_file: SecretFile = _PAIR
    scope: StrictStr | None = None

    @property
    def client_id(self) -> Secret:
        """The client's id."""
        return self.secret("client_id")

    @property
    def client_secret(self) -> Secret:
        """The client's secret."""
        return self.secret("client_secret")


class OmlAuth(_User):
    """Oracle ML's own token service; without `token_url` the one of `base_url`."""

    type: Literal["oml"]
    token_url: WebUrl | None = None


class KeystoneAuth(_User):
    """A Keystone token, scoped to the backend's `project_id`.

    `url` is Keystone's address; `/v3/auth/tokens` is appended to it.
    """

    type: Literal["keystone"]
    url: BaseUrl
    user_domain: Annotated[StrictStr, Field(min_length=1)] = "Default"


Auth = Annotated[
    NoAuth | BearerAuth | BasicAuth | ClientCredentialsAuth | OmlAuth | TokenAuth | KeystoneAuth,
    Field(discriminator="type"),
]
"""Any of the above, told apart by `type`."""
