from __future__ import annotations

import pytest

from worker.views.counted import counted


@pytest.mark.parametrize(
    ("count", "text"),
    [
        pytest.param(0, "0 jobs", id="none"),
        pytest.param(1, "1 job", id="one"),
        pytest.param(2, "2 jobs", id="several"),
    ],
)
def test_a_noun_has_the_number_of_what_is_counted(count: int, text: str) -> None:
    assert counted(count, "job") == text
