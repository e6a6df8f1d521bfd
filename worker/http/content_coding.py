"""Undoes the content codings that a body really has: what its header says of them is often wrong.

Everything is streamed, so a decompression bomb takes `limit` bytes and a few chunks, however it is nested or split.
"""

from __future__ import annotations

import codecs
import io
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ..domain.errors import CallUnanswered

CHUNK = 8_192
"""Bytes that are read and inflated at a time."""
DEEPEST = 3
"""Layers that are undone at most."""
NO_CODING = frozenset({"", "identity"})
ZLIB_CODINGS = frozenset({"deflate", "gzip", "x-gzip"})
"""Names under which zlib's format is looked for; `x-gzip` is `gzip` (RFC 9110, 8.4.1.3)."""
GZIP_MAGIC = b"\x1f\x8b"
GZIP = zlib.MAX_WBITS | 16
ZLIB = zlib.MAX_WBITS
RAW = -zlib.MAX_WBITS
"""Three formats, as zlib numbers them; some servers send `deflate` without zlib's wrapping (RFC 9110, 8.4.1.2)."""
CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")
"""Bytes that text does not have and compressed data soon has."""
UTF_16_OR_32 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)
"""Byte order marks; that of UTF-32-LE begins with that of UTF-16-LE."""
MARKUP = (b"{", b"[", b"<", b")]}")
"""How JSON, HTML and guarded JSON begin in every charset."""

UNKNOWN = "the reply has an unknown content encoding"
UNTRUE = "the body is not what its content encoding says"


@dataclass(slots=True)
class Pieces:
    """Pieces of a stream, none of them empty; the next bytes can be peeked at before they are read.

    `held` is what comes before the rest: bytes that were peeked at, or a piece's end that was put back.
    """

    rest: Iterator[bytes]
    held: bytes = b""

    def read(self) -> bytes:
        """Return the next piece, empty at the end."""
        piece, self.held = self.held or next(self.rest, b""), b""
        return piece

    def peek(self) -> bytes:
        """Return what comes next without reading it: two bytes or more, less only at the end."""
        while len(self.held) < len(GZIP_MAGIC) and (piece := next(self.rest, b"")):
            self.held += piece
        return self.held


def undone(raw: bytes | bytearray, header: str, limit: int) -> bytes:
    """Return a body without the codings that it has; `header` is its `Content-Encoding`.

    gzip is recognised by its signature, whatever the header says. A coding that is unknown, or that the body does not
    have, is ignored if the body is text. Raises CallUnanswered for a body that is over `limit` bytes in any layer, cut
    short, corrupt, or neither text nor in a known coding.
    """
    named = [name for part in reversed(header.split(",")) if (name := part.strip().lower()) not in NO_CODING]
    if not raw or not (named or raw.startswith(GZIP_MAGIC)):
        return bytes(raw)
    source = Pieces(sliced(raw))
    whole = io.BytesIO()  # hands its bytes over without a copy
    try:
        for layer in range(DEEPEST):
            way = way_of(source.peek(), named[layer:])
            if way is None:
                break
            source = Pieces(inflated(source, way, limit))
        if source.peek().startswith(GZIP_MAGIC):
            raise CallUnanswered(UNTRUE)
        while piece := source.read():
            whole.write(piece)
    except zlib.error:
        raise CallUnanswered(UNTRUE) from None
    return whole.getvalue()


def sliced(raw: bytes | bytearray) -> Iterator[bytes]:
    """Cut a body into pieces."""
    with memoryview(raw) as view:
        for at in range(0, len(raw), CHUNK):
            yield bytes(view[at : at + CHUNK])


def way_of(start: bytes, named: Sequence[str]) -> int | None:
    """Return the format of a body with this start, None if it is not compressed; `named` are the codings left.

    No raw stream starts like gzip or zlib: its first three bits would be a reserved type, or padding that is not zero.
    Raises CallUnanswered for what is neither text nor in a known coding.
    """
    if start.startswith(GZIP_MAGIC):
        return GZIP
    if not (start and named):
        return None
    if not ZLIB_CODINGS.isdisjoint(named) and starts_zlib(start):
        return ZLIB
    if is_text(start):
        return None
    if "deflate" in named:
        return RAW
    raise CallUnanswered(UNTRUE if ZLIB_CODINGS.issuperset(named) else UNKNOWN)


def starts_zlib(start: bytes) -> bool:
    """Whether these bytes can be a zlib header without a dictionary (RFC 1950, 2.2), or the first half of one."""
    method, flags = start[0], start[1:2]
    if method & 0x0F != zlib.DEFLATED:
        return False
    return not flags or (not flags[0] & 0x20 and (method << 8 | flags[0]) % 31 == 0)


def is_text(start: bytes) -> bool:
    """Whether a body with this start is text: UTF-8, or JSON or HTML in another charset."""
    if start.startswith(UTF_16_OR_32):
        return True
    if CONTROLS.search(start):
        return False
    try:
        codecs.getincrementaldecoder("utf-8")().decode(start)  # the last character may be cut
    except UnicodeDecodeError:
        return start.lstrip().startswith(MARKUP)
    return True


def inflated(source: Pieces, way: int, limit: int) -> Iterator[bytes]:
    """Inflate a stream, `limit` bytes at most; in gzip's format member by member (RFC 1952, 2.2).

    What follows is ignored, as gzip(1) does; a raw stream has no checksum, so only zeros may follow it.
    """
    size = 0
    more = True
    while more:
        for piece in member(source, way):
            size += len(piece)
            if size > limit:
                raise CallUnanswered(f"the reply is over {limit} bytes")
            yield piece
        behind = source.peek()
        more = way == GZIP and bool(behind) and behind[:2] == GZIP_MAGIC[: len(behind)]
    while way == RAW and (piece := source.read()):
        if piece.strip(b"\0"):
            raise CallUnanswered(UNTRUE)


def member(source: Pieces, way: int) -> Iterator[bytes]:
    """Inflate one stream to its end and leave what follows; raises CallUnanswered if it is cut short."""
    inflate = zlib.decompressobj(way)
    data, full = b"", False
    while not inflate.eof:
        if not (data or full or (data := source.read())):
            raise CallUnanswered(UNTRUE)
        piece = inflate.decompress(data, CHUNK)
        data, full = inflate.unconsumed_tail, len(piece) == CHUNK  # after a full piece zlib may hold more back
        if piece:
            yield piece
    source.held = inflate.unused_data
