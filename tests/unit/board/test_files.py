"""What browsers load: nothing inline, other people's files unchanged, every text escaped."""

from __future__ import annotations

import hashlib
import re

import pytest
from support.hostile import corpus, deceptions

from worker.board import assets
from worker.board.templating import LONGEST, shown, templates

FOLDER = assets.FOLDER / "templates"
TEMPLATES = sorted(FOLDER.rglob("*.html"))


@pytest.mark.parametrize("name", assets.VENDORED)
def test_a_file_of_others_is_as_they_publish_it(name: str) -> None:
    _, digest = assets.VENDORED[name]
    found = assets.asset(name)

    assert found is not None
    assert hashlib.sha256(found.content).hexdigest() == digest


def test_no_script_makes_code_of_text() -> None:
    for name in ("htmx.min.js", "hx-sse.min.js", "board.js"):
        found = assets.asset(name)

        assert found is not None
        assert not re.search(r"\beval\(|\bFunction\(", found.content.decode()), name


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(FOLDER)))
def test_no_template_has_inline_code_or_style(path: object) -> None:
    text = path.read_text(encoding="utf-8")  # type: ignore[attr-defined]

    assert not re.search(r"\sstyle=|<style|\son\w+=|javascript:|<script(?![^>]* src=)", text)


@pytest.mark.parametrize("path", TEMPLATES, ids=lambda path: str(path.relative_to(FOLDER)))
def test_only_live_parts_are_marked_as_safe(path: object) -> None:
    text = path.read_text(encoding="utf-8")  # type: ignore[attr-defined]

    assert re.findall(r"(\w+)\s*\|\s*safe", text) in ([], ["part"])
    assert "autoescape" not in text


def test_hostile_texts_are_shown_as_what_they_are() -> None:
    template = templates("canceller").get_template("live/problem.html")
    for text in [*corpus(), "<script>alert(1)</script>", '"><img src=x onerror=alert(1)>']:
        html = template.render(said=text)

        assert not deceptions(html), ascii(text)
        assert html.count("<") == 2, ascii(text)


def test_a_flood_is_cut() -> None:
    assert len(str(shown("x" * 100_000))) < LONGEST + 10


def test_only_files_that_browsers_need_are_served() -> None:
    assert assets.asset("board.css")
    assert assets.asset("../app.py") is None
    assert assets.asset("app.py") is None
