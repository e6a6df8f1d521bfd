"""The files that browsers load: our style and script, and htmx as its authors publish it."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path

VENDORED: Mapping[str, tuple[str, str]] = {
    "htmx.min.js": ("htmx.org 4.0.1", "a0abb04f2f45a1f89d1d4844023245537e5e6014c87b144553e0607b4cc32130"),
    "hx-sse.min.js": ("htmx.org 4.0.1", "18ef2761356ec1fe0bb6d92612315b37517a7c1e9856b661c5ae81fef239d103"),
    "htmx.LICENSE.txt": ("htmx.org 4.0.1", "d3d2456f76414f2456104660ebd65aff1c04cd7966b942bdabd63f3cdb316a38"),
}
"""The files of others: the npm package, with its version, and the SHA-256 of the file in it."""
TYPES: Mapping[str, str] = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml", ".txt": "text/plain"}


@cache
def folder(name: str) -> Path:
    """Return a folder of this package."""
    return Path(str(files(__package__).joinpath(name)))


@cache
def content(name: str) -> bytes | None:
    """Return an asset; None if there is none of this name."""
    known = {path.name: path for path in folder("static").iterdir() if path.suffix in TYPES}
    return known[name].read_bytes() if name in known else None


@cache
def integrity(name: str) -> str:
    """Return the hash of an asset as a page names it, so that a browser runs nothing else."""
    return "sha256-" + b64encode(hashlib.sha256(content(name) or b"").digest()).decode()


@cache
def version(name: str) -> str:
    """Return a short text that changes with an asset, for its address."""
    return hashlib.sha256(content(name) or b"").hexdigest()[:12]
