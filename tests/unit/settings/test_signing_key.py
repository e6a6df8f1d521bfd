from __future__ import annotations

import traceback
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed448 import Ed448PrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from worker.settings.environment import Settings
from worker.settings.errors import ConfigurationError
from worker.settings.secret import Secret
from worker.settings.signing_key import SigningKey, signing_key

ED25519 = Ed25519PrivateKey.generate()


def pem(
    key: Ed25519PrivateKey | Ed448PrivateKey | ec.EllipticCurvePrivateKey,
    form: PrivateFormat = PrivateFormat.PKCS8,
    password: str = "",
) -> str:
    encryption = BestAvailableEncryption(password.encode()) if password else NoEncryption()
    return key.private_bytes(Encoding.PEM, form, encryption).decode()


PRIVATE = pem(ED25519)
PUBLIC = ED25519.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
SHARED = "a-shared-secret-of-at-least-32-bytes"


def read(environ: dict[str, str]) -> SigningKey | None:
    return signing_key(Settings.load(environ))


def problems(environ: dict[str, str]) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        read(environ)
    return caught.value.problems


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        pytest.param(PRIVATE, "EdDSA", id="ed25519"),
        pytest.param(pem(Ed448PrivateKey.generate()), "EdDSA", id="ed448"),
        pytest.param(SHARED, "HS256", id="shared-secret"),
    ],
)
@pytest.mark.parametrize("place", ["CANCELLER_KEY", "CANCELLER_KEY_FILE"])
def test_every_kind_of_key_that_producers_may_have_signs(tmp_path: Path, key: str, algorithm: str, place: str) -> None:
    (tmp_path / "key").write_text(key + "\n")
    value = key if place == "CANCELLER_KEY" else str(tmp_path / "key")

    assert read({"CANCELLER_PRODUCER": "ops", place: value}) == SigningKey("ops", algorithm, key.rstrip())  # type: ignore[arg-type]


def test_where_nothing_is_said_of_a_key_nothing_is_signed() -> None:
    assert read({}) is None


@pytest.mark.parametrize(
    ("environ", "problem"),
    [
        pytest.param({"CANCELLER_KEY": SHARED}, "CANCELLER_PRODUCER: is not set", id="a-key-of-nobody"),
        pytest.param({"CANCELLER_PRODUCER": "ops"}, "CANCELLER_PRODUCER: is set without a key", id="no-key"),
        pytest.param(
            {"CANCELLER_PRODUCER": "ops", "CANCELLER_KEY": SHARED, "CANCELLER_KEY_FILE": "/x"},
            "CANCELLER_KEY: CANCELLER_KEY_FILE is set too",
            id="two-keys",
        ),
        pytest.param({"CANCELLER_PRODUCER": "o/ps", "CANCELLER_KEY": SHARED}, "CANCELLER_PRODUCER: ", id="bad-name"),
        pytest.param(
            {"CANCELLER_PRODUCER": "ops", "CANCELLER_KEY_FILE": "/nowhere/ops.key"},
            "CANCELLER_KEY_FILE: the file cannot be read (No such file or directory)",
            id="no-file",
        ),
    ],
)
def test_half_a_signer_is_a_mistake(environ: dict[str, str], problem: str) -> None:
    (told,) = problems(environ)
    assert told.startswith(problem)


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        pytest.param(PUBLIC, "holds a public key", id="public"),
        pytest.param(pem(ED25519, password="hunter2"), "must hold an Ed25519 private key", id="with-a-password"),
        pytest.param(pem(ED25519, PrivateFormat.OpenSSH), "must hold an Ed25519 private key", id="openssh"),
        pytest.param(pem(ec.generate_private_key(ec.SECP256R1())), "must hold an Ed25519 private key", id="ec"),
        pytest.param(PRIVATE[:60], "must hold an Ed25519 private key", id="cut"),
        pytest.param("too-short-for-HS256", "is too short for HS256", id="short"),
        pytest.param("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHVzZWQ", "holds a key of another kind", id="ssh"),
    ],
)
def test_a_key_of_another_kind_is_named_and_never_shown(tmp_path: Path, key: str, problem: str) -> None:
    (tmp_path / "key").write_text(key)
    environ = {"CANCELLER_PRODUCER": "ops", "CANCELLER_KEY_FILE": str(tmp_path / "key")}
    with pytest.raises(ConfigurationError) as caught:
        read(environ)
    shown = "".join(traceback.format_exception(caught.value))

    assert problem in str(caught.value)
    assert not [line for line in key.splitlines() if len(line) > 8 and "-----" not in line and line in shown]


@pytest.mark.parametrize("key", [SHARED, PRIVATE, SHARED * 200], ids=["shared", "pem", "longer-than-any-path"])
def test_a_key_in_place_of_its_file_is_never_shown(key: str) -> None:
    (told,) = problems({"CANCELLER_PRODUCER": "ops", "CANCELLER_KEY_FILE": key})
    assert told.startswith("CANCELLER_KEY_FILE: the file cannot be read")
    assert SHARED not in told
    assert PRIVATE[40:60] not in told


def test_a_file_in_place_of_a_key_is_told() -> None:
    (told,) = problems({"CANCELLER_PRODUCER": "ops", "CANCELLER_KEY": __file__})
    assert told == "CANCELLER_KEY: names a file: name it in CANCELLER_KEY_FILE"


def test_a_shared_secret_is_read_as_workers_read_it(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f" {SHARED} \r\n")
    found = read({"CANCELLER_PRODUCER": "ops", "CANCELLER_KEY_FILE": str(tmp_path / "key")})
    assert found is not None
    assert found.key == Secret("file", str(tmp_path / "key")).read() == f" {SHARED} "


def test_no_repr_shows_a_key() -> None:
    environ = {"CANCELLER_PRODUCER": "ops", "CANCELLER_KEY": SHARED}
    assert SHARED not in f"{Settings.load(environ)!r} {read(environ)!r}"
