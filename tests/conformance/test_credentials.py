"""Every way to sign in, against the token checks of the backends that use it: issue, expiry, revocation, refusal."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from conformance.dialect import PROJECT, Dialect
from conformance.kit import Bench, bench
from conformance.replies.mrs import MRS_V2, MRS_V11
from conformance.replies.oracle_ess import ESS
from conformance.replies.oracle_ml import OML
from conformance.replies.sahara import SAHARA_V2, SAHARA_V11

from worker.domain.errors import CredentialRefused, CredentialUnavailable
from worker.domain.model import Action, Answer, AnswerKind, Observation
from worker.http.client import Http
from worker.http.credentials import Credential, StaticCredential
from worker.http.token_endpoints import ClientCredentials, Keystone
from worker.http.token_endpoints import Oml as OmlCredential
from worker.simulator import Clock

HOUR = 3600.0
NAME, PASSWORD = "jörg", "p:ä w%d"
Make = Callable[[Bench, "Secrets"], Credential]


@dataclass
class Secrets:
    """The current values of the secrets in the configuration, and the worker's own clock."""

    username: str
    password: str
    clock: Clock
    token: str = "t-1"
    lag: float = 0.0

    def give(self, name: str) -> Callable[[], str]:
        """Return the reader of one secret."""
        return lambda: str(getattr(self, name))

    def monotonic(self) -> float:
        """Return the time as this worker sees it."""
        return self.clock.now() - self.lag


@dataclass(frozen=True)
class Way:
    """One way to sign in to one dialect's backend; `life` is the knob of its token service, if it has one."""

    name: str
    dialect: Dialect
    make: Make
    knobs: Mapping[str, Any] = field(default_factory=dict)
    life: str = ""


def client_credentials(one: Bench, secrets: Secrets) -> Credential:
    url = f"{one.sim.url}/oauth2/v1/token"
    give = secrets.give
    return ClientCredentials(
        url, give("username"), give("password"), scope="urn:opc:resource", monotonic=secrets.monotonic
    )


def client_credentials_in_the_form(one: Bench, secrets: Secrets) -> Credential:
    url, give = f"{one.sim.url}/oauth2/v1/token", secrets.give
    return ClientCredentials(url, give("username"), give("password"), client_auth="post", monotonic=secrets.monotonic)


def oml(one: Bench, secrets: Secrets) -> Credential:
    url = f"{one.sim.url}/omlusers/api/oauth2/v1/token"
    return OmlCredential(url, secrets.give("username"), secrets.give("password"), monotonic=secrets.monotonic)


def keystone(one: Bench, secrets: Secrets) -> Credential:
    return Keystone(
        one.sim.base_url(one.dialect.system),
        secrets.give("username"),
        secrets.give("password"),
        user_domain="Default",
        project_id=PROJECT,
        monotonic=secrets.monotonic,
    )


def application(one: Bench, secrets: Secrets) -> Credential:
    url, give = f"{one.sim.base_url(one.dialect.system)}/v3", secrets.give
    return Keystone(url, give("username"), give("password"), monotonic=secrets.monotonic)


def bearer(_one: Bench, secrets: Secrets) -> Credential:
    return StaticCredential(secrets.give("token"))


def static(_one: Bench, secrets: Secrets) -> Credential:
    return StaticCredential(secrets.give("token"), header="X-Auth-Token")


def basic(_one: Bench, secrets: Secrets) -> Credential:
    return StaticCredential(secrets.give("password"), username=secrets.give("username"))


def login(system: str) -> dict[str, str]:
    return {f"{system}.username": NAME, f"{system}.password": PASSWORD}


IAM = {"all.iam_username": NAME, "all.iam_password": PASSWORD}
ISSUED = (
    Way("oauth2", ESS, client_credentials, {"ess.auth": "bearer", **login("ess")}, "ess.token_life"),
    Way("post", ESS, client_credentials_in_the_form, {"ess.auth": "bearer", **login("ess")}, "ess.token_life"),
    Way("oml", OML, oml, {"oml.auth": "bearer", **login("oml")}, "oml.token_life"),
    Way("application", MRS_V2, application, {"mrs.auth": "token", **IAM}, "all.iam_token_life"),
    *(
        Way("keystone", dialect, keystone, {f"{dialect.system}.auth": "token", **IAM}, "all.iam_token_life")
        for dialect in (MRS_V11, MRS_V2, SAHARA_V11, SAHARA_V2)
    ),
)
GIVEN = (
    Way("bearer", ESS, bearer, {"ess.auth": "bearer", "ess.static_token": "t-1"}),
    Way("bearer", OML, bearer, {"oml.auth": "bearer", "oml.static_token": "t-1"}),
    Way("token", MRS_V11, static, {"mrs.auth": "token", "mrs.static_token": "t-1"}),
    Way("token", SAHARA_V2, static, {"sahara.auth": "token", "sahara.static_token": "t-1"}),
    Way("basic", ESS, basic, {"ess.auth": "basic", **login("ess")}),
    Way("basic", OML, basic, {"oml.auth": "basic", **login("oml")}),
)
every_way = pytest.mark.parametrize("way", [*ISSUED, *GIVEN], ids=lambda way: f"{way.name}-{way.dialect.name}")
issued = pytest.mark.parametrize("way", ISSUED, ids=lambda way: f"{way.name}-{way.dialect.name}")
given = pytest.mark.parametrize("way", GIVEN, ids=lambda way: f"{way.name}-{way.dialect.name}")


