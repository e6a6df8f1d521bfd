"""The progress of a batch, in numbers and words, and how its end is judged."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from worker.cli.batch.ending import exit_of_batch, report_applied, ways_on
from worker.cli.batch.showing import words, write_report
from worker.cli.exits import Exit
from worker.cli.output import Output
from worker.protocol.batches import BatchCounts, BatchOptions, BatchResult, BatchState, BatchStatus
from worker.views.batches import Pace, described, progress_line, short, stands_still

DIGEST = f"sha256:{'4f0c1d2e3a5b' * 6}"[:71]
START = datetime(2026, 11, 22, 10, tzinfo=UTC)
COUNTS = BatchCounts(100, waiting=60, open=10, rejected=2, finished={"cancelled": 25, "changed": 3, "refused": 0})


def batch(state: BatchState = BatchState.RUNNING, counts: BatchCounts = COUNTS, **more: Any) -> BatchStatus:
    return BatchStatus(DIGEST, state, BatchOptions(), counts, 1, 1, START, **more)


def ended(**finished: int) -> BatchStatus:
    rejected = finished.pop("rejected", 0)
    return batch(
        BatchState.FINISHED, BatchCounts(sum(finished.values()) + rejected, rejected=rejected, finished=finished)
    )


def pace(*samples: tuple[float, int]) -> Pace:
    found = Pace()
    for at, done in samples:
        found.note(at, done)
    return found


@pytest.mark.parametrize(
    ("samples", "rate"),
    [
        ([], 0.0),
        ([(10.0, 5)], 0.0),
        ([(10.0, 0), (20.0, 50)], 5.0),
        ([(0.0, 0), (40.0, 400), (60.0, 420), (70.0, 430)], 1.0),
        ([(10.0, 5), (10.0, 5)], 0.0),
    ],
    ids=["nothing", "one", "two", "the-last-half-minute", "no-time"],
)
def test_the_rate_is_measured(samples: list[tuple[float, int]], rate: float) -> None:
    assert pace(*samples).measured(COUNTS)[0] == rate


def test_a_line_says_how_far_it_is_how_fast_and_how_jobs_have_ended() -> None:
    line = progress_line(batch(), pace((0.0, 0), (10.0, 30)))

    assert line == "30 of 100 ended; 3/s, 23 s left; 10 open; 25 cancelled, 3 changed, 2 rejected"


@pytest.mark.parametrize(
    ("status", "text"),
    [
        (batch(BatchState.RECEIVING), "1 of 1 parts have arrived"),
        (batch(BatchState.PAUSED, by="ann", reason="look"), "paused by ann: look"),
        (
            batch(BatchState.PAUSED, by="ann", reason="look", hold=True),
            "paused by ann: look, what is open is being held",
        ),
        (
            batch(BatchState.PAUSED, by="a", reason="b", hold=True, held=True),
            "paused by a: b, and what is open is held",
        ),
        (batch(BatchState.ABORTING, by="ann", reason="wrong"), "being aborted by ann: wrong"),
        (batch(BatchState.INCOMPLETE), "incomplete: 1 of 1 parts arrived within a day"),
    ],
    ids=["receiving", "paused", "being-held", "held", "aborting", "incomplete"],
)
def test_what_holds_a_batch_up_is_said(status: BatchStatus, text: str) -> None:
    assert progress_line(status).endswith(text)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (ended(cancelled=5, completed_anyway=1), Exit.DONE),
        (replace(ended(cancelled=5, already_finished=1), id="unplanned-1"), Exit.DONE),
        (ended(cancelled=5, already_finished=1), Exit.NOT_AS_ASKED),
        (ended(cancelled=5, changed=1), Exit.NOT_AS_ASKED),
        (ended(cancelled=5, not_found=1), Exit.NOT_AS_ASKED),
        (ended(cancelled=5, refused=1), Exit.NOT_AS_ASKED),
        (ended(cancelled=5, timed_out=1), Exit.NOT_AS_ASKED),
        (ended(cancelled=5, aborted=1), Exit.NOT_AS_ASKED),
        (ended(cancelled=5, rejected=1), Exit.NOT_AS_ASKED),
        (batch(), Exit.STILL_OPEN),
        (batch(BatchState.PAUSED, by="ann", reason="look"), Exit.STILL_OPEN),
        (batch(BatchState.PAUSED, by="canceller", reason="the canary failed"), Exit.NOT_AS_ASKED),
        (batch(BatchState.INCOMPLETE), Exit.ERROR),
    ],
    ids=[
        "all-ended", "ended-before-unplanned", "ended-before-planned", "changed", "not-found", "refused", "timed-out",
        "aborted", "rejected",
        "running", "paused", "paused-by-itself", "incomplete",
    ],
)  # fmt: skip
def test_a_batch_is_judged(status: BatchStatus, code: Exit) -> None:
    assert exit_of_batch(status) is code


@pytest.mark.parametrize(
    ("state", "code", "text"),
    [
        (BatchState.FINISHED, Exit.DONE, "this plan was applied already, and nothing is sent"),
        (BatchState.INCOMPLETE, Exit.ERROR, "this plan was never applied"),
    ],
    ids=["applied", "not all of it arrived"],
)
def test_a_plan_that_was_sent_before_says_what_became_of_it(
    state: BatchState, code: Exit, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report_applied(batch(state), Output()) is code
    assert capsys.readouterr().out.startswith(text)


def test_only_a_batch_that_has_paused_by_itself_with_nothing_open_stands_still() -> None:
    done = BatchCounts(10, waiting=5, finished={"refused": 5})

    assert stands_still(batch(BatchState.PAUSED, done, by="canceller"))
    assert not stands_still(batch(BatchState.PAUSED, COUNTS, by="canceller"))
    assert not stands_still(batch(BatchState.PAUSED, done, by="ann"))
    assert not stands_still(batch(BatchState.RUNNING, done))


@pytest.mark.parametrize("state", BatchState)
def test_every_state_has_a_way_on_that_names_the_batch(state: BatchState) -> None:
    ways = ways_on(batch(state))

    assert ways
    assert all(short(DIGEST) in way for way in ways) is (state is not BatchState.INCOMPLETE)


def test_a_digest_is_named_by_its_first_digits() -> None:
    assert (short(DIGEST), short("nightly-7")) == ("sha256:4f0c1d2e3a5b", "nightly-7")


def test_plain_values_hold_the_sums_and_the_pace() -> None:
    told = described(batch(started_at=START), pace((0.0, 0), (10.0, 30)))

    assert told["counts"] == {
        "selected": 100,
        "waiting": 60,
        "open": 10,
        "rejected": 2,
        "finished": {"cancelled": 25, "changed": 3, "refused": 0},
    }
    assert (told["batch_id"], told["state"], told["rate"], told["seconds_left"]) == (DIGEST, "running", 3.0, 23)


def test_a_batch_is_told_in_words() -> None:
    options = BatchOptions(rate=50, canary=10, stop_at=0.1)
    status = BatchStatus(DIGEST, BatchState.RUNNING, options, COUNTS, 1, 1, START, START, backends=["ess"])
    told = dict(words(status, START + timedelta(minutes=5)))

    assert told["jobs"] == "100: 60 waiting, 10 open, 30 ended"
    assert told["limits"] == "50 a second, 1000 open at once, a canary of 10, pauses above 10 % failures"
    assert told["runs for"] == "5 min"


@pytest.mark.parametrize(
    ("detail", "cell"),
    [("fine, really", '"fine, really"'), ("=cmd()", "'=cmd()"), ("+1", "'+1"), ("two\nlines", '"two\nlines"')],
    ids=["comma", "equals", "plus", "lines"],
)
async def test_no_text_of_a_backend_is_a_formula_in_a_report(detail: str, cell: str, tmp_path: Path) -> None:
    async def results() -> AsyncIterator[BatchResult]:
        yield BatchResult(0, "c", "ess", "-1", "cancel", "refused", safe_to_rerun=False, detail=detail)

    assert await write_report(results(), tmp_path / "report.csv") == 1
    _, _, line = (tmp_path / "report.csv").read_text(encoding="utf-8").partition("\n")
    assert line == f"-1,ess,cancel,refused,,false,{cell},,,c,\n"
