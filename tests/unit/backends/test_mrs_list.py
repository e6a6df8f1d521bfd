"""The MRS adapter's lists: one for each cluster, from the same resource that a look reads."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from unit.backends.exchanges import LOGIN, give, play
from unit.backends.mrs_exchanges import BOTH, JOBS_V2, V2, V11, fail

from worker.backends.adapter import Reply
from worker.backends.mrs import Mrs
from worker.domain.model import Answer, AnswerKind, Job, JobState

V11_IN_C1 = Mrs("37ca", cluster_id="C1")
LISTS = pytest.mark.parametrize("mrs", [V11_IN_C1, V2], ids=["v1.1", "v2"])


def jobs(count: int, cluster: str = "", prefix: str = "J") -> list[Job]:
    params = {"cluster_id": cluster} if cluster else {}
    return [Job(f"{prefix}{number}", params) for number in range(count)]


def entry(mrs: Mrs, job_id: object, **data: object) -> dict[str, object]:
    if mrs.dialect == "v2":
        return {"job_id": job_id, "job_state": "RUNNING", "job_result": "UNDEFINED", **data}
    return {"id": job_id, "job_id": "", "job_state": 2, "job_final_status": 0, **data}


def page(mrs: Mrs, *entries: object) -> Reply:
    if mrs.dialect == "v2":
        return give({"total_record": 1000, "job_list": list(entries)}, 202)
    return give({"totalRecord": 1000, "job_executions": list(entries)})


def numbered(mrs: Mrs, start: int, end: int) -> Reply:
    return page(mrs, *(entry(mrs, f"J{number}") for number in range(start, end)))


def survey(mrs: Mrs, wanted: list[Job], *replies: Reply) -> Any:
    return play(mrs.look_many(wanted), *replies)


@LISTS
def test_few_are_looked_at_alone(mrs: Mrs) -> None:
    assert survey(mrs, jobs(9)) == ([], {})


def test_without_a_cluster_v11_has_no_list_of_its_jobs() -> None:
    assert survey(V11, jobs(30)) == ([], {})


@BOTH
def test_few_of_each_cluster_are_looked_at_alone(mrs: Mrs) -> None:
    assert survey(mrs, [*jobs(9, "C2"), *jobs(9, "C3", "K")]) == ([], {})


def test_v11_asks_for_a_page_of_the_cluster() -> None:
    requests, _ = survey(V11, jobs(10, "C2"), page(V11))

    assert [(one.method, one.path) for one in requests] == [("GET", ("v1.1", "37ca", "job-exes"))]
    assert requests[0].query == {"cluster_id": "C2", "page_size": "100", "current_page": "1"}


def test_v2_asks_for_a_page_of_the_cluster() -> None:
    requests, _ = survey(V2, jobs(10), page(V2))

    assert [(one.method, one.path) for one in requests] == [("GET", JOBS_V2)]
    assert requests[0].query == {"limit": "100", "offset": "1"}


@LISTS
def test_a_job_is_shown_as_a_look_at_it_would(mrs: Mrs) -> None:
    details = entry(mrs, "J1", end_time=1495696000000, return_code="0")
    alone = play(mrs.look(Job("J1")), give({"job_execution": details}))[1]
    _, seen = survey(mrs, jobs(10), page(mrs, details, entry(mrs, "another")))

    assert seen == {"J1": alone}


@LISTS
def test_a_job_without_a_state_is_left_out(mrs: Mrs) -> None:
    _, seen = survey(mrs, jobs(10), page(mrs, entry(mrs, "J1", job_state=None), entry(mrs, "J2")))

    assert set(seen) == {"J2"}


@LISTS
def test_no_more_pages_are_read_than_looks_are_spared_for(mrs: Mrs) -> None:
    strangers = [page(mrs, entry(mrs, f"S{number}")) for number in range(10)]
    requests, seen = survey(mrs, jobs(30), *strangers)

    assert (len(requests), seen) == (3, {})


@LISTS
def test_pages_are_read_until_all_are_found(mrs: Mrs) -> None:
    requests, seen = survey(mrs, jobs(40), numbered(mrs, 0, 25), numbered(mrs, 25, 50))

    assert (len(requests), len(seen)) == (2, 40)
    assert [one.query["offset" if mrs is V2 else "current_page"] for one in requests] == ["1", "2"]


@LISTS
def test_and_no_page_after_one_that_shows_nothing_new(mrs: Mrs) -> None:
    requests, seen = survey(mrs, jobs(40), numbered(mrs, 0, 5), numbered(mrs, 0, 5))

    assert (len(requests), len(seen)) == (2, 5)


def test_where_an_offset_counts_jobs_pages_overlap_and_the_next_begins_behind_them() -> None:
    pages = [numbered(V2, start - 1, start + 9) for start in (1, 2, 12, 22)]
    requests, seen = survey(V2, jobs(60), *pages, page(V2))

    assert [one.query["offset"] for one in requests] == ["1", "2", "12", "22", "32"]
    assert len(seen) == 31


def test_v11_counts_pages_whatever_they_show() -> None:
    requests, _ = survey(V11_IN_C1, jobs(30), *(numbered(V11, start, start + 9) for start in (0, 8, 16)))

    assert [one.query["current_page"] for one in requests] == ["1", "2", "3"]


def test_each_cluster_has_a_list_of_its_own() -> None:
    wanted = [*jobs(10, "C2"), *jobs(10, "C3", "K"), *jobs(3, "C4", "L")]
    requests, seen = survey(V2, wanted, page(V2, entry(V2, "J1")), page(V2, entry(V2, "K1", job_result="KILLED")))

    assert [one.path[3] for one in requests] == ["C2", "C3"]
    assert {job_id: one.state for job_id, one in seen.items()} == {"J1": JobState.ACTIVE, "K1": JobState.CANCELLED}


def test_a_cluster_whose_list_fails_hides_no_other() -> None:
    requests, seen = survey(
        V2, [*jobs(10, "C2"), *jobs(10, "C3", "K")], fail("12000003", 400), page(V2, entry(V2, "K1"))
    )

    assert (len(requests), set(seen)) == (2, {"K1"})


@LISTS
@pytest.mark.parametrize(
    ("reply", "kind"),
    [
        pytest.param(fail("0166"), AnswerKind.UNANSWERED, id="query-failed"),
        pytest.param(fail("12000001", 401), AnswerKind.REFUSED, id="unauthorised"),
        pytest.param(fail("12000003", 400), AnswerKind.UNANSWERED, id="no-cluster"),
        pytest.param(fail("APIGW.0308", 429), AnswerKind.BUSY, id="throttled"),
        pytest.param(Reply(200, {}, LOGIN), AnswerKind.UNANSWERED, id="login-page"),
        pytest.param(Reply(202), AnswerKind.UNANSWERED, id="empty"),
        pytest.param(give({"job_list": [1], "job_executions": [1]}), AnswerKind.UNANSWERED, id="no-objects"),
    ],
)
def test_a_list_that_cannot_be_used_says_why(mrs: Mrs, reply: Reply, kind: AnswerKind) -> None:
    _, said = survey(mrs, jobs(10), reply)

    assert (type(said), said.kind) == (Answer, kind)


@LISTS
def test_what_was_found_before_a_page_failed_stays(mrs: Mrs) -> None:
    _, seen = survey(mrs, jobs(20), page(mrs, entry(mrs, "J1")), Reply(500))

    assert set(seen) == {"J1"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["J1", "J2", "RUNNING"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "job_id", "job_state", "job_result", "end_time"]), inner)
    ),
    max_leaves=20,
)


@given(entries=JSON, mrs=st.sampled_from([V11_IN_C1, V2]))
def test_no_list_breaks_a_survey(entries: object, mrs: Mrs) -> None:
    _, seen = survey(mrs, jobs(10), give({"job_list": entries, "job_executions": entries}))

    assert isinstance(seen, Answer) or set(seen) <= {"J1", "J2"}
