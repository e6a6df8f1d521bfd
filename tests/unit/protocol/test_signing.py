from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import assume, given
from hypothesis import strategies as st

from worker.domain.errors import InvalidCommand
from worker.protocol import signing
from worker.protocol.operator_actions import ACTIONS
from worker.protocol.signing import (
    NOT_ACCEPTED,
    NOT_ALLOWED,
    Producer,
    SignatureRejected,
    Signatures,
    Signed,
    sign,
    signed_digest,
)

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)
AT = int(NOW.timestamp())


def pair() -> tuple[str, str]:
    private = Ed25519PrivateKey.generate()
    return (
        private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode(),
        private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode(),
    )


OLD, OLD_PUBLIC = pair()
NEW, NEW_PUBLIC = pair()
OTHER, _ = pair()
SECRET = "a shared secret, long enough for HS512 as well: " + "0123456789" * 2
BILLING = Producer(
    "billing", "EdDSA", (OLD_PUBLIC, NEW_PUBLIC), frozenset({"ess"}), frozenset({"cancel"}), per_minute=9
)
OPS = Producer("ops", "HS256", (SECRET,), force=True, operator=True)
PRODUCERS = {"billing": BILLING, "ops": OPS}
DOOR = Signatures(PRODUCERS, required=True)
ASKED: dict[str, Any] = {"verb": "cancel", "backend": "ess", "job_id": "300100", "command_id": "c-1"}
COMMAND = {**ASKED, "labels": {"team": "Köln", "a": "b"}, "force_after": 1800.5, "remote_stopped": False}
UNCHANGED = json.dumps(COMMAND, sort_keys=True)
CLAIMS = {"iss": "billing", "exp": AT + 300, "jti": "j-1", "digest": signed_digest(COMMAND)}


def check(content: Mapping[str, Any], token: object, door: Signatures = DOOR) -> Signed | None:
    return door.check({**content, "token": token}, NOW)


def by_billing(content: Mapping[str, Any] = COMMAND, key: str = OLD) -> str:
    return sign(content, producer="billing", key=key, algorithm="EdDSA", now=NOW)


def by_ops(content: Mapping[str, Any]) -> str:
    return sign(content, producer="ops", key=SECRET, algorithm="HS256", now=NOW)


def claiming(key: str = OLD, algorithm: str = "EdDSA", headers: Any = None, **claims: Any) -> str:
    """Sign claims that differ from the right ones; None omits a claim."""
    wanted = {name: value for name, value in {**CLAIMS, **claims}.items() if value is not None}
    return jwt.encode(wanted, key, algorithm, headers=headers)


