"""PURE: who signed a command, and whether that producer may ask for it; keys and the time come in as values.

A signed command carries in `token` a compact JWT with `iss` (the producer), `exp`, `jti` and `digest`
(`signed_digest` of the command). What needs memory (a `jti` that was used, `per_minute`) is in `Signed`, for
the store to check. No text from here holds a token, a key or a claim.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final, Literal

import jwt
import rfc8785

from ..domain.errors import InvalidCommand
from .batches import RIGHTS
from .operator_actions import ACTIONS

Algorithm = Literal["EdDSA", "HS256"]

NOT_ACCEPTED: Final = "the signature is not accepted"
NOT_ALLOWED: Final = "this producer may not do this"
DENIALS: Final = frozenset({NOT_ACCEPTED, NOT_ALLOWED})
"""All that a sender is told when a command's signature or its producer's rights do not suffice."""
UNSIGNED: Final = frozenset({"token", "traceparent"})
"""What a signature does not cover: itself, and what tracing adds on the way."""

LONGEST_LIFE: Final = 3600.0
LEEWAY: Final = 60.0
"""Seconds that a producer's clock may be ahead in `iat` and `nbf`."""
TOKEN_LIMIT: Final = 8192
JTI_LIMIT: Final = 128
CLAIMS: Final = ("iss", "exp", "jti", "digest")
LARGEST: Final = 10**21
"""From here on RFC 8785 writes numbers with an exponent, which integers never have."""

_UNWRITABLE: Final = (RecursionError, TypeError, ValueError)
_UNREADABLE: Final = (jwt.PyJWTError, *_UNWRITABLE)
"""What the library may raise for hostile bytes; no text of these goes any further, only the class's name."""


class SignatureRejected(InvalidCommand):
    """A command's signature does not hold, or its producer may not do what it asks.

    The text is for everybody and tells an attacker nothing; `log_reason` is the true cause, for the operator.
    `expired` means that nothing else is wrong: such a command may be a redelivery of one that was taken in before.
    `signed_by` names the producer if the signature is accepted and only a right is missing.
    `holds` means that a known producer has signed it, but may not do this, or the signature has expired.
    """

    def __init__(self, reason: str, log_reason: str, *, expired: bool = False, signed_by: str = "") -> None:
        super().__init__(reason)
        self.log_reason = log_reason
        self.expired = expired
        self.signed_by = signed_by
        self.holds = expired or reason == NOT_ALLOWED


@dataclass(frozen=True, slots=True)
class Producer:
    """Somebody who signs, and what they may ask for; `backends` is None for all.

    `keys` are PEM public keys for EdDSA, shared secrets for HS256; one, or two while one replaces the other.
    """

    name: str
    algorithm: Algorithm
    keys: tuple[str, ...] = field(repr=False)
    backends: frozenset[str] | None = None
    verbs: frozenset[str] = frozenset({"cancel", "delete"})
    force: bool = False
    per_minute: int | None = None
    operator: bool = False


@dataclass(frozen=True, slots=True)
class Signed:
    """A signature that holds; the store must still check that `mark` is new and that `per_minute` is not exceeded.

    `mark` is unique among all producers' signatures, and empty for a member of a signed batch. `backends` is for an
    order: only the store knows its cancellation, and so its backend. `force` is as in `Producer`.
    """

    producer: str
    mark: str
    expires_at: datetime
    per_minute: int | None = None
    backends: frozenset[str] | None = None
    force: bool = False

    def may_touch(self, backend: str) -> bool:
        """Return whether the producer has a right to this backend."""
        return self.backends is None or backend in self.backends


OBJECTIONS: Final[Mapping[str, tuple[str, str]]] = {
    "replayed": (NOT_ACCEPTED, "its jti has been used before"),
    "throttled": (NOT_ALLOWED, "over {per_minute} commands per minute"),
    "out_of_reach": (NOT_ALLOWED, "has no right to the backend of this cancellation"),
}
"""Why only the store can reject a signature that holds: what everybody is told, and the true cause."""


def objection(signed: Signed, name: str) -> SignatureRejected:
    """Return the rejection that follows from one of `OBJECTIONS`."""
    reason, cause = OBJECTIONS[name]
    log_reason = f"{signed.producer}: {cause.format(per_minute=signed.per_minute)}"
    return SignatureRejected(reason, log_reason, signed_by=signed.producer if reason is NOT_ALLOWED else "")


