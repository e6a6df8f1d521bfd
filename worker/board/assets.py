"""The files that browsers load: our style sheet and script, and htmx as its authors publish it."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

VENDORED: Mapping[str, tuple[str, str]] = {
    "htmx.min.js": ("htmx.org 4.0.1", "a0abb04f2f45a1f89d1d4844023245537e5e6014c87b144553e0607b4cc32130"),
    "hx-sse.min.js": ("htmx.org 4.0.1", "18ef2761356ec1fe0bb6d92612315b37517a7c1e9856b661c5ae81fef239d103"),
    "htmx.LICENSE.txt": ("htmx.org 4.0.1", "d3d2456f76414f2456104660ebd65aff1c04cd7966b942bdabd63f3cdb316a38"),
}
"""Third-party files: the npm package with its version, and the SHA-256 of the file in it."""
TYPES: Mapping[str, str] = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml", ".txt": "text/plain"}


FOLDER = Path(str(files(__package__)))
"""Where this package is."""


@dataclass(frozen=True, slots=True)
class Asset:
    """A file: `integrity` is its hash, so that browsers run nothing else; `version` changes with it, for addresses."""

    content: bytes
    integrity: str
    version: str


@cache
def asset(name: str) -> Asset | None:
    """Return the asset with a name; None if there is none."""
    known = {path.name: path for path in (FOLDER / "static").iterdir() if path.suffix in TYPES}
    if name not in known:
        return None
    content = known[name].read_bytes()
    digest = hashlib.sha256(content)
    return Asset(content, f"sha256-{b64encode(digest.digest()).decode()}", digest.hexdigest()[:12])
