from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace
from unit.domain.endings import asked, finish

from worker.domain.model import Evidence


def probed(build: Any, gone: bool | None, times: int = 2) -> dict[str, Any]:  # noqa: FBT001 - the source's own answer
    """Fields of progress after the second source answered in the last look; None means that it could not tell."""
    said = build.gone_by_probe()["probes"]["1"]
    probes = {} if gone is None else {"1": replace(said, gone=gone, times=times)}
    return {"looked_at": build.now, "probes": probes}


@pytest.mark.parametrize(
    ("gone", "times", "word", "evidence"),
    [
        pytest.param(True, 2, "", "probed", id="it-agrees"),
        pytest.param(True, 2, "ann", "probed", id="it-agrees-with-a-word"),
        pytest.param(True, 1, "", "unverified", id="it-says-so-for-the-first-time"),
        pytest.param(True, 1, "ann", "attested", id="a-first-time-and-a-word"),
        pytest.param(False, 1, "", "unverified", id="it-contradicts"),
        pytest.param(False, 1, "ann", "unverified", id="it-contradicts-a-word"),
        pytest.param(None, 0, "", "unverified", id="it-can-not-tell"),
        pytest.param(None, 0, "ann", "attested", id="it-can-not-tell-and-a-word"),
    ],
)
def test_the_second_source_is_asked_again_after_a_force(
    build: Any, times: int, word: str, evidence: str, *, gone: bool | None
) -> None:
    changes = {**asked(build, force="accepted"), **probed(build, gone, times), "remote_stopped": word}
    assert finish(build, build.seen("cancelled"), policy={"probes": True}, **changes).evidence == evidence


def test_what_the_second_source_said_before_the_last_look_proves_nothing_at_the_end(build: Any) -> None:
    changes = {**asked(build, force="accepted"), **probed(build, gone=True), "looked_at": build.at(5)}
    assert finish(build, build.seen("cancelled"), policy={"probes": True}, **changes).evidence is Evidence.UNVERIFIED


@pytest.mark.parametrize(
    ("kind", "gone", "evidence"),
    [
        pytest.param("sahara", True, "probed", id="it-agrees"),
        pytest.param("sahara", False, "unverified", id="it-contradicts"),
        pytest.param("sahara", None, "reported", id="it-can-not-tell"),
        pytest.param("ess", False, "reported", id="a-kind-with-a-force-step-that-needed-none"),
    ],
)
def test_where_there_is_no_force_step_the_second_source_confirms_the_end(
    build: Any, kind: str, evidence: str, *, gone: bool | None
) -> None:
    changes = {**asked(build), **probed(build, gone, 1)}
    assert finish(build, build.seen("cancelled"), kind=kind, policy={"probes": True}, **changes).evidence == evidence
