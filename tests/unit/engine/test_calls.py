"""The calls of a pass: what they show, how they are counted, and which count against the backend as a whole."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from msgspec.structs import replace

from worker.backends.adapter import Adapter, Reply, Request
from worker.backends.mrs import Mrs
from worker.backends.oracle_ess import OracleEss
from worker.backends.oracle_ml import OracleMl
from worker.backends.sahara import Sahara
from worker.domain.cancellation import Cancellation, Spec
from worker.domain.errors import CallUnanswered, CredentialRefused, CredentialUnavailable
from worker.domain.model import Action, AnswerKind, Force, Job, JobState, Observation, Policy, Source, Verb
from worker.engine.backend import Backend
from worker.engine.calls import TOO_SLOW, Caller
from worker.engine.clock import Clock
from worker.observability.observer import NOBODY, CallMade, Happened, Observer

JOB = Job("2de7")
T = datetime(2026, 11, 22, 10, tzinfo=UTC)
CANCELLATION = Cancellation("c1", "b", "2de7", T, Spec(Verb.CANCEL, Force.AUTO, 0.0, T), traceparent="00-1-2-01")
ESS = OracleEss()
MRS, OML, SAHARA = Mrs("37ca", "v2", "C1"), OracleMl(), Sahara("37ca", "v2")
SAHARA_V11 = Sahara("37ca")
BAD = "bad:10:15000"


def give(data: object, status: int = 200) -> Reply:
    return Reply(status, {"content-type": "application/json"}, json.dumps(data).encode())


def oozie(message: str = "no 2de7") -> Reply:
    return give({"error_name": "OOZIE_EXCEPTION", "error_message": message}, 400)


RUNNING = give({"job": {"id": "2de7", "info": {"status": "RUNNING"}}})


def asking(reply: Reply, seconds: str) -> Reply:
    return replace(reply, headers={**reply.headers, "retry-after": seconds})


class Scripted:
    """Answers calls in turn: with a reply, or by raising an error; `at_the_end` is called with the last one."""

    def __init__(self, *script: Reply | Exception) -> None:
        self.script = list(script)
        self.at_the_end: Callable[[], object] = list
        self.asked: list[tuple[Request, str | None]] = []

    async def ready(self) -> None:
        """Do nothing: there is no credential."""

    async def send(self, request: Request, *, traceparent: str | None = None) -> Reply:
        self.asked.append((request, traceparent))
        said = self.script.pop(0)
        if not self.script:
            self.at_the_end()
        if isinstance(said, Exception):
            raise said
        return said


def caller(
    adapter: Adapter, calls: Scripted, *, elapsed: float = 0, paid: int = 0, observer: Observer = NOBODY
) -> Caller:
    """A caller whose pass began so many seconds ago."""
    clock = Clock(T, started=time.monotonic() - elapsed)
    return Caller(Backend("b", adapter, Policy(adapter.steps), calls, observer=observer), clock, CANCELLATION, paid)


async def verdict(adapter: Adapter, *script: Reply | Exception, look: bool) -> str:
    """What a pass reports about the backend after one exchange."""
    one = caller(adapter, Scripted(*script))
    if look:
        await one.drive(adapter.look(JOB), Action.LOOK)
    else:
        await one.drive(adapter.change(Action.CANCEL, JOB), Action.CANCEL)
    return one.verdict(listed=False)


@pytest.mark.parametrize(
    ("adapter", "look", "script"),
    [
        pytest.param(SAHARA_V11, True, (oozie(), oozie()), id="R3-sahara-whose-engine-has-forgotten-the-job"),
        pytest.param(SAHARA, True, (oozie(),), id="R3-sahara-v2"),
        pytest.param(SAHARA, False, (oozie(),), id="R3-sahara-to-a-cancel"),
        pytest.param(MRS, True, (give({"error_code": "9999", "error_msg": "no"}, 400),), id="R3-mrs"),
        pytest.param(MRS, False, (give({"error_code": "0175", "error_msg": "no"}, 500),), id="R3-mrs-a-500-of-its-own"),
        pytest.param(OML, True, (give({"errorCode": 1026, "errorMessage": "bad JSON"}, 400),), id="R3-oracle-ml"),
    ],
)
async def test_answers_about_single_jobs_are_no_outage_however_many(
    adapter: Adapter, script: tuple[Reply, ...], *, look: bool
) -> None:
    assert {await verdict(adapter, *script, look=look) for _ in range(11)} == {"ok"}


@pytest.mark.parametrize("look", [True, False], ids=["look", "cancel"])
@pytest.mark.parametrize(
    "said",
    [
        pytest.param(Reply(500), id="500"),
        pytest.param(Reply(503, {}, b"<html>"), id="503-page"),
        pytest.param(Reply(429), id="429"),
        pytest.param(Reply(404), id="a-404-of-anybody"),
        pytest.param(Reply(403, {}, b"<html>"), id="a-403-of-anybody"),
        pytest.param(Reply(302, {"location": "https://sso.example.com"}), id="redirect"),
        pytest.param(Reply(200, {}, b"<html>"), id="login-page"),
        pytest.param(Reply(401), id="401"),
        pytest.param(CallUnanswered("no reply in time"), id="no-answer"),
        pytest.param(CredentialUnavailable("no token now"), id="no-credential"),
        pytest.param(CredentialRefused("invalid_client"), id="credential-refused"),
    ],
)
async def test_what_may_not_be_the_apis_own_speaks_against_the_backend(said: Reply | Exception, *, look: bool) -> None:
    assert await verdict(SAHARA, said, look=look) == BAD


@pytest.mark.parametrize("look", [True, False], ids=["look", "cancel"])
async def test_a_sight_of_the_job_speaks_for_it(*, look: bool) -> None:
    assert await verdict(SAHARA, RUNNING, look=look) == "ok"


async def test_one_bad_call_of_a_pass_is_enough() -> None:
    one = caller(SAHARA, Scripted(Reply(503), RUNNING))
    await one.drive(SAHARA.look(JOB), Action.LOOK)
    await one.drive(SAHARA.change(Action.CANCEL, JOB), Action.CANCEL)

    assert one.verdict(listed=False) == BAD


@pytest.mark.parametrize(("listed", "told"), [(True, "ok"), (False, "")], ids=["a-list-has-shown-it", "nothing-has"])
def test_a_pass_without_a_call_reports_only_what_a_list_has_shown(told: str, *, listed: bool) -> None:
    assert caller(SAHARA, Scripted()).verdict(listed=listed) == told


async def test_r4_an_exchange_that_knows_another_way_goes_on_without_a_reply() -> None:
    record = give({"job_execution": {"id": "2de7", "info": {"status": "KILLED"}}})
    one = caller(SAHARA_V11, Scripted(CallUnanswered("no reply in time"), record))
    seen = await one.drive(SAHARA_V11.look(JOB), Action.LOOK)

    assert isinstance(seen, Observation)
    assert (seen.state, one.made, one.verdict(listed=False)) == (JobState.CANCELLED, 2, "ok")


@pytest.mark.parametrize(
    ("script", "asked"),
    [
        pytest.param((RUNNING,), 0.0, id="nothing"),
        pytest.param((asking(RUNNING, "4"),), 4.0, id="by-a-200"),
        pytest.param((oozie(), asking(RUNNING, "4")), 4.0, id="by-the-second-reply"),
        pytest.param((asking(RUNNING, "soon"),), 0.0, id="unreadably"),
    ],
)
async def test_an_observation_says_for_how_long_its_replies_asked(script: tuple[Reply, ...], asked: float) -> None:
    seen = await caller(SAHARA_V11, Scripted(*script)).drive(SAHARA_V11.look(JOB), Action.LOOK)

    assert isinstance(seen, Observation)
    assert seen.retry_after == asked


async def test_one_that_knows_none_ends_as_unanswered_with_what_went_wrong() -> None:
    said: Any = await caller(SAHARA, Scripted(CallUnanswered("no reply"))).drive(SAHARA.look(JOB), Action.LOOK)

    assert (said.kind, said.source, said.detail) == (AnswerKind.UNANSWERED, Source.NOBODY, "no reply")


@pytest.mark.parametrize(
    ("error", "kind", "source"),
    [
        pytest.param(CredentialUnavailable("why"), AnswerKind.BUSY, Source.NOBODY, id="not-to-be-had-now"),
        pytest.param(CredentialRefused("why"), AnswerKind.REFUSED, Source.CREDENTIAL, id="F3-refused"),
    ],
)
async def test_without_a_credential_nothing_happened(error: Exception, kind: AnswerKind, source: Source) -> None:
    said: Any = await caller(SAHARA, Scripted(error)).drive(SAHARA.change(Action.CANCEL, JOB), Action.CANCEL)

    assert (said.kind, said.source, said.detail) == (kind, source, "why")


async def test_a_look_ends_with_the_lease_and_a_changing_call_does_not() -> None:
    one = caller(SAHARA, Scripted(RUNNING), elapsed=9999)
    taken: Any = await one.drive(SAHARA.change(Action.CANCEL, JOB), Action.CANCEL)

    assert taken.kind is AnswerKind.ACCEPTED
    assert await one.drive(SAHARA.look(JOB), Action.LOOK) == TOO_SLOW


async def test_a_look_that_our_lease_ends_says_nothing_against_the_backend() -> None:
    one = caller(SAHARA, Scripted(RUNNING), elapsed=9999)
    await one.drive(SAHARA.change(Action.CANCEL, JOB), Action.CANCEL)
    await one.drive(SAHARA.look(JOB), Action.LOOK)

    assert one.verdict(listed=False) == "ok"


@pytest.mark.parametrize("pages", [0, 1, 2], ids=["no-page", "one-page", "two-pages"])
async def test_a_look_that_our_lease_ends_keeps_what_it_has_seen_of_the_job(pages: int) -> None:
    listed = [
        give({"items": [{"requestId": 21 + page, "absParentRequestId": 20, "state": "RUNNING"}]})
        for page in range(pages)
    ]
    calls = Scripted(give({"requestId": 20, "state": "CANCELLED", "requestType": "RECUR_PARENT"}), *listed)
    one = caller(ESS, calls)
    calls.at_the_end = partial(setattr, one._clock, "started", -9999.0)
    seen = await one.drive(ESS.look(Job("20", living=("22",))), Action.LOOK)

    assert isinstance(seen, Observation)
    assert seen.unlisted is not None
    assert (seen.state, seen.raw, seen.final, TOO_SLOW.detail in seen.unlisted.detail) == (
        JobState.CANCELLED,
        "CANCELLED",
        False,
        True,
    )
    assert (one.made, one.verdict(listed=False)) == (1 + pages, "ok")


@pytest.mark.parametrize(("elapsed", "lasts"), [(0, True), (9999, False)])
def test_a_lease_lasts_for_so_many_calls_at_their_slowest(elapsed: float, *, lasts: bool) -> None:
    assert caller(SAHARA, Scripted(), elapsed=elapsed).lease_lasts(3) is lasts


async def test_each_call_carries_the_trace() -> None:
    calls = Scripted(oozie(), RUNNING)
    await caller(SAHARA_V11, calls).drive(SAHARA_V11.look(JOB), Action.LOOK)

    assert [trace for _, trace in calls.asked] == ["00-1-2-01"] * 2


@pytest.mark.parametrize(("paid", "charged"), [(0, [3, 0]), (1, [2, 0]), (5, [0, 0])])
async def test_a_call_is_charged_for_once_and_not_if_the_claim_has_paid_for_it(paid: int, charged: list[int]) -> None:
    one = caller(SAHARA_V11, Scripted(oozie(), RUNNING, RUNNING), paid=paid)
    await one.drive(SAHARA_V11.look(JOB), Action.LOOK)
    await one.drive(SAHARA_V11.change(Action.CANCEL, JOB), Action.CANCEL)

    assert [one.charge(), one.charge()] == charged


@pytest.mark.parametrize(
    ("script", "kind"),
    [
        pytest.param((RUNNING,), "accepted", id="seen"),
        pytest.param((oozie(), RUNNING), "accepted", id="seen-by-a-second-request"),
        pytest.param((CallUnanswered("no reply"), CallUnanswered("no reply")), "unanswered", id="unanswered"),
        pytest.param((CredentialUnavailable("why"),), "busy", id="without-a-credential"),
    ],
)
async def test_an_observer_hears_of_each_call_and_its_answer(script: tuple[Reply | Exception, ...], kind: str) -> None:
    heard: list[Happened] = []
    await caller(SAHARA_V11, Scripted(*script), observer=heard.append).drive(SAHARA_V11.look(JOB), Action.LOOK)
    (made,) = heard

    assert isinstance(made, CallMade)
    assert (made.backend, made.action, made.kind, made.cancellation) == ("b", "look", kind, CANCELLATION)
    assert made.seconds >= 0


async def test_an_observer_hears_nothing_of_a_look_that_the_lease_forbids() -> None:
    heard: list[Happened] = []
    await caller(SAHARA, Scripted(), elapsed=9999, observer=heard.append).drive(SAHARA.look(JOB), Action.LOOK)

    assert heard == []
