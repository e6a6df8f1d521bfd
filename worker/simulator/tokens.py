"""Tokens: issue, refresh, revoke, check. Their life runs on simulated time."""

from __future__ import annotations

import base64
import dataclasses
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .knobs import EssKnobs, Knobs, MrsKnobs, OmlKnobs, SaharaKnobs
    from .wire import Call


@dataclass(frozen=True, slots=True)
class Token:
    """One issued token. Times in seconds since 1970; `window_ends` bounds all refreshes of one login (DOC O6)."""

    value: str
    issuer: str
    expires_at: float
    window_ends: float
    project: str = ""
    revoked: bool = False


@dataclass(frozen=True, slots=True)
class Tokens:
    """All tokens ever issued, by their text."""

    issued: dict[str, Token] = field(default_factory=dict)

    def issue(
        self, issuer: str, now: float, life: float, *, window_ends: float | None = None, project: str = ""
    ) -> Token:
        """Issue a new token that lives for `life` seconds and may be refreshed until `window_ends`."""
        ends = now + life if window_ends is None else window_ends
        token = Token(f"sim-{issuer}-{secrets.token_hex(16)}", issuer, min(now + life, ends), ends, project)
        self.issued[token.value] = token
        return token

    def alive(self, text: str, now: float) -> Token | None:
        """Find a token that was issued and is neither expired nor revoked."""
        token = self.issued.get(text)
        if token is None or token.revoked or now >= token.expires_at:
            return None
        return token

    def refresh(self, old: str, now: float, life: float) -> Token | None:
        """Exchange a token that is still valid for a new one within the same window (SRC O8); None if refused."""
        known = self.alive(old, now)
        if known is None:
            return None
        return self.issue(known.issuer, now, life, window_ends=known.window_ends, project=known.project)

    def revoke(self, issuer: str | None = None) -> int:
        """Revoke all tokens, or those of one issuer, and return how many."""
        hit = [token for token in self.issued.values() if issuer in (None, token.issuer) and not token.revoked]
        self.issued.update({token.value: dataclasses.replace(token, revoked=True) for token in hit})
        return len(hit)


def refusal(tokens: Tokens, knobs: Knobs, system: str, issuer: str, call: Call) -> str:
    """Say why a system that trusts an issuer's tokens rejects a call's credentials; empty if it accepts them."""
    section: EssKnobs | OmlKnobs | MrsKnobs | SaharaKnobs = getattr(knobs, system)
    if section.auth == "none":
        return ""
    if section.auth == "basic":
        pair = credentials(call)
        fits = pair is not None and login_fits(*pair, section.username, section.password)
        return "" if fits else "user name or password is wrong"
    shown = _shown(call, section.auth)
    if shown and shown == section.static_token:
        return ""
    token = tokens.alive(shown, call.now)
    if token is None or token.issuer != issuer:
        return "the token is missing, expired or revoked"
    project = call.params.get("project", "")
    return "the token belongs to another project" if project and token.project not in ("", project) else ""


def _shown(call: Call, auth: str) -> str:
    if auth == "token":
        return call.headers.get("x-auth-token", "")
    scheme, _, value = call.headers.get("authorization", "").partition(" ")
    return value.strip() if scheme.casefold() == "bearer" else ""


def credentials(call: Call) -> tuple[str, str] | None:
    """Read the user name and password of a Basic header; None without one."""
    scheme, _, value = call.headers.get("authorization", "").partition(" ")
    if scheme.casefold() != "basic":
        return None
    try:
        name, _, password = base64.b64decode(value, validate=True).decode().partition(":")
    except ValueError:
        return None
    return name, password


def login_fits(username: str, password: str, wanted_username: str, wanted_password: str) -> bool:
    """Return whether a login is right; an empty wanted value accepts anything."""
    return wanted_username in ("", username) and wanted_password in ("", password)
