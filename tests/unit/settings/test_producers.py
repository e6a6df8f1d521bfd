from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from worker.settings.backends_file.producers import Producer, Producers, parse_producers
from worker.settings.errors import ConfigurationError
from worker.settings.secret import Secret


def public(private: Any) -> str:
    return str(private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo), "ascii")


ED, RSA = Ed25519PrivateKey.generate(), generate_private_key(65537, 2048)
ENVIRON = {
    "SECRET": "s" * 32 + "\n",
    "SECRET_NEXT": "n" * 32,
    "SECRET_LAST": "l" * 32,
    "SHORT": "hunter2" * 4,
    "EMPTY": "",
    "PEM": public(ED),
    "PEM_PRIVATE": ED.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
    "PEM_RSA": public(RSA),
    "PEM_BROKEN": "-----BEGIN PUBLIC KEY-----\nhunter2\n-----END PUBLIC KEY-----",
    "SSH": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIhunter2",
}
HS = 'algorithm = "HS256"\nkeys_env = "SECRET"\n'


def parse(text: str, directory: Path | None = None) -> Producers:
    return parse_producers(
        tomllib.loads(text), source="b.toml", environ=ENVIRON, backend_names=["ess", "mrs"], directory=directory
    )


def one(table: str, directory: Path | None = None) -> Producer:
    return parse(f"[producers.billing]\n{table}", directory).producers["billing"]


def problems(text: str) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        parse(text)
    assert "hunter2" not in str(caught.value)
    return caught.value.problems


def test_nothing_is_required_of_a_file_that_says_nothing() -> None:
    assert parse("[backends.ess]") == Producers(require_signed=False, producers={})


def test_a_producer_has_the_rights_of_the_defaults() -> None:
    billing = one(HS)
    assert billing.verbs == {"cancel", "delete"}
    assert (billing.backends, billing.force, billing.per_minute, billing.operator) == (None, False, None, False)


def test_every_right_can_be_set() -> None:
    billing = one(f'{HS}backends = ["ess"]\nverbs = ["cancel"]\nforce = true\nper_minute = 60\noperator = true')
    assert (billing.backends, billing.verbs) == (frozenset({"ess"}), frozenset({"cancel"}))
    assert (billing.force, billing.per_minute, billing.operator) == (True, 60, True)


def test_signing_is_required_where_the_file_says_so() -> None:
    assert parse(f"require_signed = true\n[producers.billing]\n{HS}").require_signed


@pytest.mark.parametrize(
    ("keys", "places"),
    [
        pytest.param('keys_env = "SECRET"', [Secret("env", "SECRET")], id="one-text"),
        pytest.param('keys_env = ["SECRET"]', [Secret("env", "SECRET")], id="one-in-a-list"),
        pytest.param(
            'keys_env = ["SECRET", "SECRET_NEXT"]', [Secret("env", "SECRET"), Secret("env", "SECRET_NEXT")], id="two"
        ),
    ],
)
def test_keys_are_places(keys: str, places: list[Secret]) -> None:
    assert list(one(f'algorithm = "HS256"\n{keys}').keys) == places


