"""A deployment that takes only signed commands: from one producer without special rights, and two with all rights."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from support.cell import Cell, cell

from worker.protocol.signing import sign

KEY = "a-shared-secret-of-at-least-32-bytes"
OTHER = "another-secret-of-at-least-32-bytes!"
BACKENDS = """
require_signed = true
[producers.billing]
algorithm = "HS256"
keys_file = "billing.key"
backends = ["ess"]
verbs = ["cancel"]
[producers.ops]
algorithm = "HS256"
keys_file = "ops.key"
force = true
operator = true
[producers.chief]
algorithm = "EdDSA"
keys_file = "chief.pub"
force = true
operator = true
[backends.ess]
kind = "oracle-ess"
base_url = "{ess}"
auth = { type = "none" }
force_after = "1s"
poll = { first = "200ms", max = "500ms" }
[backends.oml]
kind = "oracle-ml"
base_url = "{oml}"
auth = { type = "none" }
"""


@contextmanager
def guarded_cell(directory: Path) -> Iterator[Cell]:
    """Run it with one worker; the keys are files next to the backends file, the chief's private key is `chief.pem`."""
    chief = Ed25519PrivateKey.generate()
    private = chief.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = chief.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    (directory / "billing.key").write_text(KEY)
    (directory / "ops.key").write_text(OTHER)
    (directory / "chief.pem").write_bytes(private)
    (directory / "chief.pub").write_bytes(public)
    with cell(directory, BACKENDS, knobs={"ess": {"cancel_delay": 0.3, "force_window": 1.0}}) as one:
        one.start_worker()
        yield one


def signed(content: dict[str, Any], producer: str = "ops", key: str = OTHER, **options: Any) -> dict[str, Any]:
    """Return a command, its verb included, with its token."""
    now = options.pop("now", datetime.fromtimestamp(time.time(), UTC))
    return {**content, "token": sign(content, producer=producer, key=key, algorithm="HS256", now=now, **options)}
