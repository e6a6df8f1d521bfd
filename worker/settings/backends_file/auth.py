"""How we authenticate to a backend: the tables under `auth`.

Every secret is a pair of keys, `*_env` and `*_file`, of which at most one is given. A token service has TLS files of
its own.
"""

from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field, StrictStr, ValidationInfo, field_validator

from ..secret import Secret
from .fields import KeystoneUrl, Surroundings, Table, WebUrl, content_of, located
from .tls_files import TlsFiles

EnvName = StrictStr | None
SecretFile = Path | None
_PAIR = Field(default=None, validate_default=True, repr=False)


class _Secrets(Table):
    """Checks every `*_env` / `*_file` pair of a subclass."""

    @field_validator("*")
    @classmethod
    def _usable(cls, value: object, info: ValidationInfo) -> object:
        stem, _, source = (info.field_name or "").rpartition("_")
        if f"{stem}_env" not in cls.model_fields:
            return value
        if source == "env" and isinstance(value, str):
            content_of(Secret("env", value), info)
        elif source == "file":
            if f"{stem}_env" in info.data:  # else that key's own mistake is already listed
                given = (info.data[f"{stem}_env"] is not None) + (value is not None)
                cls._check_pair(stem, given, info)
            return _check_file(value, info)
        return value

    @classmethod
    def _check_pair(cls, stem: str, given: int, info: ValidationInfo) -> None:  # noqa: ARG003 - for subclasses
        """Check how many keys of a pair are given; raises ValueError."""
        if given != 1:
            wrong = "both are given" if given else "neither is given"
            raise ValueError(f"{wrong}: use exactly one of {stem}_env and {stem}_file")

    def secret(self, stem: str) -> Secret:
        """Return the secret of a pair of keys, e.g. `token` for `token_env` or `token_file`."""
        name = getattr(self, f"{stem}_env")
        if name is not None:
            return Secret("env", name)
        return Secret("file", str(getattr(self, f"{stem}_file")))


def _check_file(value: object, info: ValidationInfo) -> object:
    around = Surroundings.of(info)
    if not isinstance(value, Path) or around is None:
        return value
    path = located(value, info)
    problem = Secret("file", str(path)).problem()
    if problem is not None:
        raise ValueError(problem)
    return path


class _Token(_Secrets):
    token_env: EnvName = _PAIR
    token_file: SecretFile = _PAIR


class _User(_Secrets):
    username_env: EnvName = _PAIR
    username_file: SecretFile = _PAIR
    password_env: EnvName = _PAIR
    password_file: SecretFile = _PAIR


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


class ClientCredentialsAuth(_Secrets, TlsFiles):
    """OAuth 2.0 client credentials from `token_url`; `client_auth` says where the client sends its secret."""

    type: Literal["oauth2_client_credentials"]
    token_url: WebUrl
    client_id_env: EnvName = _PAIR
    client_id_file: SecretFile = _PAIR
    client_secret_env: EnvName = _PAIR
    client_secret_file: SecretFile = _PAIR
    scope: StrictStr | None = None
    client_auth: Literal["basic", "post"] = "basic"


class OmlAuth(_User, TlsFiles):
    """Oracle ML's own token service; without `token_url` the one of `base_url`."""

    type: Literal["oml"]
    token_url: WebUrl | None = None


APPLICATION: Final = ("application_credential_id", "application_credential_secret")


class _ApplicationCredential(_Secrets):
    application_credential_id_env: EnvName = _PAIR
    application_credential_id_file: SecretFile = _PAIR
    application_credential_secret_env: EnvName = _PAIR
    application_credential_secret_file: SecretFile = _PAIR


class KeystoneAuth(_User, _ApplicationCredential, TlsFiles):
    """A Keystone token: of a user, scoped to the backend's `project_id`, or of an application credential.

    An application credential belongs to one project, which is its scope. `url` is Keystone's address, with or without
    `/v3`.
    """

    type: Literal["keystone"]
    url: KeystoneUrl
    user_domain: Annotated[StrictStr, Field(min_length=1)] = "Default"

    @classmethod
    def _check_pair(cls, stem: str, given: int, info: ValidationInfo) -> None:
        """Check that a user or an application credential is given, and only one of them.

        The keys of the application credential are validated first.
        """
        id_stem, secret_stem = APPLICATION
        # A pair that is wrong counts as given: its own mistake is already listed.
        application = {
            one: any(info.data.get(f"{one}_{source}", "") is not None for source in ("env", "file"))
            for one in APPLICATION
        }
        if given > 1:
            super()._check_pair(stem, given, info)
        elif stem in APPLICATION:
            if stem == secret_stem and bool(given) != application[id_stem]:
                raise ValueError(f"{id_stem}_* and {secret_stem}_* belong together: give both or neither")
        elif not any(application.values()):
            if not given:
                pair = f"exactly one of {stem}_env and {stem}_file"
                raise ValueError(f"neither is given: use {pair}, or an application credential")
        elif given:
            raise ValueError(f"an application credential replaces the user: remove {stem}_env and {stem}_file")

    @property
    def application_credential(self) -> tuple[Secret, Secret] | None:
        """The id and the secret of an application credential; None if a user is given."""
        if self.application_credential_id_env is None and self.application_credential_id_file is None:
            return None
        id_stem, secret_stem = APPLICATION
        return self.secret(id_stem), self.secret(secret_stem)


Auth = Annotated[
    NoAuth | BearerAuth | BasicAuth | ClientCredentialsAuth | OmlAuth | TokenAuth | KeystoneAuth,
    Field(discriminator="type"),
]
"""Any of the above, told apart by `type`."""
