"""The published schemas as files: they are current, `guide` shows them, editors find them."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pytest
from jsonschema import Draft202012Validator
from typer.testing import CliRunner
from unit.settings.backends_file import ENVIRON, parse

from worker.cli.app import command_line
from worker.cli.exits import Exit
from worker.cli.guide_files import SCHEMAS
from worker.cli.write_schemas import MAKERS, written
from worker.settings.errors import ConfigurationError

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "config" / "backends.toml"
CONFIG = json.loads(SCHEMAS["config"].read_text(encoding="utf-8"))
JUDGE = Draft202012Validator(CONFIG)
APP = command_line(["guide"])
INIT = command_line(["init"])
MRS = 'kind = "mrs"\nbase_url = "https://h"\nauth = { type = "none" }\n'
KEYSTONE = 'kind = "sahara"\nbase_url = "https://h"\nproject_id = "p"\nauth = { type = "keystone", url = "https://k", '


def test_every_document_has_its_maker() -> None:
    assert MAKERS.keys() == set(SCHEMAS)


@pytest.mark.parametrize("name", SCHEMAS)
def test_a_file_is_what_the_code_makes_of_it_now(name: str) -> None:
    assert written(name) == SCHEMAS[name].read_text(encoding="utf-8"), "run: make schemas"


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_guide_shows_a_document(name: str) -> None:
    told = CliRunner().invoke(APP, ["guide", "--schema", name])

    assert (told.exit_code, told.stdout) == (Exit.DONE, SCHEMAS[name].read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("words", "problem"),
    [(["--schema", "event"], "did you mean"), (["events", "--schema", "events"], "not both")],
    ids=["unknown", "a-page-too"],
)
def test_what_is_no_document_is_a_mistake(words: list[str], problem: str) -> None:
    told = CliRunner().invoke(APP, ["guide", *words])

    assert (told.exit_code, problem in " ".join(told.output.split())) == (Exit.USAGE, True)


def test_the_schema_of_the_configuration_is_one() -> None:
    Draft202012Validator.check_schema(CONFIG)


def test_an_editor_finds_the_schema_of_the_shipped_file() -> None:
    first = EXAMPLE.read_text(encoding="utf-8").splitlines()[0]

    assert (EXAMPLE.parent / first.removeprefix("#:schema ")).resolve() == SCHEMAS["config"].resolve()


def test_an_editor_finds_the_schema_of_a_new_file(tmp_path: Path) -> None:
    CliRunner().invoke(INIT, ["init", str(tmp_path / "b.toml")])
    lines = (tmp_path / "b.toml").read_text(encoding="utf-8").splitlines()
    url = urlsplit(lines[0].removeprefix("#:schema "))

    assert (url.scheme, Path(url2pathname(url.path))) == ("file", SCHEMAS["config"])
    assert lines[1:] == EXAMPLE.read_text(encoding="utf-8").splitlines()[1:]


def test_the_shipped_file_is_valid() -> None:
    assert [error.message for error in JUDGE.iter_errors(tomllib.loads(EXAMPLE.read_text(encoding="utf-8")))] == []


PROBE = 'remote_probe = { url = "https://a/{job_id}", gone_when = '
APPLICATION = 'application_credential_id_env = "ID", application_credential_secret_env = "PASS"'


def ess(*lines: str, auth: str = 'type = "none"') -> str:
    return "\n".join(
        ["[backends.ess]", 'kind = "oracle-ess"', 'base_url = "https://h"', f"auth = {{ {auth} }}", *lines]
    )


FILES = {
    "one-backend": (ess(), True),
    "no-backend": ("", False),
    "no-table": ("backends = 1", False),
    "an-unknown-kind": (ess().replace("oracle-ess", "oracle-css"), False),
    "no-kind": (ess().replace('kind = "oracle-ess"', ""), False),
    "a-bad-name": (ess().replace("[backends.ess]", '[backends."e s"]'), False),
    "an-unknown-key": (ess('frist = "auto"'), False),
    "an-unknown-table": (ess("[backend.ess]"), False),
    "durations": (ess('force_after = "30m"', "timeout = 2.5", 'poll = { first = 0, max = "1 s" }'), True),
    "a-bad-unit": (ess('force_after = "30min"'), False),
    "no-time-at-all": (ess("timeout = 0"), False),
    "a-size": (ess('max_reply = "512KiB"'), True),
    "a-bad-size": (ess('max_reply = "512 bits"'), False),
    "looks-after-the-end": (ess('watch_after = ["1m", 300]', "reopen = true"), True),
    "a-probe": (ess(PROBE + '"404, 410" }'), True),
    "statuses": (ess(PROBE + "[404, 410] }"), True),
    "a-bad-status": (ess(PROBE + '"gone" }'), False),
    "a-kinds-own-key": (f'[backends.m]\n{MRS}project_id = "p"\ndialect = "v2"', True),
    "a-kinds-own-key-missing": (f"[backends.m]\n{MRS}", False),
    "another-kinds-key": (ess('project_id = "p"'), False),
    "a-secret-from-the-environment": (ess(auth='type = "bearer", token_env = "TOKEN"'), True),
    "a-secret-inline": (ess(auth='type = "bearer", token = "t"'), False),
    "no-secret": (ess(auth='type = "bearer"'), False),
    "two-secrets": (ess(auth='type = "bearer", token_env = "TOKEN", token_file = "t"'), False),
    "keystone-user": (f'[backends.s]\n{KEYSTONE}username_env = "USER_NAME", password_env = "PASS" }}', True),
    "keystone-application": (f"[backends.s]\n{KEYSTONE}{APPLICATION} }}", True),
    "keystone-half": (f'[backends.s]\n{KEYSTONE}username_env = "USER_NAME" }}', False),
    "keystone-nobody": (f'[backends.s]\n{KEYSTONE}user_domain = "D" }}', False),
}
"""Backends files, and whether they are valid."""


@pytest.mark.parametrize(("text", "valid"), FILES.values(), ids=FILES)
def test_the_schema_and_the_reader_agree(text: str, valid: bool) -> None:  # noqa: FBT001 - a table's column
    assert JUDGE.is_valid(tomllib.loads(text)) is valid
    assert read(text) is valid


def read(text: str) -> bool:
    try:
        parse(text, ENVIRON)
    except ConfigurationError:
        return False
    return True


@pytest.mark.parametrize(
    ("table", "valid"),
    [
        ('algorithm = "EdDSA"\nkeys_env = "KEY"', True),
        (
            'algorithm = "EdDSA"\nkeys_env = ["KEY", "NEXT"]\nbackends = ["ess"]\nverbs = "cancel"\nper_minute = 60',
            True,
        ),
        ('algorithm = "RS256"\nkeys_env = "KEY"', False),
        ('algorithm = "EdDSA"\nkey = "secret"', False),
    ],
    ids=["one-key", "everything", "unknown-algorithm", "inline"],
)
def test_producers_are_described_too(table: str, valid: bool) -> None:  # noqa: FBT001 - a table's column
    text: Any = tomllib.loads(f"require_signed = true\n[producers.billing]\n{table}\n{ess()}")
    assert JUDGE.is_valid(text) is valid
