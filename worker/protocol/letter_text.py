"""PURE: what is kept and shown of a rejected message: one line, no signed token, of bounded length.

A rejected message may hold a signed token, a JWT (RFC 7519, 3), anywhere, so tokens are recognised by their shape:
words of base64 with dots between them, the first of which is a JSON object with `alg`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

BLANK = "[token]"
LAYERS = 2
"""How many nested layers of base64 are searched."""
LONGEST_HEADER = 8192
"""Characters of a token's first word: more than in any token that is accepted."""
DOTTED = re.compile(r"(?<![A-Za-z0-9_-])[A-Za-z0-9_-]++(?:\.[A-Za-z0-9_-]*+)++")
"""Words of base64 for URLs between dots."""
CODED = re.compile(r"(?<![A-Za-z0-9+/_-])[A-Za-z0-9+/_-]{32,}+")
"""Base64 that is long enough for a token."""
BRACE = re.compile(rb"\{(?=\s*\")")
"""How a header begins."""
STANDARD = str.maketrans("-_", "+/")
SLASHES = re.compile(r"\\+/")
"""Slashes as some escape them in JSON, which would cut base64 into pieces."""
UNSHOWN = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters, marks of direction, separators of lines, halves of surrogate pairs."""
NO_TEXT = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
LEVELS: Final = 8
"""How deep a message is searched for signatures: deeper than a command can be in any message of Celery's."""
FREE_NAMES: Final = frozenset({"labels", "params"})
"""Fields in which `token` may be a producer's own word."""


def without_signatures(content: object, levels: int = LEVELS) -> object:
    """Return what came in a message without its signatures, to be kept or shown."""
    if not levels:
        return content
    if isinstance(content, list | tuple):
        return [without_signatures(one, levels - 1) for one in content]
    if not isinstance(content, Mapping):
        return content
    return {
        name: value if name in FREE_NAMES else without_signatures(value, levels - 1)
        for name, value in content.items()
        if name != "token"
    }


def shown(text: str, limit: int) -> str:
    """Return a text of unknown origin as an event, a log or a reason may hold it, `limit` characters at most."""
    left = without_tokens(text[: 4 * limit])
    # Characters that can't be shown on a line are escaped as in Python.
    return UNSHOWN.sub(lambda found: found[0].encode("unicode_escape").decode(), left)[:limit]


def kept(text: str, limit: int) -> str:
    """Return a message's JSON without tokens; of one over `limit` characters only its beginning, size and digest."""
    whole = without_tokens(text if len(text) <= limit else text[: 4 * limit])
    if len(text) <= limit:
        return whole
    return json.dumps(beginning(whole, limit, text.encode()))


def beginning(told: str, limit: int, whole: bytes) -> dict[str, object]:
    """Return the beginning of a message's text, with its length in bytes and its SHA-256."""
    return {"bytes": len(whole), "sha256": hashlib.sha256(whole).hexdigest(), "beginning": told[:limit]}


def text_of(raw: bytes) -> str:
    """Return bytes as text, or name them if they are none: compressed ones, for example, can't be searched."""
    with suppress(UnicodeDecodeError):
        text = raw.decode()
        if not NO_TEXT.search(text):
            return text
    return f"[{len(raw)} bytes that are not text, sha256 {hashlib.sha256(raw).hexdigest()}]"


def without_tokens(text: str, layers: int = LAYERS) -> str:
    """Return a text with a blank for each signed token, also for those in base64."""
    if "." in text:
        text = DOTTED.sub(_blanked, text)
    if layers == 0 or not CODED.search(text):
        return text
    joined = SLASHES.sub("/", text)
    left = CODED.sub(lambda found: _recoded(found[0], layers - 1), joined)
    return text if left == joined else left


def _blanked(found: re.Match[str]) -> str:
    words = found[0].split(".")
    for index, word in enumerate(words[:-1]):
        start = _header(word)
        if start is not None:
            return ".".join([*words[:index], word[:start] + BLANK])
    return found[0]


def _header(word: str) -> int | None:
    """Return where in a word the token's header begins, None if the word ends with none; other text may precede it."""
    if "ey" not in word and "ew" not in word:  # how base64 begins for a brace that a quote or a blank follows
        return None
    skipped = max(0, len(word) - LONGEST_HEADER)
    for start in range(skipped, min(skipped + 4, len(word))):
        said = _decoded(word[start:], whole=True)
        if b'"alg"' in said and said.rstrip().endswith(b"}"):
            braces = (brace.start() for brace in BRACE.finditer(said))
            return next((start + brace // 3 * 4 for brace in braces if brace % 3 == 0), start)
    return None


def _recoded(run: str, layers: int) -> str:
    """Return base64 without the tokens in it; at which character the coding begins is not known."""
    for shift in range(4):
        said = _decoded(run[shift:], whole=False).decode("latin-1")
        left = without_tokens(said, layers)
        if left != said:
            return run[:shift] + base64.b64encode(left.encode("latin-1")).decode()
    return run


def _decoded(coded: str, *, whole: bool) -> bytes:
    """Decode base64 of either alphabet, without its padding; return nothing if it must be `whole` and can't be."""
    if len(coded) % 4 == 1:
        if whole:
            return b""
        coded = coded[:-1]
    return base64.b64decode(coded.translate(STANDARD) + "=" * (-len(coded) % 4))
