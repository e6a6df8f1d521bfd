from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path

import pytest

from worker.protocol.signing import signed_digest

PAGE = Path(__file__).resolve().parents[3] / "worker/guide/security.md"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        pytest.param(1800, "1800", id="an-integer"),
        pytest.param(1800.0, "1800", id="a-float-without-a-fraction"),
        pytest.param(0.5, "0.5", id="a-fraction"),
        pytest.param(-0.0, "0", id="minus-zero"),
        pytest.param(1e16, "10000000000000000", id="a-float-that-python-writes-with-an-exponent"),
        pytest.param(10**16, "10000000000000000", id="the-same-as-an-integer"),
        pytest.param(1152921504606847000, "1152921504606847000", id="an-integer-as-its-double-is-written"),
        pytest.param(1e21, "1e+21", id="a-large-float"),
        pytest.param(1e-6, "0.000001", id="a-small-float"),
        pytest.param(1e-7, "1e-7", id="a-smaller-float"),
        pytest.param(333333333.33333329, "333333333.3333333", id="as-few-digits-as-tell-it"),
        pytest.param([True, False, None], "[true,false,null]", id="words"),
        pytest.param("ö😀/\u2028\x7f", '"ö😀/\u2028\x7f"', id="text-beyond-ascii-as-it-is"),
        pytest.param('\x0f\n"\\', r'"\u000f\n\"\\"', id="what-json-must-escape"),
        pytest.param({"\ufb33": 1, "😀": 2, "a": 3}, '{"a":3,"😀":2,"\ufb33":1}', id="keys-by-utf-16"),
    ],
)
def test_the_digest_is_that_of_rfc_8785(value: object, text: str) -> None:
    content = {"verb": "cancel", "x": value, "backend": "ess", "token": "t", "traceparent": "p"}
    canonical = f'{{"backend":"ess","verb":"cancel","x":{text}}}'
    assert signed_digest(content) == hashlib.sha256(canonical.encode()).hexdigest()


def test_the_guide_shows_a_command_with_its_digest() -> None:
    shown = re.search(r"^({.*\"verb\":\"cancel\"})\n([0-9a-f]{64})$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert shown is not None
    assert signed_digest(json.loads(shown[1])) == shown[2] == hashlib.sha256(shown[1].encode()).hexdigest()


@pytest.mark.parametrize("number", [2**53 + 1, 2**60, -(2**60), 10**21, 10**400, 10**5000], ids=range(6))
def test_an_integer_that_other_languages_would_change_has_no_digest(number: int) -> None:
    with pytest.raises(ValueError, match=r"."):
        signed_digest({"verb": "cancel", "job_id": number})
