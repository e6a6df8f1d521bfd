"""What this process signs its commands with: a producer's name and key."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import jwt
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from .backends_file.producers import Algorithm, shared_secret_problem
from .environment import Settings
from .errors import ConfigurationError
from .secret import Secret

_PEM: Final = "-----BEGIN "


@dataclass(frozen=True, slots=True)
class SigningKey:
    """Who signs, and with what: a PEM private key for EdDSA, the shared secret for HS256."""

    producer: str
    algorithm: Algorithm
    key: str = field(repr=False)


def signing_key(
    settings: Settings, *, producer: str = "CANCELLER_PRODUCER", file: str = "CANCELLER_KEY_FILE"
) -> SigningKey | None:
    """Read the key that the settings name; None if they name none.

    `producer` and `file` are what errors call the places of the producer's name and of the key's file.

    Raises:
        ConfigurationError: Only the key or only the producer is set, or the key can't be read or is of another kind.

    """
    problems = list(_missing(settings, producer))
    if problems:
        raise ConfigurationError(problems)
    if settings.producer is None:
        return None
    place, key = _key(settings, file)
    algorithm: Algorithm = "EdDSA" if key.lstrip().startswith(_PEM) else "HS256"
    problem = _private_key_problem(key, place) if algorithm == "EdDSA" else shared_secret_problem(key, place)
    if problem is not None:
        raise ConfigurationError([problem])
    return SigningKey(settings.producer, algorithm, key)


def _missing(settings: Settings, producer: str) -> Iterator[str]:
    has_key = settings.key is not None or settings.key_file is not None
    if settings.key is not None and settings.key_file is not None:
        yield "CANCELLER_KEY: CANCELLER_KEY_FILE is set too: set one of them"
    if has_key and settings.producer is None:
        yield f"{producer}: is not set: name the producer of the backends file that signs with this key"
    if settings.producer is not None and not has_key:
        yield f"{producer}: is set without a key: name the key's file in CANCELLER_KEY_FILE, or with --key"


def _key(settings: Settings, file: str) -> tuple[str, str]:
    """Return the place of the key in words, and the key.

    The path of its file is not shown: it may be the key itself by mistake.
    """
    if settings.key is not None:
        text = settings.key.get_secret_value().rstrip("\r\n")
        if os.path.isfile(text):  # noqa: PTH113 - pathlib raises if a text is no path
            raise ConfigurationError(["CANCELLER_KEY: names a file: name it in CANCELLER_KEY_FILE"])
        return "CANCELLER_KEY: the variable", text
    place, secret = f"{file}: the file", Secret("file", str(settings.key_file))
    problem = secret.problem()
    if problem is not None:
        raise ConfigurationError([problem.replace(secret.place, place)])
    return place, secret.read()


def _private_key_problem(text: str, place: str) -> str | None:
    if text.lstrip().startswith(f"{_PEM}PUBLIC"):
        return f"{place} holds a public key, which only checks signatures: put the private key there"
    try:
        key = jwt.get_algorithm_by_name("EdDSA").prepare_key(text)
    except (jwt.PyJWTError, ValueError, TypeError):
        key = None
    if isinstance(key, Ed25519PrivateKey | Ed448PrivateKey):
        return None
    return (
        f"{place} must hold an Ed25519 private key as PEM without a password, which starts with {_PEM}PRIVATE KEY-----"
    )
