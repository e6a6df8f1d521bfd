"""What is kept of a message that asks for what a command can't do."""

from __future__ import annotations

from typing import Any

import pytest

from worker.intake.decoder import Malformed, read

ORDER = {"id": "c-1", "by": "ann", "reason": "dead"}
LINK = {"callbacks": [{"task": "next"}]}
ETA = "2026-11-22T12:00:00+00:00"


@pytest.mark.parametrize(
    ("task", "content", "options", "kept"),
    [
        pytest.param("worker.cancel", {"job_id": "1"}, LINK, {"job_id": "1", "verb": "cancel"}, id="a-cancel"),
        pytest.param("worker.delete", {"job_id": "1"}, LINK, {"job_id": "1", "verb": "delete"}, id="a-delete"),
        pytest.param(
            "worker.cancel", {}, {**LINK, "eta": ETA}, {"verb": "cancel", "not_before": ETA}, id="a-cancel-for-later"
        ),
        pytest.param(
            "worker.cancel", {}, {"eta": "soon"}, {"verb": "cancel", "not_before": "soon"}, id="a-time-that-is-none"
        ),
        pytest.param("worker.submit", {"commands": []}, LINK, {"commands": []}, id="several-commands"),
        pytest.param("worker.hold", ORDER, LINK, {**ORDER, "verb": "hold"}, id="an-order"),
        pytest.param("worker.hold", ORDER, {"eta": ETA}, {**ORDER, "verb": "hold"}, id="an-order-for-later"),
        pytest.param("worker.hold", {"id": "c-1"}, {}, {"id": "c-1", "verb": "hold"}, id="an-order-of-nobody"),
        pytest.param("worker.batch_abort", {"id": "b"}, {}, {"id": "b", "verb": "batch_abort"}, id="about-a-batch"),
        pytest.param("other.task", {"id": "b"}, LINK, {"id": "b"}, id="of-somebody-else"),
    ],
)
def test_what_is_rejected_is_kept_with_its_verb_and_its_time(
    task: str, content: dict[str, Any], options: dict[str, Any], kept: dict[str, Any]
) -> None:
    item = read(task, "m-1", [], content, options)

    assert isinstance(item, Malformed)
    assert item.content == kept
