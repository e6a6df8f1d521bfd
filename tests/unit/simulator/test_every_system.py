"""What is true in every system: unknown jobs, awkward ids, rights, faults, tokens."""

from __future__ import annotations

import base64
import json
from typing import Any
from urllib.parse import quote

import pytest

from worker.simulator.faults import Fault, Rule
from worker.simulator.systems import locate
from worker.simulator.wire import Call

T = 1_763_899_200.0
ESS = "/ess/rest/scheduler/v1/requests"
OML = "/oml/api/r-scripts/v2/jobs"
MRS = "/mrs/v1.1/p/job-executions"
MRS_EXES = "/mrs/v1.1/p/job-exes"
SAHARA = "/sahara/v1.1/p/job-executions"


LOOKS = {"ess": f"GET {ESS}", "oml": f"GET {OML}", "mrs": f"GET {MRS_EXES}", "sahara": f"GET {SAHARA}"}
STOPS = {
    "ess": f"POST {ESS}/1/cancel",
    "oml": f"DELETE {OML}/1",
    "mrs": f"GET {MRS}/1/cancel",
    "sahara": f"GET {SAHARA}/1/cancel",
}
UNKNOWN = {"ess": 404, "oml": 400, "mrs": 500, "sahara": 404}


@pytest.mark.parametrize("system", LOOKS)
def test_an_absent_job_looks_unknown_and_is_logged(new_bench: Any, system: str) -> None:
    bench = new_bench()
    bench.job(system, life="absent")

    assert bench.http(f"{LOOKS[system]}/1") == bench.http(f"{LOOKS[system]}/2") == UNKNOWN[system]
    assert [entry.job_id for entry in bench.world.log(system)] == ["1", "2"]


@pytest.mark.parametrize("system", LOOKS)
def test_an_awkward_id_is_one_job(new_bench: Any, system: str) -> None:
    bench, job_id = new_bench(), "a b/../c?x=1#y"
    bench.job(system, job_id)
    encoded = quote(job_id, safe="")

    assert bench.http(f"{LOOKS[system]}/{encoded}") in (200, 202)
    assert bench.world.journal[0].raw_path.endswith(encoded)


@pytest.mark.parametrize(("system", "http"), [("ess", 403), ("oml", 401), ("mrs", 403), ("sahara", 403)])
def test_a_forbidden_job_may_be_seen_but_not_stopped(new_bench: Any, system: str, http: int) -> None:
    bench = new_bench()
    bench.job(system, life="forbidden")

    assert (bench.http(STOPS[system]), bench.http(f"{LOOKS[system]}/1") < 300) == (http, True)


@pytest.mark.parametrize(("kind", "effect"), [("error", False), ("error_after", True)])
@pytest.mark.parametrize("system", STOPS)
def test_an_error_comes_before_or_after_the_effect(new_bench: Any, system: str, kind: str, *, effect: bool) -> None:
    bench = new_bench()
    bench.job(system)
    bench.world.faults.append(Rule(Fault(kind, times=1)))
    reply = bench.call(STOPS[system])

    assert (reply.http, bench.world.journal[-1].effect) == (500, effect)


@pytest.mark.parametrize(
    ("system", "auth", "login", "field"),
    [
        ("oml", "bearer", "POST /omlusers/api/oauth2/v1/token", "accessToken"),
        ("ess", "bearer", "POST /oauth2/v1/token", "access_token"),
    ],
)
def test_a_bearer_token_opens_and_runs_out(new_bench: Any, system: str, auth: str, login: str, field: str) -> None:
    bench = new_bench(**{system: {"auth": auth}})
    bench.job(system)
    body = {"grant_type": "password"} if system == "oml" else b"grant_type=client_credentials"
    token = bench.json(login, body)[field]
    closed = bench.http(f"{LOOKS[system]}/1")
    opened = bench.http(f"{LOOKS[system]}/1", authorization=f"Bearer {token}")
    bench.at += 3600

    assert (closed, opened < 300) == (401, True)
    assert bench.http(f"{LOOKS[system]}/1", authorization=f"Bearer {token}") == 401


@pytest.mark.parametrize(("shown", "http"), [("id%3A1:p+w", 200), ("id:1:p w", 401)])
def test_a_client_of_oauth2_is_form_encoded_inside_its_basic_header(new_bench: Any, shown: str, http: int) -> None:
    bench = new_bench(ess={"username": "id:1", "password": "p w"})
    basic = "Basic " + base64.b64encode(shown.encode()).decode()

    assert bench.http("POST /oauth2/v1/token", b"grant_type=client_credentials", authorization=basic) == http


def test_the_log_keeps_its_newest_lines_and_counts_them_all(new_bench: Any) -> None:
    bench = new_bench(all={"log_lines": 2})
    for _ in range(3):
        bench.http(f"{LOOKS['ess']}/1")

    assert [entry.number for entry in bench.world.journal] == [2, 3]


@pytest.mark.parametrize(("project", "http"), [("p", 200), ("other", 401)])
@pytest.mark.parametrize("system", ["mrs", "sahara"])
def test_a_keystone_token_is_for_one_project(new_bench: Any, system: str, project: str, http: int) -> None:
    bench = new_bench(**{system: {"auth": "token"}})
    bench.job(system)
    scope = {"auth": {"scope": {"project": {"id": project}}}}
    reply = bench.call("POST /v3/auth/tokens", scope)

    assert json.loads(reply.body)["token"]["expires_at"] == "2025-11-24T12:00:00.000Z"
    assert bench.http(f"{LOOKS[system]}/1", x_auth_token=reply.headers["X-Subject-Token"]) == http


def test_an_oml_token_is_refreshed_with_itself(new_bench: Any) -> None:
    bench = new_bench()
    old = bench.json("POST /omlusers/api/oauth2/v1/token", {"grant_type": "password"})["accessToken"]
    refresh = {"grant_type": "refresh_token", "token": old}
    fresh = bench.http("POST /omlusers/api/oauth2/v1/token", refresh)
    bench.world.tokens.revoke()

    assert (fresh, bench.http("POST /omlusers/api/oauth2/v1/token", refresh)) == (200, 401)


@pytest.mark.parametrize(("password", "http"), [("right", 200), ("wrong", 401)])
def test_basic_needs_the_right_password(new_bench: Any, password: str, http: int) -> None:
    bench = new_bench(ess={"auth": "basic", "username": "u", "password": "right"})
    bench.job("ess")
    header = "Basic " + base64.b64encode(f"u:{password}".encode()).decode()

    assert bench.http(f"GET {ESS}/1", authorization=header) == http


@pytest.mark.parametrize(
    ("path", "system"),
    [
        ("/ess/x", "ess"),
        ("/oauth2/v1/token", "ess"),
        ("/omlusers/x", "oml"),
        ("/mrs/v2", "mrs"),
        ("/v3/auth", "iam"),
        ("/", "ess"),
    ],
)
def test_every_path_belongs_to_a_system(path: str, system: str) -> None:
    assert locate(Call("GET", path, T).parts)[0].name == system
