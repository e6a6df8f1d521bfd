"""What the type checker of a service says about its use of the client, installed as its users install it."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
from support.cell import ROOT

RIGHT = """
import uuid
from collections.abc import Mapping
from canceller.client import AsyncClient, Client, Result


def stop(client: Client, labels: Mapping[str, str]) -> Result:
    client.cancel("ess", uuid.uuid4())
    client.delete("ess", 1, lane="batch", labels={"team": "a"}, params=labels, command_id=None)
    client.submit_many([{"verb": "cancel", "backend": "ess", "job_id": 1}])
    return client.cancel("ess", "1", reason="budget", force_after=3600, remote_stopped=True).wait(timeout=60)


async def stop_soon(client: AsyncClient) -> bool:
    sent = await client.cancel("ess", 1, force="never", token="jwt", traceparent="00-1", batch_id="b")
    return (await sent.wait(60)).safe_to_rerun
"""
WRONG = """
from canceller.client import AsyncClient, Client


def stop(client: Client) -> None:
    client.cancel("ess", "1", resaon="budget")
    client.cancel("ess", "1", reason=1)
    client.cancel("ess", 1.5)
    client.cancel("ess")
    client.delete("ess", "1", lane="slow")
    client.delete("ess", "1", labels={"team": 1})
    client.cancel("ess", "1").wait(timeout="1")
    client.cancel("ess", "1").wait().outcom


async def stop_soon(client: AsyncClient) -> None:
    await client.cancel("ess", "1", force="sometimes")
    await client.delete("ess", "1", requestedby="me")
"""


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an interpreter that has our wheel, and its dependencies from this environment."""
    place = tmp_path_factory.mktemp("wheel")
    source = place / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "config", "worker"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, source / name)
    build = ["-m", "pip", "wheel", "--quiet", "--no-deps", "--no-index", "--no-build-isolation", "-w", str(place)]
    subprocess.run([sys.executable, *build, str(source)], check=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place / "venv"], check=True)
    python = place / "venv/bin/python"
    (packages,) = (place / "venv/lib").glob("python*/site-packages")
    (wheel,) = place.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(packages)
    (packages / "needed.pth").write_text(sysconfig.get_path("purelib"))
    return python


def complaints(python: Path, directory: Path, text: str) -> list[str]:
    """Return what mypy says about a user's file."""
    (directory / "service.py").write_text(text)
    options = ["--strict", "--python-executable", python, "--cache-dir", python.parents[2] / "cache"]
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *options, "service.py"],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    return [line for line in done.stdout.splitlines() if ": error:" in line]


def test_right_fields_pass(python: Path, tmp_path: Path) -> None:
    assert complaints(python, tmp_path, RIGHT) == []


def test_every_wrong_line_is_named(python: Path, tmp_path: Path) -> None:
    wrong = [number for number, line in enumerate(WRONG.splitlines(), 1) if line.startswith("    ")]
    found = complaints(python, tmp_path, WRONG)

    assert sorted({int(re.findall(r"^service\.py:(\d+):", line)[0]) for line in found}) == wrong
    assert 'Unexpected keyword argument "resaon"' in found[0]
