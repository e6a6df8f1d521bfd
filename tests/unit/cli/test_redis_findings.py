from __future__ import annotations

import pytest

from worker.cli.checks.redis_findings import (
    Letters,
    backend_findings,
    is_cluster,
    memory_finding,
    rights_finding,
)

MIB = 2**20
NONE = Letters(0, 0)


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        pytest.param({"cluster_enabled": 1}, True, id="enabled"),
        pytest.param({"redis_mode": "cluster"}, True, id="mode"),
        pytest.param({"cluster_enabled": 0, "redis_mode": "standalone"}, False, id="alone"),
        pytest.param({}, False, id="untold"),
    ],
)
def test_a_cluster_is_known_by_its_info(info: dict[str, object], *, expected: bool) -> None:
    assert is_cluster(info) is expected


def test_nothing_refused_is_ok_without_a_line() -> None:
    finding = rights_finding("Redis rights", {}, "ACL ...")

    assert (finding.verdict, finding.to_copy) == ("ok", "")


def test_what_is_refused_is_named_with_the_line_to_copy() -> None:
    finding = rights_finding("Redis rights", {"BLMOVE x": "no permissions", "INFO memory": "no"}, "ACL SETUSER u")

    assert (finding.verdict, finding.to_copy) == ("wrong", "ACL SETUSER u")
    assert finding.text.startswith("it refuses BLMOVE x, INFO memory (no permissions)")


def test_many_refusals_are_counted() -> None:
    refused = {f"C{index}": "no" for index in range(9)}

    assert "C0, C1, C2, C3, C4 and 4 more" in rights_finding("Redis rights", refused, "ACL").text


@pytest.mark.parametrize(
    ("used", "most", "letters", "verdict", "told"),
    [
        pytest.param(10, 0, NONE, "ok", "without a limit of its own; 0 dead letters", id="no-limit"),
        pytest.param(10, 100, Letters(1, MIB), "ok", "10% of 100.0 MiB used; 1 dead letter in 1.0 MiB", id="roomy"),
        pytest.param(80, 100, NONE, "warning", "over 90% nothing new is taken in", id="nearly-full"),
        pytest.param(95, 100, NONE, "wrong", "Give it more memory, or drop dead letters", id="full"),
        pytest.param(30, 100, Letters(64, 20 * MIB), "warning", "`canceller dead-letters list`", id="many-letters"),
        pytest.param(95, 100, Letters(64, 90 * MIB), "wrong", "64 dead letters in 90.0 MiB", id="full-of-letters"),
        pytest.param(10, 100, Letters(3, None), "ok", "3 dead letters", id="size-untold"),
        pytest.param(
            10, 100, Letters(99, 9 * MIB), "warning", "99 dead letters in 9.0 MiB", id="C5-nearly-at-their-bound"
        ),
        pytest.param(
            10, 100, Letters(9, MIB, 8), "ok", "9 dead letters in 1.0 MiB, 8 of them unsigned", id="C5-unsigned"
        ),
    ],
)
def test_says_how_full_redis_is(used: int, most: int, letters: Letters, verdict: str, told: str) -> None:
    finding = memory_finding({"used_memory": used * MIB, "maxmemory": most * MIB}, letters)

    assert finding.verdict == verdict
    assert told in finding.text


@pytest.mark.parametrize(
    ("count", "told"), [(1, "1 cancellation is open"), (7, "7 cancellations are open"), (1000, "1000 or more")]
)
def test_a_backend_that_the_file_does_not_name_is_a_warning(count: int, told: str) -> None:
    (finding,) = backend_findings((), {"old": count}, ())

    assert (finding.verdict, finding.what) == ("warning", "backend old")
    assert finding.text.startswith(told)


@pytest.mark.parametrize(
    ("served", "told"),
    [
        pytest.param(True, "living workers with another file work on them", id="by-others"),
        pytest.param(
            False, "no living worker knows it, so nothing is called and each ends as timed_out", id="by-nobody"
        ),
    ],
)
def test_says_whether_anybody_works_on_a_backend_that_the_file_does_not_name(served: bool, told: str) -> None:  # noqa: FBT001 - a table's column
    (finding,) = backend_findings((), {"old": 1}, {"old"} if served else ())

    assert told in finding.text


def test_a_backend_of_the_file_that_no_living_worker_knows_is_a_warning() -> None:
    (finding,) = backend_findings(["new"], {}, {"old"})

    assert (finding.verdict, finding.what) == ("warning", "backend new")
    assert "none knows it" in finding.text