@dataclass
class Signed:
    """A bench whose client signs in."""

    one: Bench
    secrets: Secrets

    def tokens(self) -> list[int | None]:
        """Return the token service's answers so far."""
        return [entry.http for entry in self.one.sim.log(verb="token")]

    def answers(self, action: Action) -> list[int | None]:
        """Return the backend's answers to one kind of call so far."""
        return [entry.http for entry in self.one.asked(action)]


@asynccontextmanager
async def signed_in(way: Way, *, life: float = HOUR, **knobs: Any) -> AsyncIterator[Signed]:
    """Start a way's backend and sign in to it."""
    changes = {**way.knobs, **({way.life: life} if way.life else {}), **knobs}
    async with bench(way.dialect.with_knobs("signed", **changes)) as plain:
        secrets = Secrets(NAME, PASSWORD, clock=plain.sim.clock)
        credential = way.make(plain, secrets)
        http = Http(plain.sim.base_url(plain.dialect.system), credential=credential, timeout=5.0)
        try:
            yield Signed(replace(plain, http=http), secrets)
        finally:
            await http.aclose()


@every_way
async def test_a_right_secret_opens_the_door_at_once(way: Way) -> None:
    async with signed_in(way) as signed:
        job = signed.one.add()
        seen = await signed.one.look(job)
        answer = await signed.one.call(Action.CANCEL, job)

        assert isinstance(seen, Observation), seen
        assert AnswerKind.ACCEPTED is answer.kind
        assert 1 == len(signed.answers(Action.CANCEL))
        assert (1 if way.life else 0) == len(signed.tokens())


@every_way
async def test_without_a_credential_the_door_stays_shut(way: Way) -> None:
    async with bench(way.dialect.with_knobs("shut", **way.knobs)) as one:
        job = one.add()
        for said in (await one.look(job), await one.call(Action.CANCEL, job)):
            assert isinstance(said, Answer)
            assert (AnswerKind.REFUSED, 401) == (said.kind, said.status)

        assert not any(entry.effect for entry in one.sim.log())


@issued
async def test_a_token_is_renewed_before_its_end_without_a_401(way: Way) -> None:
    async with signed_in(way, life=HOUR) as signed:
        job = signed.one.add()
        await signed.one.look(job)
        signed.one.sim.clock.advance(HOUR - 120)
        await signed.one.look(job)
        assert 1 == len(signed.tokens())
        signed.one.sim.clock.advance(90)
        await signed.one.look(job)

        assert 2 == len(signed.tokens())
        assert 401 not in signed.answers(Action.LOOK)


@issued
async def test_a_token_long_over_is_never_shown_again(way: Way) -> None:
    async with signed_in(way, life=HOUR) as signed:
        job = signed.one.add()
        await signed.one.look(job)
        signed.one.sim.clock.advance(10 * HOUR)
        answer = await signed.one.call(Action.CANCEL, job)

        assert AnswerKind.ACCEPTED is answer.kind
        assert 1 == len(signed.answers(Action.CANCEL))