def encoded(part: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=")


def by_hand(header: object, claims: object, secret: bytes = b"") -> str:
    """Write a token that the library refuses to create."""
    signed = f"{encoded(header)}.{encoded(claims)}"
    signature = hmac.new(secret, signed.encode(), hashlib.sha256).digest() if secret else b""
    return f"{signed}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


def refusal_of(content: object) -> str:
    try:
        DOOR.check(content, NOW)
    except SignatureRejected as refused:
        return str(refused)
    return ""


def altered(**fields: Any) -> dict[str, Any]:
    return {**COMMAND, **fields}


DELETE = {**COMMAND, "verb": "delete"}
ABORT = {"verb": "abort", "id": "c-1", "by": "ann", "reason": "mistake"}
ATTEST = {**ABORT, "verb": "attest"}
HOLD = {**ABORT, "verb": "hold"}

FORGERIES: dict[str, tuple[Mapping[str, Any], Callable[[], object]]] = {
    "unsigned": (COMMAND, lambda: None),
    "expired": (COMMAND, lambda: claiming(exp=AT - 1)),
    "expires-now": (COMMAND, lambda: claiming(exp=AT)),
    "no-exp": (COMMAND, lambda: claiming(exp=None)),
    "exp-too-far": (COMMAND, lambda: claiming(exp=AT + 3601)),
    "exp-is-huge": (COMMAND, lambda: claiming(exp=10**400)),
    "iat-in-the-future": (COMMAND, lambda: claiming(iat=AT + 61)),
    "nbf-in-the-future": (COMMAND, lambda: claiming(nbf=AT + 61)),
    "meant-for-another-audience": (COMMAND, lambda: claiming(aud="elsewhere")),
    "another-key": (COMMAND, lambda: claiming(key=OTHER)),
    "alg-none": (COMMAND, lambda: by_hand({"alg": "none"}, CLAIMS)),
    "hs256-with-the-public-key": (COMMAND, lambda: by_hand({"alg": "HS256"}, CLAIMS, OLD_PUBLIC.encode())),
    "hs512-with-the-right-secret": (COMMAND, lambda: claiming(SECRET, "HS512", iss="ops")),
    "hs256-key-of-another-producer": (COMMAND, lambda: claiming(SECRET, "HS256")),
    "no-signature": (COMMAND, lambda: by_billing().rpartition(".")[0] + "."),
    "altered-signature": (COMMAND, lambda: by_billing()[:-10] + "AAAAAAAAAA"),
    "claims-of-another-token": (COMMAND, lambda: claiming(jti="x").rpartition(".")[0] + claiming()[-87:]),
    "altered-job-id": (altered(job_id="300101"), by_billing),
    "job-id-of-another-type": (altered(job_id=300100), by_billing),
    "altered-verb": (DELETE, by_billing),
    "altered-backend": (altered(backend="mrs"), by_billing),
    "added-field": (altered(remote_stopped=True), by_billing),
    "added-child": ({**ATTEST, "child": "300101"}, lambda: by_ops(ATTEST)),
    "altered-child": ({**ATTEST, "child": "300102"}, lambda: by_ops({**ATTEST, "child": "300101"})),
    "altered-hold-time": ({**HOLD, "for": 7200}, lambda: by_ops({**HOLD, "for": 60})),
    "removed-child": (ATTEST, lambda: by_ops({**ATTEST, "child": "300101"})),
    "nan-in-the-command": (altered(force_after=float("nan")), by_billing),
    "digest-of-another-command": (COMMAND, lambda: by_billing(altered(job_id="1"))),
    "no-digest": (COMMAND, lambda: claiming(digest=None)),
    "name-of-another-producer": (COMMAND, lambda: claiming(iss="ops")),
    "unknown-producer": (COMMAND, lambda: claiming(iss="nobody")),
    "no-iss": (COMMAND, lambda: claiming(iss=None)),
    "iss-is-a-list": (COMMAND, lambda: by_hand({"alg": "EdDSA"}, {**CLAIMS, "iss": ["billing"]}, b"x")),
    "no-jti": (COMMAND, lambda: claiming(jti=None)),
    "long-jti": (COMMAND, lambda: claiming(jti="j" * 129)),
    "jti-with-a-surrogate": (COMMAND, lambda: claiming(jti="\ud800")),
    "critical-header": (COMMAND, lambda: claiming(headers={"crit": ["x"], "x": 1})),
    "detached-payload": (COMMAND, lambda: claiming(headers={"b64": False})),
    "garbage": (COMMAND, lambda: "garbage"),
    "half-a-surrogate-pair": (COMMAND, lambda: "\ud800"),
    "8192-characters": (COMMAND, lambda: "A.A." + "A" * 8188),
    "8193-characters": (COMMAND, lambda: "A" * 8193),
}
OVER_REACHES: dict[str, tuple[Mapping[str, Any], Callable[[Mapping[str, Any]], str]]] = {
    "backend": (altered(backend="mrs"), by_billing),
    "backend-is-a-list": (altered(backend=["ess"]), by_billing),
    "verb": (DELETE, by_billing),
    "unknown-verb": (altered(verb="purge"), by_ops),
    "remote-stopped": (altered(remote_stopped=True), by_billing),
    "remote-stopped-as-a-number": (altered(remote_stopped=1), by_billing),
    "looser-force": (altered(force="auto"), by_billing),
    **{name: ({**ABORT, "verb": name}, by_billing) for name in ACTIONS},
}
VALID: dict[str, tuple[Mapping[str, Any], Callable[[Mapping[str, Any]], str]]] = {
    "cancel": (COMMAND, by_billing),
    "stricter-force": (altered(force="never"), by_billing),
    "no-force": (altered(force=None), by_billing),
    "delete": (DELETE, by_ops),
    "proof": (altered(backend="mrs", remote_stopped=True, force="auto"), by_ops),
    **{name: ({**ABORT, "verb": name}, by_ops) for name in ACTIONS},
    "hold-for-a-while": ({**ABORT, "verb": "hold", "for": 90.5}, by_ops),
    "attest-a-child": ({**ATTEST, "child": 300101}, by_ops),
}
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forgery_is_refused_without_a_hint(name: str) -> None:
    content, make = FORGERIES[name]
    token = make()
    with pytest.raises(SignatureRejected) as caught:
        check(content, token)
    assert str(caught.value) == NOT_ACCEPTED
    assert_no_secret(caught.value, token)
    assert caught.value.expired == (name in {"expired", "expires-now"})


@pytest.mark.parametrize("name", OVER_REACHES)
def test_nobody_reaches_further_than_their_rights(name: str) -> None:
    content, make = OVER_REACHES[name]
    token = make(content)
    with pytest.raises(SignatureRejected) as caught:
        check(content, token)
    assert str(caught.value) == NOT_ALLOWED
    assert caught.value.log_reason.startswith(("billing: ", "ops: "))
    assert_no_secret(caught.value, token)


def assert_no_secret(refused: SignatureRejected, token: object) -> None:
    shown = f"{refused!r} {refused} {refused.log_reason} {refused.__cause__!r}"
    secrets = [OLD, OLD_PUBLIC, SECRET, *str(token).split(".")]
    assert not [secret for secret in secrets if len(secret) > 8 and secret in shown]


@pytest.mark.parametrize("name", VALID)
def test_one_of_each_kind_passes(name: str) -> None:
    content, make = VALID[name]
    signed = check(content, make(content))
    assert signed is not None
    assert signed.expires_at == NOW + timedelta(seconds=300)


@pytest.mark.parametrize(
    "claims", [{"exp": AT + 3600}, {"exp": AT + 0.5}, {"iat": AT + 60}, {"nbf": AT - 5, "iat": AT - 9}, {"sub": "x"}]
)
def test_times_within_their_bounds_hold(claims: dict[str, Any]) -> None:
    assert check(COMMAND, claiming(**claims)) is not None


def test_a_mark_is_one_producers_signature() -> None:
    door = Signatures({name: replace(OPS, name=name) for name in ("a", "b", "ab")})
    tokens = [
        sign(COMMAND, producer=name, key=SECRET, algorithm="HS256", now=NOW, jti=jti)
        for name, jti in [("a", "b"), ("b", "a"), ("a", "bb"), ("ab", "b")]
    ]
    assert len({one.mark for one in (check(COMMAND, token, door) for token in tokens) if one}) == 4


OBJECTIONS = {
    "replayed": (NOT_ACCEPTED, "billing: its jti has been used before", ""),
    "throttled": (NOT_ALLOWED, "billing: over 9 commands per minute", "billing"),
    "out_of_reach": (NOT_ALLOWED, "billing: has no right to the backend of this cancellation", "billing"),
}


@pytest.mark.parametrize(("name", "told"), OBJECTIONS.items(), ids=OBJECTIONS)
def test_what_the_store_finds_is_rejected_in_the_same_words(name: str, told: tuple[str, str, str]) -> None:
    rejected = signing.objection(Signed("billing", "j-1", NOW, per_minute=9), name)
    assert isinstance(rejected, InvalidCommand)
    assert (str(rejected), rejected.log_reason, rejected.signed_by) == told


def old_digest(content: Mapping[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.mark.parametrize(
    "fields",
    [{}, {"force_after": 1800.0}, {"job_id": 2**60 + 1}, {"reason": "\ud800"}],
    ids=["plain", "as-python-writes-it", "a-long-integer", "half-a-surrogate-pair"],
)
def test_the_digest_of_before_is_still_taken(fields: dict[str, Any]) -> None:
    content = altered(**fields)
    assert check(content, claiming(digest=old_digest(content))) is not None


def test_each_command_of_a_submit_has_its_own_signature() -> None:
    commands = [altered(job_id=str(number)) for number in range(3)]
    assert len({one.mark for one in (check(content, by_billing(content)) for content in commands) if one}) == 3


def test_what_needs_memory_is_handed_on() -> None:
    token = sign(COMMAND, producer="billing", key=OLD, algorithm="EdDSA", now=NOW, lifetime=60, jti="mine")
    signed, mark = check(COMMAND, token), hashlib.sha256(b"billing\0mine").hexdigest()[:32]
    assert signed == Signed("billing", mark, NOW + timedelta(seconds=60), 9, frozenset({"ess"}))
    assert (signed.may_touch("ess"), signed.may_touch("mrs")) == (True, False)


@pytest.mark.parametrize("key", [OLD, NEW], ids=["old", "new"])
def test_both_keys_hold_while_they_change(key: str) -> None:
    assert check(COMMAND, by_billing(key=key)) is not None
    with pytest.raises(SignatureRejected) as caught:
        check(COMMAND, claiming(key=key, jti=None))
    assert caught.value.log_reason == "billing: MissingRequiredClaimError"


def test_where_signing_is_optional_a_signature_is_still_checked() -> None:
    door = Signatures(PRODUCERS)
    assert check(COMMAND, None, door) is None
    assert check(COMMAND, by_billing(), door) is not None
    with pytest.raises(SignatureRejected, match=NOT_ACCEPTED):
        check(altered(job_id="2"), by_billing(), door)


def test_where_signing_is_off_a_token_means_nothing() -> None:
    assert (DOOR.on, Signatures(PRODUCERS).on, Signatures().on) == (True, True, False)
    assert check(COMMAND, "whatever", Signatures()) is None


@pytest.mark.parametrize("content", [None, "cancel", [COMMAND], 1])
def test_what_is_no_object_is_left_to_the_parser(content: object) -> None:
    assert DOOR.check(content, NOW) is None


@given(st.sampled_from(sorted(COMMAND)) | st.text(max_size=20), VALUES)
def test_any_change_of_any_field_breaks_the_signature(name: str, value: object) -> None:
    changed = {**COMMAND, name: value}
    assume(name not in {"token", "traceparent"} and json.dumps(changed, sort_keys=True) != UNCHANGED)
    assert refusal_of({**changed, "token": claiming()}) == NOT_ACCEPTED


@given(st.dictionaries(st.text(max_size=8), VALUES, max_size=5))
def test_any_content_that_is_json_can_be_signed(fields: dict[str, Any]) -> None:
    content = {**fields, "verb": "abort"}
    carried = json.loads(json.dumps({**content, "token": by_ops(content), "traceparent": "00-1"}))
    assert DOOR.check(carried, NOW) is not None


@given(VALUES | st.tuples(VALUES, VALUES).map(lambda parts: by_hand(parts[0], parts[1], b"x")))
def test_no_garbage_raises_anything_else(token: object) -> None:
    assert refusal_of({**COMMAND, "token": "" if token is None else token}) == NOT_ACCEPTED


@given(st.sampled_from(["exp", "iat", "nbf", "jti", "digest", "sub", "aud", "kid"]), VALUES)
def test_no_claim_of_a_producer_raises_anything_else(name: str, value: object) -> None:
    token = jwt.encode({**CLAIMS, "iss": "ops", name: value}, SECRET, "HS256")
    assert refusal_of({**COMMAND, "token": token}) in {"", NOT_ACCEPTED}


def test_only_a_content_with_its_verb_and_for_an_hour_at_most_is_signed() -> None:
    with pytest.raises(ValueError, match="verb: is missing"):
        by_ops({"backend": "ess", "job_id": "1"})
    with pytest.raises(ValueError, match="lifetime: must be 1 to 3600 seconds"):
        sign(COMMAND, producer="ops", key=SECRET, algorithm="HS256", now=NOW, lifetime=3601)


def test_what_is_shown_holds_no_key() -> None:
    assert not [secret for secret in (SECRET, "BEGIN") if secret in repr(DOOR)]
