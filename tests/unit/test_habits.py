"""The rules of the house that a tool can check."""

from __future__ import annotations

import re
import subprocess
import tomllib
from itertools import chain
from pathlib import Path

import pytest

from worker.model import Outcome

ROOT = Path(__file__).resolve().parents[2]
PYTHON = sorted(path for folder in ("config", "worker", "tests") for path in (ROOT / folder).rglob("*.py"))
SCRIPTS = sorted((ROOT / "worker/lua").glob("*.lua"))
README = (ROOT / "README.md").read_text()


@pytest.mark.parametrize("path", [*PYTHON, *SCRIPTS], ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_is_over_350_lines(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 350


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_every_script_says_what_it_takes_and_returns(path: Path) -> None:
    head = path.read_text().split("\n\n")[0]

    assert head.startswith("-- ")
    assert path.name == "lib.lua" or all(word in head for word in ("KEYS[1]", "Returns"))


def test_every_package_is_installed() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = {str(path.parent.relative_to(ROOT)).replace("/", ".") for path in PYTHON if path.name == "__init__.py"}

    assert {name for name in packages if not name.startswith("tests")} == set(
        settings["tool"]["setuptools"]["packages"]
    )


def test_every_dependency_is_in_the_lock() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    locked = {line.split("==")[0] for line in (ROOT / "requirements.lock").read_text().splitlines()}

    assert {re.split(r"[\[<>=~!; ]", line)[0].lower() for line in wanted} <= locked


def test_the_readme_names_every_outcome() -> None:
    assert all(f"| `{outcome}` |" in README for outcome in Outcome)


def test_the_readmes_links_lead_somewhere() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_the_procfile_starts_a_worker_as_the_readme_does() -> None:
    assert "celery -A worker worker" in (ROOT / "Procfile").read_text()
    assert "`celery -A worker worker`" in README


def test_no_registry_is_named() -> None:
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    words = ("pypi" + ".org", "python" + "hosted", "registry." + "npmjs", "deb." + "debian")
    for name in files:
        text = (ROOT / name).read_text(errors="replace")
        assert not any(word in text for word in words), name
