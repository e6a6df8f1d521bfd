"""House rules that can be checked automatically."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Mapping
from fnmatch import fnmatch
from importlib.util import find_spec
from itertools import chain
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PYTHON = sorted(path for folder in ("worker", "tests") for path in (ROOT / folder).rglob("*.py"))
OURS = [
    path
    for folder in (".", ".ci", "config", "tests", "worker")
    for path in ((ROOT / folder).glob("*") if folder == "." else (ROOT / folder).rglob("*"))
    if "__pycache__" not in path.parts and path.is_file()  # other processes write there while tests run
]
DATA = sorted(path for path in OURS if path.is_relative_to(ROOT / "worker") and path.suffix != ".py")
SCRIPTS = sorted((ROOT / "worker/store/lua").glob("*.lua"))
INCLUDES = sorted((ROOT / "worker/store/lua/include").glob("*.lua"))


def test_no_file_is_over_350_lines() -> None:
    sizes = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in (*PYTHON, *SCRIPTS, *INCLUDES)}

    assert not {str(path.relative_to(ROOT)): size for path, size in sizes.items() if size > 350}


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_every_script_says_what_it_takes_and_returns(path: Path) -> None:
    head = path.read_text(encoding="utf-8").split("\n\n")[0]

    assert head.startswith("-- ")
    assert all(word in head for word in ("KEYS[1]", "Returns"))


PRODUCT = [path for path in PYTHON if not path.is_relative_to(ROOT / "tests")]


def test_every_text_file_is_opened_with_an_encoding() -> None:
    assert not [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in PRODUCT
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.Call) and _leaves_the_encoding_to_the_locale(node)
    ]


def _leaves_the_encoding_to_the_locale(call: ast.Call) -> bool:
    named = {word.arg: word.value for word in call.keywords}
    if "encoding" in named:
        return False
    name = ast.unparse(call.func).removeprefix("os.open").rpartition(".")[2]
    words = [word.value for word in (*call.args, *named.values()) if isinstance(word, ast.Constant)]
    binary = any(isinstance(word, str) and re.fullmatch(r"[rwax]\+?b\+?|b[rwax]\+?", word) for word in words)
    return name in TEXTS or ("text" in named or "universal_newlines" in named) or (name in FILES and not binary)


TEXTS = {"read_text", "write_text", "TextIOWrapper"}
"""Calls that always use text."""
FILES = {"open", "fdopen"}
"""Calls that use text or bytes, depending on their mode."""


def test_what_runs_in_other_peoples_processes_leaves_their_executor_alone() -> None:
    assert not [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in PRODUCT
        if path.relative_to(ROOT).parts[1] not in OWN_PROCESS
        for node in ast.walk(ast.parse(path.read_bytes()))
        if isinstance(node, ast.Attribute) and ast.unparse(node) in EXECUTOR
    ]


OWN_PROCESS = {"celery", "cli", "simulator"}
"""Rooms that run in processes of our own."""
EXECUTOR = {"asyncio.to_thread", "loop.run_in_executor", "asyncio.get_running_loop().run_in_executor"}
"""What waits for a thread of the running loop's default executor; `worker/aio/daemon.py` has other threads."""


def test_every_package_is_installed() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    folders = {path.parent.relative_to(ROOT / "worker") for path in PRODUCT if path.name == "__init__.py"}
    packages = {".".join(["canceller", *folder.parts]) for folder in folders}

    assert packages | {"canceller.config"} == set(settings["tool"]["setuptools"]["packages"])


def test_every_entry_point_leads_to_a_module() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    targets = [*project["scripts"].values(), *chain(*(one.values() for one in project["entry-points"].values()))]
    modules = [target.partition(":")[0].replace("canceller.", "worker.", 1) for target in targets]

    assert all(find_spec(module) for module in modules)


def test_config_holds_an_operators_files_and_no_code() -> None:
    assert not [path.name for path in (ROOT / "config").rglob("*") if path.suffix == ".py"]


def test_every_data_file_is_installed() -> None:
    data = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]

    assert not [str(path.relative_to(ROOT)) for path in DATA if not _is_installed(path, data)]


def _is_installed(path: Path, data: Mapping[str, list[str]]) -> bool:
    folder = next(parent for parent in path.parents if (parent / "__init__.py").exists())
    package = ".".join(["canceller", *folder.relative_to(ROOT / "worker").parts])
    return any(fnmatch(str(path.relative_to(folder)), pattern) for pattern in data.get(package, []))


def test_every_dependency_is_in_the_lock() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    locked = {line.split("==")[0] for line in (ROOT / "requirements.lock").read_text().splitlines()}

    assert {re.split(r"[\[<>=~!; ]", line)[0].lower() for line in wanted} <= locked


def test_no_registry_is_named() -> None:
    words = ("pypi" + ".org", "python" + "hosted", "registry." + "npmjs", "deb." + "debian")
    for path in OURS:
        text = path.read_text(errors="replace")
        assert not any(word in text for word in words), path
