"""Each script stands behind all that it uses: Lua would miss the rest only when a run comes to it."""

from __future__ import annotations

import re
from dataclasses import fields
from importlib.resources import files

import pytest

from worker.protocol.operator_actions import ACTIONS
from worker.store.scripts import Scripts, on_store

NAMES = sorted({field.name for field in fields(Scripts)} - {"actions"} | set(ACTIONS))
DEFINITION = re.compile(r"^local (?:function )?([\w, ]+)", re.MULTILINE)


def without_comments(text: str) -> str:
    return re.sub(r"--.*", "", text)


INCLUDED = [one.read_text() for one in files("worker.store.lua.include").iterdir() if one.name.endswith(".lua")]
FUNCTIONS = {name for text in INCLUDED for name in re.findall(r"^local function (\w+)", text, re.MULTILINE)}
CONSTANTS = {
    name
    for text in INCLUDED
    for names in re.findall(r"^local ([A-Z_, ]+) =", text, re.MULTILINE)
    for name in names.split(", ")
}
USES = {name: re.compile(rf"(?<![\w.'])(?<!function ){name}\(") for name in FUNCTIONS}
USES |= {name: re.compile(rf"(?<![\w.'])(?<!local )(?<!, ){name}\b") for name in CONSTANTS}


@pytest.mark.parametrize("name", NAMES)
def test_a_script_defines_every_shared_name_before_it_uses_it(name: str) -> None:
    text = without_comments(on_store(name))
    definitions = reversed(list(DEFINITION.finditer(text)))
    defined = {one: match.start() for match in definitions for one in match[1].strip().split(", ")}
    used = {shared: match.start() for shared, pattern in USES.items() if (match := pattern.search(text))}

    assert {shared for shared, at in used.items() if defined.get(shared, len(text)) > at} == set()


@pytest.mark.parametrize("name", NAMES)
def test_a_script_has_each_included_file_once(name: str) -> None:
    functions = re.findall(r"^local function (\w+)", on_store(name), re.MULTILINE)

    assert len(functions) == len(set(functions))
