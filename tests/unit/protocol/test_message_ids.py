"""The ids under which commands are kept: those of their messages, as far as these can be kept."""

from __future__ import annotations

import re

import pytest

from worker.protocol.message_ids import kept_id

LONG = "x" * 300
KEPT = ["m-1", "x" * 128, "a b", "ü", "m-1:7", "\u00a0", "x" * 126 + ":999"]
MADE = ["x" * 129, "a\n", "\ud800", "\x7f", LONG, f"{LONG}:12345678", ":7\n"]


@pytest.mark.parametrize("name", KEPT, ids=ascii)
def test_the_id_of_a_message_is_kept_if_it_can_be_a_commands(name: str) -> None:
    assert kept_id(name) == name


@pytest.mark.parametrize("name", MADE, ids=ascii)
def test_any_other_gets_an_id_that_is_made_from_it_and_leads_to_itself(name: str) -> None:
    found = kept_id(name)

    assert re.fullmatch("[0-9a-f]{32}", found)
    assert kept_id(found) == found
    assert kept_id(f"{name}.") != found


@pytest.mark.parametrize("message", ["m-1", "x" * 128, LONG, "a\n"], ids=ascii)
def test_a_command_among_several_is_found_by_its_messages_id_and_its_index(message: str) -> None:
    assert kept_id(f"{message}:12") == f"{kept_id(message)}:12"