def test_a_key_file_lies_beside_the_backends_file_and_goes_together_with_a_variable(tmp_path: Path) -> None:
    (tmp_path / "billing.pem").write_text(ENVIRON["PEM"], encoding="utf-8")
    keys = one('algorithm = "EdDSA"\nkeys_env = "PEM"\nkeys_file = "billing.pem"', tmp_path).keys
    assert keys == (Secret("env", "PEM"), Secret("file", str(tmp_path / "billing.pem")))
    assert keys[1].read() == ENVIRON["PEM"].rstrip()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        pytest.param("require_signed = 1", "require_signed: must be true or false", id="required-is-no-bool"),
        pytest.param("require_signed = true", "require_signed: is true, but there is no producer to sign", id="nobody"),
        pytest.param("producers = 1", "producers: must be tables", id="no-tables"),
        pytest.param("[producers]\nbilling = 1", "[producers.billing]: must be a table", id="no-table"),
        pytest.param(f'[producers."a b"]\n{HS}', "[producers.a b]: the name must match", id="name"),
        pytest.param("[producers.x]\nkeys_env = 'SECRET'", "[producers.x] algorithm: is required", id="no-algorithm"),
        pytest.param(
            "[producers.x]\nalgorithm = 'none'\nkeys_env = 'SECRET'",
            "[producers.x] algorithm: must be 'EdDSA' or 'HS256'",
            id="algorithm-none",
        ),
        pytest.param("[producers.x]\nalgorithm = 'HS256'", "[producers.x] keys_file: no keys are given", id="no-key"),
        pytest.param(
            "[producers.x]\nalgorithm = 'HS256'\nkeys_env = ['SECRET', 'SECRET_NEXT', 'SECRET_LAST']",
            "[producers.x] keys_file: 3 keys are given",
            id="three-keys",
        ),
        pytest.param(
            "[producers.x]\nalgorithm = 'HS256'\nkeys_env = 1",
            "[producers.x] keys_env: must be a list, or one text in quotes",
            id="keys-are-a-number",
        ),
        pytest.param(
            "[producers.x]\nalgorithm = 'HS256'\nkeys_env = ['SECRET', 'MISSING']",
            "[producers.x] keys_env[1]: environment variable MISSING is not set",
            id="missing-variable",
        ),
        pytest.param(
            "[producers.x]\nalgorithm = 'HS256'\nkeys_env = 'EMPTY'",
            "[producers.x] keys_env[0]: environment variable EMPTY is empty",
            id="empty-variable",
        ),
        pytest.param(
            "[producers.x]\nalgorithm = 'HS256'\nkeys_file = '/nowhere/key'",
            "[producers.x] keys_file[0]: file /nowhere/key cannot be read",
            id="missing-file",
        ),
        pytest.param(
            "[producers.x]\nalgorithm = 'HS256'\nkeys_env = 'SHORT'",
            "[producers.x] keys_env[0]: environment variable SHORT is too short for HS256: put 32 random bytes",
            id="short-secret",
        ),
        pytest.param(
            "[producers.x]\nalgorithm = 'HS256'\nkeys_env = 'PEM'",
            "[producers.x] keys_env[0]: environment variable PEM holds a key of another kind",
            id="public-key-as-a-secret",
        ),
        pytest.param(
            "[producers.x]\nalgorithm = 'EdDSA'\nkeys_env = 'PEM_PRIVATE'",
            "[producers.x] keys_env[0]: environment variable PEM_PRIVATE holds a private key",
            id="private-key",
        ),
        *(
            pytest.param(
                f"[producers.x]\nalgorithm = 'EdDSA'\nkeys_env = '{name}'",
                f"[producers.x] keys_env[0]: environment variable {name} must hold an Ed25519 public key as PEM",
                id=f"no-eddsa-key-{name}",
            )
            for name in ("SECRET", "PEM_RSA", "PEM_BROKEN", "SSH")
        ),
        pytest.param(
            f"[producers.x]\n{HS}backends = ['es']",
            "[producers.x] backends[0]: no backend has this name; did you mean ess?",
            id="unknown-backend",
        ),
        pytest.param(
            f"[producers.x]\n{HS}verbs = ['abort']",
            "[producers.x] verbs[0]: must be 'cancel' or 'delete'",
            id="unknown-verb",
        ),
        pytest.param(
            f"[producers.x]\n{HS}per_minute = 0", "[producers.x] per_minute: must be 1 or more", id="per-minute"
        ),
        pytest.param(f"[producers.x]\n{HS}force = 'auto'", "[producers.x] force: must be true or false", id="force"),
        pytest.param(f"[producers.x]\n{HS}oprator = true", "did you mean operator?", id="unknown-key"),
        pytest.param(f"[producers.x]\n{HS}zzz = 1", "no such key; known keys are algorithm, backends", id="far-key"),
        pytest.param(f"[producers.x]\n{HS}key = 'hunter2'", "key: a key is never written here", id="inline-key"),
        pytest.param(
            f"[producers.x]\n{HS}[producers.y]\n{HS}",
            "[producers.y]: has a key of [producers.x]: each needs a key of its own",
            id="shared-key",
        ),
    ],
)
def test_a_mistake_is_named_with_its_place(text: str, problem: str) -> None:
    found = problems(text)
    assert len(found) == 1
    assert found[0].startswith("b.toml: ")
    assert problem in found[0]


def test_all_mistakes_are_listed_at_once() -> None:
    found = problems(
        "require_signed = 'yes'\n"
        "[producers.a]\nalgorithm = 'HS256'\nkeys_env = ['SHORT', 'MISSING']\nbackends = ['x', 'ess', 'y']\n"
        "[producers.b]\nalgorithm = 'EdDSA'\nforce = 1\n"
    )
    assert [problem.removeprefix("b.toml: ").split(":")[0] for problem in found] == [
        "require_signed",
        "[producers.a] keys_env[0]",
        "[producers.a] keys_env[1]",
        "[producers.a] backends[0]",
        "[producers.a] backends[2]",
        "[producers.b] keys_file",
        "[producers.b] force",
    ]


def test_no_repr_holds_a_key() -> None:
    assert "ssss" not in repr(parse(f"[producers.billing]\n{HS}"))
