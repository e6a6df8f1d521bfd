"""OML, MRS and Sahara without a socket: a call in, a reply out, at a given time."""

from __future__ import annotations

import json
from typing import Any

import pytest

OML = "/oml/api/r-scripts/v2/jobs"
MRS = "/mrs/v1.1/p/job-executions"
MRS_EXES = "/mrs/v1.1/p/job-exes"
MRS_V2 = "/mrs/v2/p/clusters/c/job-executions"
SAHARA = "/sahara/v1.1/p/job-executions"
SAHARA_V2 = "/sahara/v2/jobs"


def test_oml_tells_running_from_ended_by_the_http_status(new_bench: Any) -> None:
    bench = new_bench()
    bench.job("oml", succeeds_after=47)
    running = bench.call(f"GET {OML}/1")
    bench.at += 47
    ended = bench.call(f"GET {OML}/1")

    assert (running.http, ended.http) == (202, 302)
    assert json.loads(running.body)["status"] == "job is still running"
    assert ended.headers["Content-Location"] == f"http://simulator{OML}/1/result"


def test_an_oml_delete_is_final_and_a_second_one_finds_nothing(new_bench: Any) -> None:
    bench = new_bench()
    bench.job("oml")
    first, second = (bench.json(f"DELETE {OML}/1") for _ in range(2))

    assert first == {"result": "job deleted successfully"}
    assert (second["errorCode"], second["errorMessage"]) == (1026, "job not found with id '1'")
    assert bench.http(f"GET {OML}/1") == 400


def test_an_oml_failure_shows_only_in_the_result(new_bench: Any) -> None:
    bench = new_bench()
    bench.job("oml", life="failed")

    assert bench.http(f"GET {OML}/1") == 302
    assert "errorMessage" in bench.json(f"GET {OML}/1/result")


def test_an_oml_script_runs_as_a_job(new_bench: Any) -> None:
    bench = new_bench()
    reply = bench.call("POST /oml/api/py-scripts/v2/do-eval/f", {"asyncFlag": True})
    job_id = reply.headers["Location"].rpartition("/")[2]

    assert (reply.http, bench.http(f"GET /oml/api/py-scripts/v2/jobs/{job_id}")) == (201, 202)


def test_an_mrs_cancel_shows_only_in_the_native_record(new_bench: Any) -> None:
    bench = new_bench()
    bench.job("mrs")
    record = bench.json(f"GET {MRS}/1/cancel")["job_execution"]
    bench.at += 2
    native = bench.json(f"GET {MRS_EXES}/1")["job_execution"]

    assert (record["info"], record["end_time"], record["job_id"]) == (None, None, "")
    assert (native["job_state"], native["job_final_status"]) == (-1, 3)


@pytest.mark.parametrize(("dialect", "http"), [("otc", 500), ("huawei", 400)])
def test_an_mrs_dialect_chooses_the_http_status(new_bench: Any, dialect: str, http: int) -> None:
    reply = new_bench(mrs={"dialect": dialect}).call(f"GET {MRS_EXES}/9")

    assert (reply.http, json.loads(reply.body)["error_code"]) == (http, "0176")


@pytest.mark.parametrize("dialect", ["otc", "huawei"])
def test_a_missing_mrs_job_can_be_a_404_which_is_not_that_of_a_missing_api(new_bench: Any, dialect: str) -> None:
    bench = new_bench(mrs={"dialect": dialect, "missing": "404"})
    job, api = bench.call(f"GET {MRS_EXES}/9"), bench.call("GET /mrs/v3/p/jobs/9")

    assert (job.http, json.loads(job.body)["error_code"]) == (404, "0176")
    assert (api.http, json.loads(api.body)["error_code"]) == (404, "APIGW.0101")


def test_the_newer_mrs_calls_answer_202(new_bench: Any) -> None:
    bench = new_bench()
    bench.job("mrs")
    kill, again = bench.call(f"POST {MRS_V2}/1/kill"), bench.http(f"POST {MRS_V2}/1/kill")
    bench.at += 2
    detail = bench.json(f"GET {MRS_V2}/1")["job_detail"]

    assert (kill.http, kill.body, again) == (202, b"", 202)
    assert (detail["job_state"], detail["job_result"]) == ("KILLED", "KILLED")
    assert (bench.http(f"GET {MRS_V2}"), bench.http(f"POST {MRS_V2}/1/kill")) == (202, 500)


@pytest.mark.parametrize(
    ("knob", "line", "code"),
    [("v11_supported", f"GET {MRS}/1", "12000085"), ("v2_supported", f"GET {MRS_V2}/1", "0167")],
)
def test_an_mrs_generation_can_be_missing(new_bench: Any, knob: str, line: str, code: str) -> None:
    assert new_bench(mrs={knob: False}).json(line)["error_code"] == code


def test_mrs_deletes_only_what_has_ended(new_bench: Any) -> None:
    bench = new_bench()
    bench.job("mrs", "a")
    bench.job("mrs", "b", life="finished")
    bench.job("mrs", "c", life="finished")
    single = [bench.http(f"DELETE {MRS}/{job_id}") for job_id in "ab"]
    batch = bench.http(f"POST {MRS_V2}/batch-delete", {"job_id_list": ["a", "c"]})

    assert (single, batch) == ([500, 204], 204)
    assert [job.id for job in bench.world.visible("mrs", bench.at)] == ["a"]


