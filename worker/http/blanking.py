"""Blanks secrets that a backend was sent wherever its reply repeats them, so that no text can carry them further.

A reply is searched as it came and with its escapes undone, layer by layer; what is found is cut out of the original.
"""

from __future__ import annotations

import base64
import binascii
import html
import json
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote, quote_plus

from msgspec.structs import replace

from ..backends.adapter import Reply

BLANK = "[secret]"
SHORTEST = 7
"""Characters of the shortest secret that is blanked: a reply may well contain a shorter one for other reasons."""
LONG = 1_000
"""Bytes from which on a text is searched for one form at a time; in a shorter one a regular expression covers all."""
LAYERS = 3
"""How many nested layers of escapes are undone, such as a JSON text in a JSON text in a URL."""
ESCAPE = re.compile(
    rb"%[0-9A-Fa-f]{2}"
    rb"|&(?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z][0-9A-Za-z]{1,30});"
    rb"|\x00+"
    rb"|(?:\\u[0-9A-Fa-f]{4})+|\\x[0-9A-Fa-f]{2}|\\[\"'\\/bfnrt]"
)
"""Percent-encoding, HTML entities, the zero bytes of UTF-16, and the backslash escapes of JSON and of programs."""
NO_BACKSLASH = re.compile(ESCAPE.pattern.rpartition(rb"|(?:\\u")[0])
CONTROLS = {b"\\b": b"\b", b"\\f": b"\f", b"\\n": b"\n", b"\\r": b"\r", b"\\t": b"\t"}
PARTS_OF_BASIC = re.compile(r"basic +([A-Za-z0-9+/]+={0,2})", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Searched:
    """What to search for: all `forms` of some secrets, the `innermost`, which contain no other, and how any begins."""

    forms: tuple[bytes, ...]
    innermost: tuple[bytes, ...]
    hint: re.Pattern[bytes]

    @classmethod
    @lru_cache(maxsize=256)
    def of(cls, secrets: tuple[str, ...]) -> Searched:
        """Return what to search for if these secrets were sent."""
        found = tuple(dict.fromkeys(form for secret in secrets for form in forms(secret)))
        innermost = tuple(form for form in found if not any(other in form for other in found if other != form))
        return cls(found, innermost, re.compile(b"|".join(sorted({re.escape(form[:SHORTEST]) for form in found}))))

    def may_be_in(self, view: bytes) -> bool:
        """Whether a view may hold any form; a long one is searched for each in turn, in a third of the time."""
        if len(view) < LONG:
            return self.hint.search(view) is not None
        return any(form in view for form in self.innermost)


def blanked(reply: Reply, secrets: Iterable[str]) -> Reply:
    """Return a reply without the secrets, however they are encoded in it."""
    searched = Searched.of(tuple(secrets))
    if not searched.forms:
        return reply
    together = "\n".join(reply.headers.values()).encode()
    whole = b"\n".join((reply.body, together))
    if not (may_hold_escapes(whole) or searched.may_be_in(whole)):
        return reply  # nearly every reply: one search is half the cost of two
    body = without(reply.body, searched)
    if body is not reply.body:
        reply = replace(reply, body=body)
    if without(together, searched) is not together:
        told = {
            name: without(value.encode(), searched).decode("utf-8", "replace") for name, value in reply.headers.items()
        }
        reply = replace(reply, headers=told)
    return reply


def parts(value: str) -> tuple[str, ...]:
    """Return a header's secret value and its parts that are secret by themselves: credentials, a password in them."""
    _, _, credentials = value.partition(" ")
    found = [value] if not credentials or " " in credentials else [value, credentials]
    if basic := PARTS_OF_BASIC.fullmatch(value):
        with suppress(binascii.Error, UnicodeDecodeError):
            found.append(base64.b64decode(basic[1]).decode().partition(":")[2])
    return tuple(found)


def without(text: bytes, searched: Searched) -> bytes:
    """Return a text with everything blanked that is searched for; the same object if nothing is found."""
    view, layers, spans = text, list[Layer](), list[tuple[int, int]]()
    while True:
        if searched.may_be_in(view):
            spans += [inside(layers, *span) for form in searched.forms for span in places(form, view)]
        if len(layers) == LAYERS or not may_hold_escapes(view) or not ESCAPE.search(view):
            return cut(text, spans) if spans else text
        view, layer = undone(view)
        layers.append(layer)


def may_hold_escapes(view: bytes) -> bool:
    """Whether a view holds a byte with which an escape may begin."""
    return b"%" in view or b"&" in view or b"\\" in view or b"\0" in view


def places(form: bytes, view: bytes) -> Iterator[tuple[int, int]]:
    """Yield where a form is in a view, as start and end."""
    start = view.find(form)
    while start >= 0:
        yield start, start + len(form)
        start = view.find(form, start + 1)


def cut(text: bytes, spans: Iterable[tuple[int, int]]) -> bytes:
    """Replace each span by a blank; spans that touch share one."""
    kept, end = bytearray(), 0
    for first, last in sorted(spans):
        if first >= end and not (kept and first == end):
            kept += text[end:first] + BLANK.encode()
        end = max(end, last)
    return bytes(kept + text[end:])


@dataclass(frozen=True, slots=True)
class Layer:
    """Where the pieces of a view begin, here and in the view it was made from; every second piece was an escape."""

    here: list[int]
    below: list[int]


def inside(layers: Sequence[Layer], start: int, end: int) -> tuple[int, int]:
    """Return where a span of the last layer is in the text from which all layers were made."""
    for layer in reversed(layers):
        first, last = bisect_right(layer.here, start) - 1, bisect_right(layer.here, end - 1) - 1
        start = layer.below[first] + (0 if first % 2 else start - layer.here[first])
        end = layer.below[last + 1] if last % 2 else layer.below[last] + end - layer.here[last]
    return start, end


def undone(view: bytes, escape: re.Pattern[bytes] = ESCAPE) -> tuple[bytes, Layer]:
    """Undo the escapes of a view once."""
    made, here, below, end = bytearray(), [0], [0], 0
    for found in escape.finditer(view):
        made += view[end : found.start()]
        here.append(len(made))
        below.append(found.start())
        made += meant(found[0])
        end = found.end()
        here.append(len(made))
        below.append(end)
    return bytes(made + view[end:]), Layer(here, below)


@lru_cache(maxsize=4096)
def meant(escape: bytes) -> bytes:
    """Return the bytes that an escape stands for."""
    if escape.startswith((b"%", b"\\x")):
        return bytes.fromhex(escape[-2:].decode())
    if escape.startswith(b"&"):
        return html.unescape(escape.decode()).encode("utf-8", "replace")
    if escape.startswith(b"\\u"):
        return str(json.loads(b'"' + escape + b'"')).encode("utf-8", "replace")
    return CONTROLS.get(escape, escape[1:].strip(b"\0"))


def forms(secret: str) -> tuple[bytes, ...]:
    """Return how a secret may be written in a text without escapes; none for one that is too short."""
    if len(secret) < SHORTEST:
        return ()
    raw = secret.encode("utf-8", "replace")
    plain = {raw, secret.replace(" ", "+").encode("utf-8", "replace"), secret.encode("latin-1", "replace")}
    plain |= {undone(raw, pattern)[0] for pattern in (ESCAPE, NO_BACKSLASH)}  # as a view has it if it looks escaped
    escaped = {
        secret,
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        html.escape(secret),
        quote(secret, safe=""),
        quote_plus(secret),
    }
    encoded = {form for text in escaped for form in encodings(text.encode("utf-8", "replace"))}
    return tuple(sorted({form for form in plain | encoded if len(form) >= SHORTEST}, key=len, reverse=True))


def encodings(text: bytes) -> Iterator[bytes]:
    """Yield a text in hexadecimal digits and in base64 (both alphabets), by itself and as part of a longer text."""
    yield text.hex().encode()
    yield text.hex().upper().encode()
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        yield encode(text)
        yield encode(text).rstrip(b"=")
        for before in range(3):
            first, last = -(-before * 8 // 6), (before + len(text)) * 8 // 6  # characters of no other byte
            yield encode(bytes(before) + text)[first:last]
