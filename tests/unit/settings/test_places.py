"""The place of a backend in words: everything that leads to its jobs, and nothing else."""

from __future__ import annotations

import pytest
from support.backends_file import parse_backends

from worker.runtime.wiring import rules_of
from worker.store.codec import place_mark


def place(keys: str, base_url: str = "https://h") -> str:
    text = f'[backends.b]\nbase_url = "{base_url}"\nauth = {{ type = "none" }}\n{keys}'
    return rules_of(parse_backends(text, environ={})["b"]).place


MRS, MRS_V2 = 'kind = "mrs"\nproject_id = "demo"', 'kind = "mrs"\ndialect = "v2"\nproject_id = "demo"'


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        pytest.param('kind = "oracle-ess"', "oracle-ess at https://h", id="ess"),
        pytest.param('kind = "oracle-ml"', "oracle-ml at https://h, r-scripts", id="oml"),
        pytest.param(
            'kind = "oracle-ml"\nscripts = "py-scripts"', "oracle-ml at https://h, py-scripts", id="oml-python"
        ),
        pytest.param(MRS, "mrs at https://h, project demo", id="mrs"),
        pytest.param(MRS + '\ncluster_id = "c"', "mrs at https://h, project demo", id="mrs-v1.1-lists-only"),
        pytest.param(MRS_V2, "mrs at https://h, project demo, dialect v2", id="mrs-v2"),
        pytest.param(
            MRS_V2 + '\ncluster_id = "c"', "mrs at https://h, project demo, dialect v2, cluster c", id="mrs-v2-cluster"
        ),
        pytest.param('kind = "sahara"\nproject_id = "p"', "sahara at https://h, project p", id="sahara"),
        pytest.param(
            'kind = "sahara"\nproject_id = "p"\ndialect = "v2"', "sahara at https://h, project p", id="sahara-v2"
        ),
        pytest.param('kind = "oracle-ess"\nforce = "never"', "oracle-ess at https://h", id="nothing-else"),
    ],
)
def test_a_place_says_what_is_called_where(keys: str, words: str) -> None:
    assert place(keys) == words


@pytest.mark.parametrize("base_url", ["https://h/", "HTTPS://H", "https://h:443"])
def test_two_ways_to_write_one_address_are_one_place(base_url: str) -> None:
    assert place('kind = "oracle-ess"', base_url) == "oracle-ess at https://h"


@pytest.mark.parametrize("base_url", ["https://h:8443", "http://h", "https://h/a", "https://h/A", "https://[::443]"])
def test_two_addresses_are_two_places(base_url: str) -> None:
    marks = {place_mark(place('kind = "oracle-ess"', one)) for one in (base_url, "https://h", "https://h/b")}
    assert len(marks) == 3


def test_a_mark_is_twelve_hex_digits_and_none_is_none() -> None:
    assert (len(place_mark("x")), place_mark("")) == (12, "")
    int(place_mark("x"), 16)