def test_a_sahara_cancel_answers_with_the_state_from_before(new_bench: Any) -> None:
    bench = new_bench()
    bench.job("sahara")
    answered = bench.json(f"GET {SAHARA}/1/cancel")["job_execution"]["info"]["status"]
    at_once = bench.state("sahara")
    bench.at += 5

    assert (answered, at_once, bench.state("sahara")) == ("RUNNING", "TOBEKILLED", "KILLED")


def test_a_stale_sahara_read_is_refreshed_by_asking(new_bench: Any) -> None:
    bench = new_bench(sahara={"stale_reads": True})
    bench.job("sahara")
    bench.http(f"GET {SAHARA}/1/cancel")
    bench.at += 5
    lines = [f"GET {SAHARA}/1", f"GET {SAHARA}/1/refresh-status", f"GET {SAHARA}/1"]

    assert [bench.json(line)["job_execution"]["info"]["status"] for line in lines] == ["TOBEKILLED", "KILLED", "KILLED"]


def test_a_sahara_patch_of_v11_is_a_trap(new_bench: Any) -> None:
    bench = new_bench()
    bench.job("sahara")

    assert bench.http(f"PATCH {SAHARA}/1", {"info": {"status": "cancel"}}) == 202
    assert bench.state("sahara") == "RUNNING"


@pytest.mark.parametrize(
    ("line", "headers", "http"),
    [
        pytest.param(f"GET {SAHARA_V2}/1/cancel", {}, 404, id="no cancel by GET"),
        pytest.param(f"GET {SAHARA_V2}/1?refresh_status=true", {}, 400, id="refused parameter"),
        pytest.param(f"GET {SAHARA_V2}/1", {"openstack_api_version": "data-processing 3.0"}, 406, id="wrong version"),
        pytest.param(f"GET {SAHARA_V2}/1", {"openstack_api_version": "data-processing 2.0"}, 200, id="right version"),
        pytest.param(f"PATCH {SAHARA_V2}/1", {}, 202, id="cancel by PATCH"),
    ],
)
def test_sahara_v2_has_its_own_ways(new_bench: Any, line: str, headers: dict[str, str], http: int) -> None:
    bench = new_bench()
    bench.job("sahara")

    assert bench.http(line, {"info": {"status": "cancel"}}, **headers) == http
    assert (bench.state("sahara") == "TOBEKILLED") is line.startswith("PATCH")


def test_a_sahara_delete_destroys_the_record_even_of_a_stuck_job(new_bench: Any) -> None:
    bench = new_bench()
    bench.job("sahara", life="stuck")
    first = bench.http(f"DELETE {SAHARA}/1")
    bench.at += 299
    still = bench.http(f"GET {SAHARA}/1")
    bench.at += 1

    assert (first, still, bench.http(f"GET {SAHARA}/1"), bench.state("sahara")) == (204, 200, 404, "TOBEKILLED")


@pytest.mark.parametrize("spec", [{"life": "protected"}, {"project": "other"}], ids=["protected", "another tenant"])
def test_sahara_refuses_to_cancel_what_it_must_not(new_bench: Any, spec: dict[str, str]) -> None:
    bench = new_bench()
    bench.job("sahara", **spec)
    reply = bench.call(f"GET {SAHARA}/1/cancel")

    assert (reply.http, json.loads(reply.body)["error_name"]) == (400, "CANCELING_FAILED")


def test_a_pending_sahara_job_dies_without_an_end_time(new_bench: Any) -> None:
    bench = new_bench()
    bench.job("sahara", state="PENDING")
    bench.http(f"GET {SAHARA}/1/cancel")
    record = bench.json(f"GET {SAHARA}/1")["job_execution"]

    assert (record["info"]["status"], record["end_time"]) == ("KILLED", None)


def numbers(entries: list[dict[str, Any]], key: str) -> str:
    return "".join(entry[key] for entry in entries)


def test_an_mrs_list_has_numbered_pages(new_bench: Any) -> None:
    bench = new_bench()
    bench.job("mrs", "{n}", count=5)
    pages = [bench.json(f"GET {MRS_EXES}?page_size=2&current_page={page}") for page in (1, 3, 4)]

    assert [numbers(page["job_executions"], "id") for page in pages] == ["12", "5", ""]
    assert {page["totalRecord"] for page in pages} == {5}
    assert bench.http(f"GET {MRS_EXES}?page_size=101") == 400


@pytest.mark.parametrize(("counts", "second"), [("pages", "34"), ("jobs", "23")])
def test_what_the_offset_of_a_newer_mrs_list_counts_is_a_switch(new_bench: Any, counts: str, second: str) -> None:
    bench = new_bench(mrs={"offset_counts": counts})
    bench.job("mrs", "{n}", count=5)
    pages = [bench.json(f"GET {MRS_V2}?limit=2&offset={offset}")["job_list"] for offset in (1, 2)]

    assert [numbers(page, "job_id") for page in pages] == ["12", second]


def test_a_sahara_list_has_pages_that_begin_with_their_marker(new_bench: Any) -> None:
    bench = new_bench()
    bench.job("sahara", "{n}", count=5)
    pages = [bench.json(f"GET {SAHARA_V2}?limit=2{marker}") for marker in ("", "&marker=2", "&marker=4")]

    assert [numbers(page["jobs"], "id") for page in pages] == ["12", "23", "45"]
    assert [page["markers"]["next"] for page in pages] == ["2", "4", None]
    assert "markers" not in bench.json(f"GET {SAHARA_V2}?limit=5")
    assert bench.http(f"GET {SAHARA_V2}?limit=2&marker=9") == 404
