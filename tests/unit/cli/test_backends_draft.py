"""The file that `init` writes is a valid backends file."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
from support.backends_file import parse_backends

from worker.backends.registry import TABLES
from worker.cli.backends_draft import Draft, value_of
from worker.settings.backends_file.backend_table import WithoutProject
from worker.settings.backends_file.backends import AUTHS
from worker.settings.place import shipped

EXAMPLE = shipped("backends.toml").read_text(encoding="utf-8")
PAIRS = [
    (kind, auth)
    for kind, auth in product(TABLES, AUTHS)
    if not (auth == "keystone" and issubclass(TABLES[kind], WithoutProject))
]


def answered(kind: str, auth: str) -> Draft:
    """Answer all questions about a backend."""
    draft = Draft("my-1", {"kind": kind, "base_url": "https://h", "auth": {"type": auth}})
    for key in list(draft.wanted):
        draft.put(key, draft.usual(key) or ("https://t" if key.endswith("url") else "demo"))
    return draft


@pytest.mark.parametrize(("kind", "auth"), PAIRS, ids=lambda word: word)
def test_every_kind_and_authorisation_makes_a_file_that_can_be_read(kind: str, auth: str) -> None:
    draft = answered(kind, auth)
    (backend,) = parse_backends(draft.text(EXAMPLE), environ=dict.fromkeys(draft.variables, "x")).values()

    assert (backend.kind, backend.auth.type, draft.problems()) == (kind, auth, [])


def test_the_file_describes_every_key() -> None:
    text = answered("oracle-ess", "none").text(EXAMPLE)

    assert all(f"#   {key} " in text for key in ("force", "give_up_after", "poll", "proxy_env", "remote_probe"))
    assert "simulator" not in text


def test_the_keys_that_a_kind_may_have_are_shown_as_comments() -> None:
    assert '# dialect = "v1.1"' in answered("sahara", "none").text(EXAMPLE)


def test_a_variable_is_named_after_its_backend() -> None:
    assert answered("mrs", "basic").variables == ["MY_1_USERNAME", "MY_1_PASSWORD"]


def test_what_another_key_replaces_is_not_asked_for() -> None:
    draft = Draft("x", {"kind": "sahara", "auth": {"type": "keystone"}})
    draft.put("auth.application_credential_id_env", "ID")

    assert [*draft.wanted] == ["auth.url", "project_id"]


def test_a_file_in_place_of_a_variable_is_taken() -> None:
    draft = Draft("x", {"kind": "mrs", "auth": {"type": "token", "token_file": "/t"}})

    assert [*draft.wanted] == ["project_id"]


VALUES: dict[str, Any] = {
    "8": 8,
    "true": True,
    '["reason"]': ["reason"],
    "30m": "30m",
    "a = b": "a = b",
    "x\ny": "x\ny",
}


@pytest.mark.parametrize(("text", "value"), VALUES.items(), ids=repr)
def test_a_value_is_toml_or_text(text: str, value: object) -> None:
    assert value_of(text) == value


HOSTILE = ['a"b', "a\\b", "a\nb = 1", "\x1b[31m", "é"]


@pytest.mark.parametrize("text", HOSTILE, ids=repr)
def test_a_text_stays_one_value(text: str) -> None:
    draft = answered("oracle-ml", "none")
    draft.put("service", text)

    assert parse_backends(draft.text(EXAMPLE))["my-1"].service == text  # type: ignore[attr-defined]