@issued
@pytest.mark.parametrize("action", [Action.LOOK, Action.CANCEL])
async def test_a_revoked_token_costs_one_401_and_the_call_has_one_effect(way: Way, action: Action) -> None:
    async with signed_in(way) as signed:
        job = signed.one.add()
        await signed.one.http.ready()
        signed.one.sim.revoke_tokens(way.dialect.system)
        said = await signed.one.do(action, job)

        assert isinstance(said, Observation) or said.kind is AnswerKind.ACCEPTED, said
        assert [401, 2] == [status if status == 401 else (status or 0) // 100 for status in signed.answers(action)]
        assert 2 == len(signed.tokens())
        assert (action is Action.CANCEL) == sum(entry.effect for entry in signed.one.asked(action))


@issued
async def test_a_token_that_ends_earlier_than_this_worker_thinks_is_renewed_on_the_401(way: Way) -> None:
    async with signed_in(way, life=HOUR) as signed:
        job = signed.one.add()
        await signed.one.look(job)
        signed.one.sim.clock.advance(HOUR)
        signed.secrets.lag = HOUR
        answer = await signed.one.call(Action.CANCEL, job)

        assert AnswerKind.ACCEPTED is answer.kind
        assert [401, 2] == [signed.answers(Action.CANCEL)[0], (signed.answers(Action.CANCEL)[1] or 0) // 100]
        assert 1 == sum(entry.effect for entry in signed.one.asked(Action.CANCEL))


@issued
async def test_a_wrong_password_is_refused_before_any_call(way: Way) -> None:
    async with signed_in(way) as signed:
        signed.secrets.password = "wrong"
        with pytest.raises(CredentialRefused):
            await signed.one.http.ready()
        with pytest.raises(CredentialRefused):
            await signed.one.call(Action.CANCEL, signed.one.add())

        assert [] == signed.answers(Action.CANCEL)
        assert {401} == set(signed.tokens())


@issued
@pytest.mark.parametrize("kind", ["error", "reset", "throttled", "html", "truncated", "lost_answer"])
async def test_a_token_service_that_fails_is_no_refusal(way: Way, kind: str) -> None:
    async with signed_in(way) as signed:
        job = signed.one.add()
        signed.one.sim.add_fault(kind, verb="token", times=1, retry_after=None)
        if way.name in {"keystone", "application"} and kind == "truncated":  # its token travels in a header
            await signed.one.http.ready()
        else:
            with pytest.raises(CredentialUnavailable):
                await signed.one.http.ready()
        answer = await signed.one.call(Action.CANCEL, job)

        assert (AnswerKind.ACCEPTED, 1) == (answer.kind, len(signed.answers(Action.CANCEL)))


@issued
async def test_fifty_calls_at_once_share_one_token(way: Way) -> None:
    async with signed_in(way) as signed:
        jobs = [signed.one.add(job_id=str(number)) for number in range(1, 51)]
        async with asyncio.TaskGroup() as group:
            looks = [group.create_task(signed.one.look(job)) for job in jobs]

        assert all(isinstance(look.result(), Observation) for look in looks)
        assert 1 == len(signed.tokens())


@given
async def test_a_rotated_secret_is_read_again_on_a_401(way: Way) -> None:
    async with signed_in(way) as signed:
        job = signed.one.add()
        await signed.one.look(job)
        system = way.dialect.system
        signed.one.sim.set_knobs({f"{system}.static_token": "t-2", f"{system}.password": "p-2"})
        signed.secrets.token, signed.secrets.password = "t-2", "p-2"
        answer = await signed.one.call(Action.CANCEL, job)

        assert AnswerKind.ACCEPTED is answer.kind
        assert [401, 2] == [signed.answers(Action.CANCEL)[0], (signed.answers(Action.CANCEL)[-1] or 0) // 100]


@given
async def test_a_wrong_secret_is_refused_after_it_was_read_again(way: Way) -> None:
    async with signed_in(way) as signed:
        signed.secrets.token = signed.secrets.password = "wrong"
        answer = await signed.one.call(Action.CANCEL, signed.one.add())

        assert (AnswerKind.REFUSED, 401) == (answer.kind, answer.status)
        assert [401, 401] == signed.answers(Action.CANCEL)


async def test_oml_refreshes_inside_its_window_and_signs_in_anew_after_it() -> None:
    (way,) = (way for way in ISSUED if way.name == "oml")
    async with signed_in(way, **{"oml.refresh_window": 8 * HOUR}) as signed:
        job = signed.one.add()
        for _ in range(24):
            assert isinstance(await signed.one.look(job), Observation)
            signed.one.sim.clock.advance(HOUR - 50)

        assert {200} == set(signed.tokens())
        assert 401 not in signed.answers(Action.LOOK)


@pytest.mark.parametrize("dialect", [MRS_V11, MRS_V2, SAHARA_V11], ids=lambda dialect: dialect.name)
async def test_a_token_of_another_project_opens_nothing(dialect: Dialect) -> None:
    async with bench(dialect.with_knobs("iam", **{f"{dialect.system}.auth": "token"})) as one:
        url = one.sim.base_url(dialect.system)
        other = Keystone(url, lambda: "u", lambda: "p", user_domain="Default", project_id="p2")
        http = Http(url, credential=other)
        answer = await Bench(dialect, one.sim, http).call(Action.CANCEL, one.add())
        await http.aclose()

        assert (AnswerKind.REFUSED, 401) == (answer.kind, answer.status)
