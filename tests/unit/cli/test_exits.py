import pytest

from worker.cli.exits import Exit, exit_of, most_severe

TABLE = [
    ("cancelled", Exit.DONE, Exit.NOT_AS_ASKED),
    ("force_cancelled", Exit.DONE, Exit.NOT_AS_ASKED),
    ("deleted", Exit.DONE, Exit.DONE),
    ("already_finished", Exit.DONE, Exit.NOT_AS_ASKED),
    ("completed_anyway", Exit.DONE, Exit.NOT_AS_ASKED),
    ("not_found", Exit.NOT_AS_ASKED, Exit.NOT_AS_ASKED),
    ("timed_out", Exit.NOT_AS_ASKED, Exit.NOT_AS_ASKED),
    ("aborted", Exit.NOT_AS_ASKED, Exit.NOT_AS_ASKED),
    ("planned", Exit.DONE, Exit.DONE),
    ("changed", Exit.NOT_AS_ASKED, Exit.NOT_AS_ASKED),
    ("refused", Exit.NOT_ALLOWED, Exit.NOT_ALLOWED),
]


@pytest.mark.parametrize(("outcome", "of_cancel", "of_delete"), TABLE, ids=[row[0] for row in TABLE])
def test_an_outcome_is_judged_by_what_was_asked_for(outcome: str, of_cancel: Exit, of_delete: Exit) -> None:
    assert (exit_of("cancel", outcome), exit_of("delete", outcome)) == (of_cancel, of_delete)


@pytest.mark.parametrize(
    ("codes", "told"),
    [
        ([], Exit.DONE),
        ([Exit.DONE, Exit.STILL_OPEN], Exit.STILL_OPEN),
        ([Exit.STILL_OPEN, Exit.NOT_AS_ASKED, Exit.DONE], Exit.NOT_AS_ASKED),
        ([Exit.NOT_AS_ASKED, Exit.NOT_ALLOWED], Exit.NOT_ALLOWED),
        ([Exit.NOT_ALLOWED, Exit.USAGE], Exit.USAGE),
    ],
    ids=["none", "open", "not as asked", "not allowed", "rejected"],
)
def test_of_many_endings_the_gravest_is_told(codes: list[Exit], told: Exit) -> None:
    assert most_severe(codes) is told


def test_the_codes_are_those_of_the_contract() -> None:
    assert {code.name: int(code) for code in Exit} == {
        "DONE": 0,
        "ERROR": 1,
        "USAGE": 2,
        "NOT_AS_ASKED": 3,
        "NOT_ALLOWED": 4,
        "STILL_OPEN": 6,
    }