@dataclass(frozen=True, slots=True)
class Signatures:
    """All producers of this deployment. Without any, and not required, signing is off and tokens are ignored."""

    producers: Mapping[str, Producer] = field(default_factory=dict)
    required: bool = False

    @property
    def on(self) -> bool:
        """Whether there is anything to check."""
        return self.required or bool(self.producers)

    def check(self, content: object, now: datetime) -> Signed | None:
        """Judge a command or an order as it came, with its `verb`; None if it is unsigned and may be.

        Raises:
            SignatureRejected: it is unsigned and may not be, its signature fails, or its producer lacks the right.

        """
        if not self.on or not isinstance(content, Mapping):
            return None  # What is no JSON object is no command, and rejected as that.
        token = content.get("token")
        if token is None and not self.required:
            return None
        producer, claims = self._verified(token)
        _check_content(producer, claims, content)
        _check_rights(producer, content)
        _check_times(producer, claims, now.timestamp())
        expires_at = datetime.fromtimestamp(claims["exp"], UTC)
        mark = hashlib.sha256(f"{producer.name}\0{claims['jti']}".encode()).hexdigest()[:32]
        return Signed(producer.name, mark, expires_at, producer.per_minute, producer.backends, producer.force)

    def judged(self, content: object, now: datetime, vouched_by: str) -> Signed | None:
        """Judge a command as `check` does; if `vouched_by` has signed the batch that it is in, by that one's rights."""
        if not vouched_by or not isinstance(content, Mapping):
            return self.check(content, now)
        producer = self.producers.get(vouched_by)
        if producer is None:
            raise SignatureRejected(NOT_ACCEPTED, "whoever signed the batch is no longer a configured producer")
        _check_rights(producer, content)
        return Signed(producer.name, "", now, producer.per_minute, producer.backends, producer.force)

    def _verified(self, token: object) -> tuple[Producer, Mapping[str, Any]]:
        if token is None:
            raise SignatureRejected(NOT_ACCEPTED, "unsigned, and require_signed is true")
        if not isinstance(token, str) or not token.isascii() or len(token) > TOKEN_LIMIT:
            raise SignatureRejected(NOT_ACCEPTED, "the token is not ASCII text of a sensible length")
        producer = self.producers.get(_claimed_issuer(token))
        if producer is None:
            raise SignatureRejected(NOT_ACCEPTED, "its iss is not a configured producer")
        return producer, _claims(producer, token)


def _claimed_issuer(token: str) -> str:
    """Read who a token says that it is from, which nothing has proven yet."""
    try:
        issuer = jwt.decode(token, options={"verify_signature": False}).get("iss")
    except _UNREADABLE as error:
        raise SignatureRejected(NOT_ACCEPTED, f"the token can't be read: {type(error).__name__}") from None
    return issuer if isinstance(issuer, str) else ""


def _claims(producer: Producer, token: str) -> Mapping[str, Any]:
    for key in producer.keys:
        try:
            return _decode(producer, token, key)
        except (jwt.InvalidSignatureError, jwt.InvalidKeyError):
            continue
        except _UNREADABLE as error:
            raise SignatureRejected(NOT_ACCEPTED, f"{producer.name}: {type(error).__name__}") from None
    raise SignatureRejected(NOT_ACCEPTED, f"{producer.name}: not signed with any of its keys")


def _decode(producer: Producer, token: str, key: str) -> Mapping[str, Any]:
    """Check all but the times, which the library would compare with this host's clock."""
    return jwt.decode(
        token,
        key,
        algorithms=[producer.algorithm],
        issuer=producer.name,
        options={"require": list(CLAIMS), "verify_exp": False, "verify_iat": False, "verify_nbf": False},
    )


def _check_content(producer: Producer, claims: Mapping[str, Any], content: Mapping[str, Any]) -> None:
    jti = claims["jti"]
    if not (0 < len(jti) <= JTI_LIMIT and jti.isascii() and jti.isprintable()):
        raise SignatureRejected(
            NOT_ACCEPTED, f"{producer.name}: its jti is not 1 to {JTI_LIMIT} printable ASCII characters"
        )
    if not any(claims["digest"] == digest for digest in _digests(content)):
        raise SignatureRejected(NOT_ACCEPTED, f"{producer.name}: signed for different content")


def _digests(content: Mapping[str, Any]) -> Iterator[str]:
    """Yield the digests by which a content may be signed; what can't be written has not been signed.

    Besides the published one, that is the one that producers made before 0.1 was released, which 0.2 will not accept:
    the SHA-256, in hex, of JSON as Python writes it, with keys sorted by code point, no spaces, all but ASCII escaped.
    """
    with suppress(*_UNWRITABLE):
        yield signed_digest(content)
    with suppress(*_UNWRITABLE):
        text = json.dumps(_covered(content), sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)
        yield hashlib.sha256(text.encode()).hexdigest()


