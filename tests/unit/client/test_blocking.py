"""The blocking client as `help` and editors show it."""

from __future__ import annotations

from collections.abc import Callable
from inspect import signature
from typing import Any

import pytest

from worker.client import Batch, Client


@pytest.mark.parametrize(
    ("method", "returned"),
    [
        pytest.param(Client.cancel, "Cancellation", id="an object"),
        pytest.param(Client.events, "Iterator[Event]", id="a stream"),
        pytest.param(Batch.report, "Iterator[BatchResult]", id="a stream of a batch"),
    ],
)
def test_a_blocking_method_shows_what_it_returns_and_not_its_asynchronous_counterpart(
    method: Callable[..., Any], returned: str
) -> None:
    assert signature(method).return_annotation == returned
