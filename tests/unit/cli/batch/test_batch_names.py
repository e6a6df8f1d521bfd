"""By which prefixes of its id a batch can be named."""

from __future__ import annotations

import pytest

from worker.cli.batch.naming import begins

DIGEST = "sha256:4f0c1d2e3a5b"


@pytest.mark.parametrize(
    ("batch_id", "reference", "expected"),
    [
        pytest.param(DIGEST, "sha256:4f0c", True, id="a digest with its kind"),
        pytest.param(DIGEST, "4f0c1d", True, id="a digest without its kind"),
        pytest.param("nightly-7", "nigh", True, id="another id"),
        pytest.param(DIGEST, "sha256:", False, id="the kind alone"),
        pytest.param(DIGEST, "sha256:4f", False, id="too few digits"),
        pytest.param("nightly-7", "nig", False, id="too few characters"),
        pytest.param("4f0c1d-by-hand", "sha256:4f0c", False, id="an id that is no digest"),
        pytest.param(DIGEST, "f0c1", False, id="a middle"),
    ],
)
def test_a_beginning_names_a_batch(batch_id: str, reference: str, expected: bool) -> None:  # noqa: FBT001 - a table's column
    assert begins(batch_id, reference) is expected