def _check_rights(producer: Producer, content: Mapping[str, Any]) -> None:
    problem = _over_reach(producer, content)
    if problem:
        raise SignatureRejected(NOT_ALLOWED, f"{producer.name}: {problem}", signed_by=producer.name)


def _over_reach(producer: Producer, content: Mapping[str, Any]) -> str:
    """Say what a producer has no right to. A value of a wrong type counts as a request: anything but false is true."""
    verb, backend = content.get("verb"), content.get("backend")
    if not isinstance(verb, str):
        return "names no verb"
    if verb in RIGHTS:
        right = RIGHTS[verb]
        return "" if not right or getattr(producer, right) else f"{verb} needs {right} = true"
    if verb not in producer.verbs:
        return "this verb is not among its verbs"
    if producer.backends is not None and not (isinstance(backend, str) and backend in producer.backends):
        return "this backend is not among its backends"
    if not producer.force and content.get("remote_stopped", False) is not False:
        return "remote_stopped needs force = true"
    if not producer.force and content.get("force") not in (None, "attested", "never"):
        return "a looser force needs force = true"
    return ""


def _check_times(producer: Producer, claims: Mapping[str, Any], now: float) -> None:
    times = {name: claims[name] for name in ("exp", "iat", "nbf") if name in claims}
    if not all(isinstance(value, int | float) and not isinstance(value, bool) for value in times.values()):
        raise SignatureRejected(NOT_ACCEPTED, f"{producer.name}: exp, iat or nbf is not a number")
    for name in times.keys() - {"exp"}:
        if not times[name] <= now + LEEWAY:
            raise SignatureRejected(NOT_ACCEPTED, f"{producer.name}: its {name} is in the future")
    if not times["exp"] <= now + LONGEST_LIFE:
        raise SignatureRejected(NOT_ACCEPTED, f"{producer.name}: its exp is more than {LONGEST_LIFE:.0f} s ahead")
    if not now < times["exp"]:
        raise SignatureRejected(NOT_ACCEPTED, f"{producer.name}: expired", expired=True)


def signed_digest(content: Mapping[str, Any]) -> str:
    """Return the digest of what a signature covers: a command with its verb, without `token` and `traceparent`.

    It is the SHA-256, in hex, of the canonical JSON (RFC 8785), in which numbers are doubles: an integer beyond 2^53
    has a digest only if it is written like its double, such as 10^16, so that no two integers share one.

    Raises:
        TypeError, ValueError, RecursionError: it has no canonical JSON.

    """
    covered = _covered(content)
    try:
        text = rfc8785.dumps(covered)
    except rfc8785.IntegerDomainError:
        text = rfc8785.dumps(_in_doubles(covered))
    return hashlib.sha256(text).hexdigest()


def _covered(content: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in content.items() if name not in UNSIGNED}


def _in_doubles(value: Any) -> Any:
    """Replace the integers that the library does not take by their doubles."""
    if isinstance(value, dict):
        return {name: _in_doubles(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_in_doubles(one) for one in value]
    if isinstance(value, int) and abs(value) < LARGEST and rfc8785.dumps(float(value)) == str(value).encode():
        return float(value)
    return value


def sign(
    content: Mapping[str, Any],
    *,
    producer: str,
    key: str | bytes,
    algorithm: Algorithm,
    now: datetime,
    lifetime: int = 300,
    jti: str | None = None,
) -> str:
    """Sign a command or an order for a producer; the result goes into its `token`.

    Args:
        content: The command as it will be sent, and its `verb` (cancel, delete, or an operator's action), which a
            message to `worker.cancel` does not repeat. Any later change breaks the signature.
        producer: The producer's name in the backends file.
        key: A PEM private key for EdDSA, the shared secret for HS256.
        algorithm: As in the backends file.
        now: The time; by it and `lifetime` (seconds, an hour at most) the signature expires.
        lifetime: A command that waits in its queue for longer is rejected.
        jti: A name that no other signature of this producer has; a random one if none is given.

    Raises:
        ValueError: The content names no verb, or the lifetime is not from 1 s to an hour.

    """
    if "verb" not in content:
        raise ValueError(f"verb: is missing, but a signature covers it: cancel, delete, {' or '.join(ACTIONS)}")
    if not 1 <= lifetime <= LONGEST_LIFE:
        raise ValueError(f"lifetime: must be 1 to {LONGEST_LIFE:.0f} seconds")
    claims = {
        "iss": producer,
        "exp": int(now.timestamp()) + lifetime,
        "jti": jti or uuid.uuid4().hex,
        "digest": signed_digest(content),
    }
    return jwt.encode(claims, key, algorithm)
