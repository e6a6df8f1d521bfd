"""Sessions: which cookies are valid, and which forms are our own."""

from __future__ import annotations

import pytest

from worker.board.sessions import LIFETIME, Session, Sessions, same

OURS = Sessions(b"a" * 32)
NOW = 1_800_000_000.0
ANN = Session("ann-1", operator=True)
COOKIE = OURS.written(ANN, NOW)


def test_a_cookie_brings_its_session_back() -> None:
    assert OURS.read(COOKIE, NOW + LIFETIME - 1) == ANN
    assert OURS.read(OURS.written(Session("guest-1"), NOW), NOW) == Session("guest-1")


@pytest.mark.parametrize(
    ("cookie", "now"),
    [
        (COOKIE, NOW + LIFETIME),
        (COOKIE[:-1] + ("0" if COOKIE[-1] != "0" else "1"), NOW),
        (OURS.written(Session("ann-1"), NOW).replace("guest", "operator"), NOW),
        (Sessions(b"b" * 32).written(ANN, NOW), NOW),
        ("", NOW),
        ("operator.x.y.z", NOW),
        ("....", NOW),
        ("\ud800.a.b.c", NOW),
    ],
    ids=["over", "another signature", "raised", "of another process", "none", "made up", "dots", "half a character"],
)
def test_a_cookie_that_is_not_ours_is_worth_nothing(cookie: str, now: float) -> None:
    assert OURS.read(cookie, now) is None


def test_a_form_belongs_to_its_session() -> None:
    token = OURS.form_token(ANN)

    assert same(token, OURS.form_token(Session(ANN.id)))
    assert not same(token, OURS.form_token(Session("bob-1", operator=True)))
    assert not same("", token)


def test_each_new_session_has_an_id_of_its_own() -> None:
    assert Session().id != Session().id


@pytest.mark.parametrize(
    ("given", "expected"), [("0123456789abcdef", True), ("0123456789abcdeg", False), ("", False), ("\ud800é", False)]
)
def test_only_the_whole_token_is_the_token(given: str, expected: bool) -> None:  # noqa: FBT001 - a column
    assert same(given, "0123456789abcdef") is expected


def test_a_secret_is_in_no_repr() -> None:
    assert "aaaa" not in repr(OURS)


@pytest.mark.parametrize(
    ("one", "other", "shared"),
    [
        pytest.param("0123456789abcdef", "0123456789abcdef", True, id="one-token"),
        pytest.param("0123456789abcdef", "0123456789abcdeF", False, id="two-tokens"),
        pytest.param(None, None, False, id="no-token"),
    ],
)
def test_processes_share_sessions_by_their_token(one: str | None, other: str | None, *, shared: bool) -> None:
    cookie = Sessions.of(one).written(ANN, NOW)

    assert (Sessions.of(other).read(cookie, NOW) == ANN) is shared
