"""Browser sessions: a signed cookie, and the form token that only our own pages contain."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass, field

LIFETIME = 12 * 3600
"""Seconds for which a browser stays signed in."""
GUEST, OPERATOR = "guest", "operator"
PARTS = 4
SALT = b"canceller board sessions"


@dataclass(frozen=True, slots=True)
class Session:
    """A browser: its random id, and whether it has shown the token."""

    id: str = field(default_factory=secrets.token_urlsafe)
    operator: bool = False


@dataclass(frozen=True, slots=True)
class Sessions:
    """Writes and reads cookies; processes with the same secret accept each other's."""

    secret: bytes = field(repr=False)

    @classmethod
    def of(cls, token: str | None) -> Sessions:
        """Return those of a board: all processes with the same token share them; without one, no other process does.

        Any visitor gets a cookie, so guessing the token from one is made slow.
        """
        if token is None:
            return cls(secrets.token_bytes(32))
        text = token.encode("utf-8", "surrogatepass")
        return cls(hashlib.scrypt(text, salt=SALT, n=2**14, r=8, p=1, dklen=32))

    def written(self, session: Session, now: float) -> str:
        """Return a cookie for a session that begins now."""
        level = OPERATOR if session.operator else GUEST
        said = f"{level}.{session.id}.{int(now) + LIFETIME}"
        return f"{said}.{self._mac('cookie', said)}"

    def read(self, cookie: str, now: float) -> Session | None:
        """Return the session of a cookie; None if it is forged, of another secret, or expired."""
        said, _, mac = cookie.rpartition(".")
        parts = cookie.split(".")
        if len(parts) != PARTS or not same(mac, self._mac("cookie", said)):
            return None
        level, session_id, ends, _ = parts
        return Session(session_id, level == OPERATOR) if now < int(ends) else None

    def form_token(self, session: Session) -> str:
        """Return the token that each form on this session's pages carries."""
        return self._mac("form", session.id)

    def _mac(self, purpose: str, text: str) -> str:
        return hmac.new(self.secret, f"{purpose}:{text}".encode("utf-8", "replace"), hashlib.sha256).hexdigest()


def same(one: str, other: str) -> bool:
    """Whether two secrets are the same, compared in constant time."""
    return hmac.compare_digest(one.encode("utf-8", "replace"), other.encode("utf-8", "replace"))
