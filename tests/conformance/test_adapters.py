"""Every dialect over real HTTP: what its looks show, what its answers say, and how an id travels."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from conformance.dialect import Dialect
from conformance.dialects import DIALECTS, each_dialect, each_text_dialect
from conformance.kit import bench
from conformance.replies.mrs import MRS_V2, MRS_V11

from worker.backends.oracle_ess import OracleEss
from worker.domain.errors import InvalidCommand
from worker.domain.model import FINAL, Action, Answer, AnswerKind, Job, JobState, Observation

STATES = [
    pytest.param(dialect, state, id=f"{dialect.name}-{state}") for dialect in DIALECTS for state in dialect.states
]
ANSWERS = [
    pytest.param(dialect, action, life, id=f"{dialect.name}-{action}-{life}")
    for dialect in DIALECTS
    for action, life in dialect.answers
]
ENDINGS = [
    pytest.param(dialect, word, id=f"{dialect.name}-{word}")
    for dialect in DIALECTS
    for word, (state, _) in dialect.states.items()
    if state in FINAL
]
AWKWARD = {
    "path": "a b/../c?x=1#y",
    "unicode": "jöb-作业-🛑",
    "encoded-slash": "%2F",
    "encoded-dots": "%2e%2e",
    "percent": "100%",
    "plus-and-space": "a+b c",
    "matrix": "a;b=c&d=e",
    "backslash": "..\\..\\x",
    "slashes": "//host/x",
    "colon": "http://elsewhere.example.com/",
    "quotes": "\"'`<>{}|^[]",
    "500-characters": "x" * 499 + "/",
    "512-unicode": "é" * 512,
}
NO_REQUEST_ID = ("a b/../c?x=1#y", "0", "-1", "007", "1e3", "1.0", " 1", "٣", "9223372036854775808", "x" * 500)


@pytest.mark.parametrize(("dialect", "state"), STATES)
async def test_a_look_shows_the_state_and_keeps_the_raw_word(dialect: Dialect, state: str) -> None:
    async with bench(dialect) as one:
        seen = await one.look(one.add(state=state))

    assert isinstance(seen, Observation), seen
    assert dialect.states[state] == (seen.state, seen.raw)


@pytest.mark.parametrize(("dialect", "state"), STATES)
async def test_a_look_changes_nothing(dialect: Dialect, state: str) -> None:
    async with bench(dialect) as one:
        await one.look(one.add(state=state))

        assert not any(entry.effect for entry in one.sim.log())


@each_dialect
async def test_a_look_brings_the_backends_own_clock(dialect: Dialect) -> None:
    async with bench(dialect) as one:
        one.sim.clock.advance(90)
        seen = await one.look(one.add())

        assert isinstance(seen, Observation)
        assert seen.clock is not None
        assert seen.clock.timestamp() == one.sim.clock.now()


@each_dialect
async def test_an_unknown_job_is_gone(dialect: Dialect) -> None:
    async with bench(dialect) as one:
        seen = await one.look(Job("404404"))

    assert isinstance(seen, Observation), seen
    assert (JobState.GONE, dialect.missing) == (seen.state, seen.raw)


@pytest.mark.parametrize(("dialect", "action", "life"), ANSWERS)
async def test_an_answer_says_what_it_means(dialect: Dialect, action: Action, life: str) -> None:
    async with bench(dialect) as one:
        answer = await one.call(action, one.add(life))

        assert dialect.answers[action, life] is answer.kind, answer
        assert 1 == len(one.asked(action))


@each_dialect
async def test_a_forbidden_job_can_still_be_seen(dialect: Dialect) -> None:
    async with bench(dialect) as one:
        seen = await one.look(one.add("forbidden"))

    assert isinstance(seen, Observation), seen
    assert not seen.final


@each_dialect
async def test_a_job_that_was_asked_to_stop_is_seen_to_stop(dialect: Dialect) -> None:
    async with bench(dialect) as one:
        job = one.add()
        await one.call(Action.CANCEL, job)
        one.sim.clock.advance(60)
        seen = await one.look(Job(job.id, stop_sent=True))

        assert isinstance(seen, Observation), seen
        wanted = JobState.GONE if dialect.adapter.steps.cancel_removes else JobState.CANCELLED
        assert (wanted, dialect.stopped) == (seen.state, one.sim.job(dialect.system, "1").state)


@pytest.mark.parametrize(("dialect", "state"), ENDINGS)
async def test_the_record_of_an_ended_job_can_be_deleted(dialect: Dialect, state: str) -> None:
    async with bench(dialect) as one:
        job = one.add(state=state)
        answer = await one.call(Action.DELETE, job)
        seen = await one.look(Job(job.id, stop_sent=True))

        assert isinstance(seen, Observation), seen
        assert (AnswerKind.ACCEPTED, JobState.GONE) == (answer.kind, seen.state)
        assert not one.sim.job(dialect.system, "1").visible


@each_dialect
async def test_only_a_backend_with_a_force_step_is_asked_to_force(dialect: Dialect) -> None:
    async with bench(dialect) as one:
        job = one.add("stuck")
        await one.call(Action.CANCEL, job)
        one.sim.clock.advance(3600)
        before = len(one.sim.log())
        answer = await one.call(Action.FORCE, job)

        forces = dialect.adapter.steps.force
        assert (AnswerKind.ACCEPTED if forces else AnswerKind.REFUSED) is answer.kind
        assert int(forces) == len(one.sim.log()) - before


@each_text_dialect
@pytest.mark.parametrize("job_id", AWKWARD.values(), ids=AWKWARD)
async def test_an_awkward_id_travels_as_one_encoded_segment(dialect: Dialect, job_id: str) -> None:
    async with bench(dialect) as one:
        job = one.add(job_id=job_id)
        assert not dialect.adapter.problem(job)
        seen = await one.look(job)
        answer = await one.call(Action.CANCEL, job)

        assert isinstance(seen, Observation), seen
        assert (JobState.ACTIVE, AnswerKind.ACCEPTED) == (seen.state, answer.kind)
        asked = (*one.asked(Action.LOOK), *one.asked(Action.CANCEL))
        assert {job_id} == {entry.job_id for entry in asked}
        assert all(quote(job_id, safe="") in entry.raw_path.split("/") for entry in asked)
        assert 1 == one.sim.job(dialect.system, job_id).effects(dialect.verbs[Action.CANCEL])


@each_text_dialect
@pytest.mark.parametrize("job_id", AWKWARD.values(), ids=AWKWARD)
async def test_a_delete_of_an_awkward_id_removes_that_job_alone(dialect: Dialect, job_id: str) -> None:
    async with bench(dialect) as one:
        one.add("finished", "c")
        one.add("finished", "x")
        answer = await one.call(Action.DELETE, one.add("finished", job_id))

        assert AnswerKind.ACCEPTED is answer.kind
        assert not one.sim.job(dialect.system, job_id).visible
        assert all(one.sim.job(dialect.system, other).visible for other in ("c", "x"))
        (entry,) = one.asked(Action.DELETE)
        assert dialect.batch_delete or entry.raw_path.endswith("/" + quote(job_id, safe=""))


@each_text_dialect
@pytest.mark.parametrize("job_id", [".", ".."])
@pytest.mark.parametrize("action", [Action.LOOK, Action.CANCEL])
async def test_an_id_that_no_encoding_protects_never_leaves(dialect: Dialect, job_id: str, action: Action) -> None:
    async with bench(dialect) as one:
        with pytest.raises(InvalidCommand):
            await one.do(action, Job(job_id))

        assert not one.sim.log()


@pytest.mark.parametrize("job_id", NO_REQUEST_ID)
def test_ess_takes_only_a_request_id_and_says_so(job_id: str) -> None:
    assert "is not a request id: a whole number from 1 to 9223372036854775807" in OracleEss().problem(Job(job_id))


@pytest.mark.parametrize("job_id", ["1", "300100", "9223372036854775807"])
def test_ess_takes_any_int64(job_id: str) -> None:
    assert not OracleEss().problem(Job(job_id))


@pytest.mark.parametrize(("dialect", "other"), [(MRS_V11, "v2"), (MRS_V2, "v1.1")], ids=["mrs-v1.1", "mrs-v2"])
async def test_the_wrong_interface_is_refused_with_the_setting_to_change(dialect: Dialect, other: str) -> None:
    async with bench(dialect.with_knobs("off", **{"mrs.v11_supported": False, "mrs.v2_supported": False})) as one:
        seen = await one.look(one.add())

    assert isinstance(seen, Answer)
    assert (AnswerKind.REFUSED, True) == (seen.kind, f'set dialect = "{other}"' in seen.detail), seen
