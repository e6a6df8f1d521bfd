from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest

from worker.client.identified import identified
from worker.client.signer import LIFETIME, signed
from worker.domain.errors import InvalidCommand
from worker.protocol.operator_actions import ACTIONS
from worker.protocol.signing import Producer, Signatures
from worker.settings.signing_key import SigningKey

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
SECRET = "a-shared-secret-of-at-least-32-bytes"
KEY = SigningKey("ops", "HS256", SECRET)
DOOR = Signatures({"ops": Producer("ops", "HS256", (SECRET,), operator=True)}, required=True)
COMMAND = {"verb": "cancel", "backend": "ess", "job_id": "1"}


@pytest.mark.parametrize("verb", ["cancel", "delete", *ACTIONS])
def test_what_was_signed_is_accepted(verb: str) -> None:
    assert DOOR.check(signed(KEY, [{**COMMAND, "verb": verb}], NOW)[0], NOW) is not None


def test_a_signature_outlasts_most_waits_for_a_worker() -> None:
    (whole,) = signed(KEY, [COMMAND], NOW)
    assert DOOR.check(whole, NOW + timedelta(seconds=LIFETIME - 1)) is not None


def test_each_of_many_has_a_signature_of_its_own() -> None:
    tokens = [
        jwt.decode(one["token"], SECRET, ["HS256"], options={"verify_exp": False})
        for one in signed(KEY, [COMMAND] * 3, NOW)
    ]
    assert len({one["jti"] for one in tokens}) == 3


def test_a_token_that_was_brought_is_kept() -> None:
    assert signed(KEY, [{**COMMAND, "token": "mine"}], NOW)[0]["token"] == "mine"


@pytest.mark.parametrize(
    "fields",
    [
        pytest.param({"job_id": 2**63 - 1}, id="a-long-number-as-a-job-id"),
        pytest.param({"reason": "half \ud83d of it"}, id="half-a-surrogate-pair-in-the-reason"),
        pytest.param({"labels": {"n": 2**60, "f": 0.1, "b": True}}, id="numbers-as-labels"),
        pytest.param({"force_after": 1800.0, "give_up_after": 1e16, "labels": None}, id="floats-and-null"),
    ],
)
def test_a_client_can_sign_whatever_a_command_may_hold(fields: dict[str, Any]) -> None:
    one = identified({**COMMAND, **fields}, "command")
    assert DOOR.check(signed(KEY, [one.fields], NOW)[0], NOW) is not None


@pytest.mark.parametrize("value", [2**60, "\ud800", float("nan"), object()], ids=["long", "half", "nan", "no-json"])
def test_what_has_no_canonical_form_is_not_sent(value: object) -> None:
    with pytest.raises(InvalidCommand, match="it can't be signed"):
        signed(KEY, [{**COMMAND, "give_up_after": value}], NOW)
