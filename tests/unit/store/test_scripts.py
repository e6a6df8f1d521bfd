"""Each script comes after everything that it uses: Lua would notice a missing name only when a run reaches it."""

from __future__ import annotations

import re
from dataclasses import fields
from importlib.resources import files

import pytest

from worker.protocol.operator_actions import ACTIONS
from worker.store.scripts import Scripts, text_of

NAMES = sorted({field.name for field in fields(Scripts)} - {"actions"} | set(ACTIONS))
DEFINITION = re.compile(r"^ *local (?:function )?([\w, ]+)", re.MULTILINE)


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


WITHIN = re.compile(r"^local function (\w+)\((?:ARGV)?\)\n(-- .*?)^end -- of \1\n", re.MULTILINE | re.DOTALL)
"""Text that is included on demand, or called: the name of the function around it, and the text."""


def outside(text: str) -> str:
    return WITHIN.sub(r"local function \1()\n", text)


def undefined(text: str, known: frozenset[str] = frozenset()) -> set[str]:
    """Return the shared names that a text uses before it defines them; `known` are defined before the text."""
    text = without_comments(text)
    definitions = reversed(list(DEFINITION.finditer(text)))
    defined = {one: match.start() for match in definitions for one in match[1].strip().split(", ")}
    used = {shared: match.start() for shared, pattern in USES.items() if (match := pattern.search(text))}
    return {shared for shared, at in used.items() if shared not in known and defined.get(shared, len(text)) > at}


@pytest.mark.parametrize("name", NAMES)
def test_a_script_defines_every_shared_name_before_it_uses_it(name: str) -> None:
    assert undefined(outside(text_of(name))) == set()


@pytest.mark.parametrize("name", NAMES)
def test_what_a_script_includes_on_demand_defines_every_shared_name_that_it_uses(name: str) -> None:
    text = text_of(name)
    for match in WITHIN.finditer(text):
        before = outside(text[: match.start()])
        known = frozenset(
            one for names in DEFINITION.findall(without_comments(before)) for one in names.strip().split(", ")
        )

        assert undefined(match[2], known) == set(), match[1]


@pytest.mark.parametrize("name", NAMES)
def test_a_script_has_each_included_file_once(name: str) -> None:
    functions = re.findall(r"^local function (\w+)", outside(text_of(name)), re.MULTILINE)

    assert len(functions) == len(set(functions))
