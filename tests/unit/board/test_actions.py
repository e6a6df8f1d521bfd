"""Forms for operator actions: what they must contain, and what is sent."""

from __future__ import annotations

import pytest

from worker.board import batches
from worker.board.actions import FORMS, Given, Problem, given
from worker.protocol.operator_actions import ACTIONS

FILLED = {"by": " ann ", "reason": "seen dead"}


def test_every_action_has_a_form() -> None:
    assert set(FORMS) == set(ACTIONS)


def test_every_order_about_a_batch_has_a_form_and_an_effect() -> None:
    assert set(batches.FORMS) == set(batches.EFFECTS)


def test_every_further_field_is_one_of_the_actions() -> None:
    assert {name: {form.extra} - {""} for name, form in FORMS.items()} == {
        name: set(action.fields) for name, action in ACTIONS.items()
    }


@pytest.mark.parametrize(
    ("action", "more", "sent"),
    [
        ("attest", {}, {}),
        ("attest", {"child": " 300101 "}, {"child": "300101"}),
        ("hold", {"for": "90m"}, {"seconds": 5400.0}),
        ("hold", {"for": " "}, {}),
        ("abort", {"for": "2h", "child": "x"}, {}),
    ],
    ids=["attest", "a child", "a time", "no time", "fields of others"],
)
def test_a_form_is_read(action: str, more: dict[str, str], sent: dict[str, object]) -> None:
    assert given(FORMS[action], action, {**FILLED, **more}) == Given(action, "ann", "seen dead", sent)


@pytest.mark.parametrize(
    "changed",
    [{"by": " "}, {"reason": ""}, {"by": "x" * 129}, {"reason": "x" * 1001}, {"for": "soon"}],
    ids=["nobody", "no reason", "a long name", "a long reason", "no time"],
)
def test_a_form_that_says_too_little_or_too_much_is_sent_back(changed: dict[str, str]) -> None:
    with pytest.raises(Problem):
        given(FORMS["hold"], "hold", {**FILLED, **changed})
