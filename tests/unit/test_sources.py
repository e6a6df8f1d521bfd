"""Each fact about a vendor's API names a source in the index that ships with the adapters."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = sorted(path for folder in ("config", "worker") for path in (ROOT / folder).rglob("*") if path.is_file())
CITING = [path for path in FILES if path.suffix in {".py", ".lua", ".toml"}]
CITATION = re.compile(r"\b(?:DOC|SRC|SEED)\b(?P<keys>(?:(?:,? (?:and )?| to )[A-Z]\d+)*)")


def index() -> list[str]:
    """Return the keys of the index, in its order."""
    text = files("worker.backends").joinpath("SOURCES.md").read_text(encoding="utf-8")
    return re.findall(r"^\| ([A-Z]\d+) \| .+ \|$", text, re.MULTILINE)


def cited(text: str) -> Iterator[str]:
    """Yield each key that a text cites, all keys of a range included; an empty text for a citation without a key."""
    for citation in CITATION.finditer(text):
        keys = citation["keys"]
        if not keys:
            yield ""
        for letter, first, last in re.findall(r"([A-Z])(\d+)(?: to [A-Z](\d+))?", keys):
            yield from (f"{letter}{number}" for number in range(int(first), int(last or first) + 1))


def test_every_citation_is_in_the_index() -> None:
    known = set(index())
    unknown = {path: set(cited(path.read_text(encoding="utf-8"))) - known for path in CITING}

    assert not {str(path.relative_to(ROOT)): keys for path, keys in unknown.items() if keys}


def test_a_key_of_the_index_means_one_source() -> None:
    assert len(set(index())) == len(index())


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        pytest.param("(DOC E2)", ["E2"], id="one"),
        pytest.param("(SEED S2, S3; DOC E2)", ["S2", "S3", "E2"], id="several"),
        pytest.param("(DOC M1 to M3, M5)", ["M1", "M2", "M3", "M5"], id="a-range"),
        pytest.param("(SRC, api.py)", [""], id="none"),
        pytest.param("DOCUMENT", [], id="another-word"),
    ],
)
def test_a_citation_is_found(text: str, keys: list[str]) -> None:
    assert list(cited(text)) == keys
