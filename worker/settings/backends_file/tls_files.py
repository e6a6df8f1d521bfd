"""The files of one TLS client: the authorities it trusts, and the certificate it presents."""

import ssl
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from .fields import Table, located


def _existing(value: Path, info: ValidationInfo) -> Path:
    path = located(value, info)
    try:
        with path.open("rb"):
            return path
    except OSError as error:
        raise ValueError(f"file {path} cannot be read ({error.strerror}): create it for this user") from None


def _authorities(value: Path) -> Path:
    try:
        ssl.create_default_context(cafile=str(value))
    except ssl.SSLError:
        raise ValueError(f"file {value} holds no certificate in PEM format") from None
    return value


def _check_key(certificate: Path, key: Path) -> None:
    """Check that TLS can use both without asking for a password on the terminal; raises ValueError."""
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(certificate, key, password="")
    except ssl.SSLError:
        raise ValueError(
            f"file {key} is not the key of client_cert, {certificate}: both must be PEM, the key without a password"
        ) from None


_ReadableFile = Annotated[Path, AfterValidator(_existing)]
_AuthoritiesFile = Annotated[_ReadableFile, AfterValidator(_authorities)]


class TlsFiles(Table):
    """The authorities that are trusted instead of the system's, and a client certificate with its key."""

    ca_file: _AuthoritiesFile | None = None
    client_cert: _ReadableFile | None = None
    client_key: Annotated[_ReadableFile | None, Field(validate_default=True)] = None

    @field_validator("client_key")
    @classmethod
    def _comes_with_its_certificate(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        certificate = info.data.get("client_cert", value)
        if (value is None) != (certificate is None):
            raise ValueError("client_cert and client_key belong together: give both or neither")
        if value is not None and isinstance(certificate, Path):
            _check_key(certificate, value)
        return value
