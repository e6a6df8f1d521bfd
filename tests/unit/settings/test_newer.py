"""How an old worker reads a backends file that was written for a newer version."""

from __future__ import annotations

from pathlib import Path

import pytest

from worker.backends.registry import TABLES
from worker.settings.backends_file.load import Deployment, load_deployment
from worker.settings.errors import ConfigurationError

ESS = 'kind = "oracle-ess"\nbase_url = "https://h"\nauth = { type = "none" }\n'
STDOUT = 'kind = "stdout"\n'
PRODUCER = 'algorithm = "HS256"\nkeys_env = "KEY"\n'
ENVIRON = {"KEY": "k" * 32, "TOKEN": "t"}

NEWER = {
    "a top-level table": (f"[backends.x]\n{ESS}[quotas]\nmost = 1", "quotas"),
    "a top-level key": (f"colour = 1\n[backends.x]\n{ESS}", "colour"),
    "a key of a backend": (f"[backends.x]\n{ESS}colour = 1", "[backends.x] colour"),
    "a key of a table in a backend": (f"[backends.x]\n{ESS}poll = {{ jitter = 1 }}", "[backends.x] poll.jitter"),
    "a key of auth": (
        f"[backends.x]\n{ESS}".replace('"none"', '"bearer", token_env = "TOKEN", audience = "a"'),
        "[backends.x] auth.audience",
    ),
    "a kind of backend": (
        f'[backends.x]\n{ESS}[backends.y]\nkind = "http"\nmanifest = "slurm"\nbase_url = 1',
        "[backends.y] kind",
    ),
    "a key of a sink": (f"[backends.x]\n{ESS}[sinks.s]\n{STDOUT}colour = 1", "[sinks.s] colour"),
    "a kind of sink": (f'[backends.x]\n{ESS}[sinks.s]\nkind = "kafka"\ntopic = "t"', "[sinks.s] kind"),
    "a key of a producer": (f"[backends.x]\n{ESS}[producers.p]\n{PRODUCER}colour = 1", "[producers.p] colour"),
}


def load(directory: Path, text: str, *, leave_unknown: bool = True) -> Deployment:
    file = directory / "b.toml"
    file.write_text(text, encoding="utf-8")
    return load_deployment(file, TABLES, ENVIRON, leave_unknown=leave_unknown)


def problems(directory: Path, text: str) -> tuple[str, ...]:
    with pytest.raises(ConfigurationError) as caught:
        load(directory, text)
    return caught.value.problems


@pytest.mark.parametrize(("text", "place"), NEWER.values(), ids=NEWER.keys())
def test_what_this_version_does_not_know_is_named_and_left_alone(tmp_path: Path, text: str, place: str) -> None:
    deployment = load(tmp_path, text)
    (found,) = deployment.left_alone

    assert found.startswith(f"{tmp_path / 'b.toml'}: {place}: ")
    assert list(deployment.backends) == ["x"]


@pytest.mark.parametrize(("text", "place"), NEWER.values(), ids=NEWER.keys())
def test_it_is_a_mistake_unless_it_shall_be_left_alone(tmp_path: Path, text: str, place: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load(tmp_path, text, leave_unknown=False)

    assert caught.value.problems[0].startswith(f"{tmp_path / 'b.toml'}: {place}: ")


MISTAKES = {
    "a wrong value": (f'[backends.x]\n{ESS}timeout = "soon"', "[backends.x] timeout"),
    "a required key, misspelt": (
        '[backends.x]\nkind = "oracle-ess"\nbase_ur = "https://h"\nauth = { type = "none" }',
        "[backends.x] base_url",
    ),
    "no kind of backend": ('[backends.x]\nbase_url = "https://h"\nauth = { type = "none" }', "kind"),
    "a kind that is no text": ('[backends.x]\nkind = 1\nbase_url = "https://h"\nauth = { type = "none" }', "kind"),
    "no kind of sink": (f"[backends.x]\n{ESS}[sinks.s]\n", "[sinks.s] kind"),
    "a type of auth": (
        '[backends.x]\nkind = "mrs"\nbase_url = "https://h"\nproject_id = "p"\nauth = { type = "a" }',
        "",
    ),
    "a table that is none": (f"[backends.x]\n{ESS}[sinks]\ns = 1", "[sinks.s]"),
    "a producer that is none": (f"[backends.x]\n{ESS}[producers]\np = 1", "[producers.p]"),
    "a list of sinks": (f"sinks = []\n[backends.x]\n{ESS}", "sinks"),
    "a list of producers": (f"producers = []\n[backends.x]\n{ESS}", "producers"),
    "a written secret": (f"[backends.x]\n{ESS}[sinks.s]\n{STDOUT}secret = 's'", "[sinks.s] secret"),
    "a written token": (
        f"[backends.x]\n{ESS}".replace('"none"', '"bearer", token_env = "TOKEN", token = "t"'),
        "[backends.x] auth.token",
    ),
    "a backend that a list names": (
        f'[backends.x]\n{ESS}[producers.p]\n{PRODUCER}backends = ["y"]',
        "[producers.p] backends",
    ),
    "no backend": ("colour = 1", "backends"),
    "no TOML": ("[", "is not TOML"),
}


@pytest.mark.parametrize(("text", "place"), MISTAKES.values(), ids=MISTAKES.keys())
def test_what_this_version_knows_is_validated_as_ever(tmp_path: Path, text: str, place: str) -> None:
    (problem,) = problems(tmp_path, text)

    assert place in problem


def test_a_word_that_may_be_misspelt_is_named(tmp_path: Path) -> None:
    text = f'[backends.x]\n{ESS}timeouts = 1\n[backends.y]\nkind = "oracle-es"'

    assert [one.rpartition("; ")[2] for one in load(tmp_path, text).left_alone] == [
        "did you mean timeout?",
        "did you mean oracle-ess?",
    ]


def test_a_file_may_hold_newer_kinds_of_backend_alone(tmp_path: Path) -> None:
    assert not load(tmp_path, '[backends.y]\nkind = "http"').backends


def test_a_backend_of_a_newer_kind_may_be_named_in_lists(tmp_path: Path) -> None:
    text = f'[backends.x]\n{ESS}[backends.y]\nkind = "http"\n[producers.p]\n{PRODUCER}backends = ["y"]'

    assert load(tmp_path, text).producers.producers["p"].backends == {"y"}


def test_a_sink_of_a_newer_kind_is_still_a_sink_of_the_file(tmp_path: Path) -> None:
    deployment = load(tmp_path, f'[backends.x]\n{ESS}[sinks.s]\nkind = "kafka"')

    assert (deployment.sink_names, dict(deployment.sinks)) == ({"s"}, {})
