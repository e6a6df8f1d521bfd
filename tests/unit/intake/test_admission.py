from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from worker.domain.model import Force, Lane
from worker.intake.admission import Admission, BackendRules, new_id, reject
from worker.store.codec import fragment
from worker.store.transitions import Acceptance, Rejection

BARE = {"verb": "cancel", "backend": "ess", "job_id": "1"}
DEEP: list[Any] = []
for _ in range(20_000):
    DEEP = [DEEP]


@pytest.fixture(scope="module")
def intake(build: Any) -> Admission:
    """Backends: one accepts everything, one requires who and why, one accepts digits and a cluster id."""

    def adapter(params: frozenset[str] = frozenset(), problem: str = "") -> Any:
        return SimpleNamespace(
            params=params,
            problem=lambda job: "" if job.id.isdecimal() else problem,
            address=lambda job: job.params.get("cluster_id", ""),
        )

    return Admission(
        {
            "ess": BackendRules(adapter(), build.policy()),
            "strict": BackendRules(adapter(), build.policy(), frozenset({"reason", "requested_by"})),
            "mrs": BackendRules(
                adapter(frozenset({"cluster_id"}), "job_id: is no number"), build.policy("mrs", force=Force.NEVER)
            ),
        },
        make_id=lambda: "new",
    )


def accepted(intake: Admission, **fields: Any) -> Acceptance:
    one = intake.take({**BARE, **fields}, "task-1")
    assert isinstance(one, Acceptance)
    return one


def rejected(intake: Admission, content: Any) -> Rejection:
    one = intake.take(content, "task-1")
    assert isinstance(one, Rejection)
    return one


def written(one: Rejection) -> dict[str, Any]:
    """The data of the event as any strict JSON parser reads it."""

    def reject_signed(constant: str) -> None:
        raise AssertionError(constant)

    text = ("{" + fragment(one.data) + "}").encode()
    return dict(json.loads(text, parse_constant=reject_signed))


def test_a_command_without_an_id_has_the_tasks(intake: Admission) -> None:
    assert accepted(intake).command_id == "task-1"


def test_a_commands_own_id_counts(intake: Admission) -> None:
    assert accepted(intake, command_id="mine").command_id == "mine"


def test_an_int_and_a_text_are_one_job(intake: Admission) -> None:
    one, other = accepted(intake, job_id=1), accepted(intake, job_id="1")
    assert (one.job_id, one.digest) == (other.job_id, other.digest)


@pytest.mark.parametrize(
    ("wish", "force", "force_after", "give_up_after"),
    [
        pytest.param({}, "attested", 1800, 86400, id="the-backends-own"),
        pytest.param({"force": "auto"}, "attested", 1800, 86400, id="a-looser-force-is-no-error"),
        pytest.param({"force": "never"}, "never", 1800, 86400, id="a-stricter-force"),
        pytest.param({"force_after": 60}, "attested", 1800, 86400, id="a-shorter-wait-is-no-error"),
        pytest.param({"force_after": 0}, "attested", 1800, 86400, id="no-wait-is-no-error"),
        pytest.param({"force_after": 7200}, "attested", 7200, 86400, id="a-longer-wait"),
        pytest.param({"give_up_after": 60}, "attested", 1800, 60, id="an-earlier-end"),
        pytest.param({"give_up_after": 1e12}, "attested", 1800, 86400, id="a-later-end-is-no-error"),
    ],
)
def test_a_commands_limits_are_only_ever_stricter_and_its_event_says_which_hold(
    intake: Admission, wish: dict[str, Any], force: str, force_after: float, give_up_after: float
) -> None:
    one = accepted(intake, **wish)
    assert (one.force, one.force_after, one.give_up_after) == (force, force_after, give_up_after)
    effective = {"force": force, "force_after": force_after, "give_up_after": give_up_after}
    assert one.effective == {"effective": effective}


def test_the_producers_own_texts_are_kept_for_the_events(intake: Admission) -> None:
    one = accepted(intake, reason="budget", requested_by="billing", labels={"a": "b"}, batch_id="b1")
    assert one.said == {"reason": "budget", "requested_by": "billing", "labels": {"a": "b"}, "batch_id": "b1"}


@pytest.mark.parametrize(
    ("fields", "word"),
    [
        pytest.param({}, "", id="nobody"),
        pytest.param({"remote_stopped": True}, "a producer (command task-1)", id="an-unnamed-producer"),
        pytest.param({"remote_stopped": True, "requested_by": "ann"}, "ann (command task-1)", id="ann"),
    ],
)
def test_an_attestation_in_a_command_names_who_gave_it(intake: Admission, fields: dict[str, Any], word: str) -> None:
    assert accepted(intake, **fields).remote_stopped == word


def test_all_other_fields_of_a_command_are_passed_on(intake: Admission) -> None:
    one = accepted(intake, backend="mrs", lane="batch", params={"cluster_id": "c"}, traceparent="00-ab")
    assert (one.lane, one.params, one.traceparent, one.cancellation_id) == (
        Lane.BATCH,
        {"cluster_id": "c"},
        "00-ab",
        "new",
    )


def test_the_adapter_says_what_addresses_a_job_besides_its_id(intake: Admission) -> None:
    assert accepted(intake, backend="mrs", params={"cluster_id": "c"}).address == "c"


def test_a_token_is_not_passed_on(intake: Admission) -> None:
    assert "s3cr3t" not in repr(accepted(intake, token="s3cr3t"))


# Refusals


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        pytest.param({"backend": "nope"}, "backend: no backend has this name; known: ess, mrs, strict", id="backend"),
        pytest.param({"backend": "strict"}, "reason, requested_by: this backend requires it", id="required"),
        pytest.param({"backend": "strict", "reason": "x", "requested_by": ""}, "requested_by: this", id="empty"),
        pytest.param({"params": {"a": "b"}}, "params: this backend has no parameter a; known: none", id="no-params"),
        pytest.param({"backend": "mrs", "params": {"b": ""}}, "parameter b; known: cluster_id", id="unknown-param"),
        pytest.param({"backend": "mrs", "job_id": "x"}, "job_id: is no number", id="the-adapters-own-problem"),
        pytest.param({"job_id": ".."}, "job_id: '.' and '..' are not job ids", id="a-bad-value"),
        pytest.param({"jobid": "x"}, "jobid: is not a known field", id="an-unknown-field"),
    ],
)
def test_a_bad_command_is_rejected_with_its_field_and_the_reason(
    intake: Admission, fields: dict[str, Any], reason: str
) -> None:
    one = rejected(intake, {**BARE, **fields})
    assert reason in one.reason
    assert written(one)["error"] == one.reason


def test_an_unknown_backend_is_rejected_with_those_that_any_worker_knows(intake: Admission) -> None:
    one = intake.take({**BARE, "backend": "rigid"}, "task-1", known={"ess", "strict", "rigit"})
    assert isinstance(one, Rejection)
    assert one.reason == "backend: no backend has this name; known: ess, rigit, strict; did you mean rigit?"


def test_a_valid_command_for_an_unknown_backend_may_have_been_taken_in_before(intake: Admission) -> None:
    digest = accepted(intake).digest
    assert digest
    assert (rejected(Admission({}), BARE).digest, rejected(Admission({}), {**BARE, "x": 1}).digest) == (digest, "")


def test_a_rejection_says_so_if_there_is_no_backend_at_all() -> None:
    assert "known: none" in rejected(Admission({}), BARE).reason


HOSTILE: list[Any] = [
    None, 1, "text", [], [BARE], {}, DEEP, {"backend": DEEP, "job_id": DEEP, "labels": DEEP}, {"job_id": 10**5000},
    {"backend": "\ud800", "job_id": "\udfff", "reason": "\x00\ud800", "command_id": "\ud800"}, {"\ud800": "\ud800"},
    {"backend": "x" * 10**6, "job_id": "x" * 10**6, "reason": "x" * 10**6}, {"job_id": float("nan"), "backend": 1},
    {"reason": float("inf"), "labels": {"a": float("nan")}, "batch_id": -float("inf"), "verb": True},
    {"job_id": True, "backend": False, "command_id": True}, {"command_id": "x" * 10**6}, {"command_id": {"a": 1}},
    {(1, 2): 3}, {"job_id": b"\xff"}, {"reason": object()},
]  # fmt: skip


@pytest.mark.parametrize("content", HOSTILE, ids=range(len(HOSTILE)))
def test_any_content_is_rejected_with_an_event_that_any_reader_takes(intake: Admission, content: Any) -> None:
    one = rejected(intake, content)
    data = written(one)
    assert data["error"]
    assert data["command_id"]
    assert len(json.dumps(data)) < 50_000
    for text in (one.mark, one.reason, one.raw, one.backend, one.subject):
        text.encode()


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=60)
@given(
    st.dictionaries(
        st.sampled_from(["backend", "job_id", "verb", "reason", "labels", "command_id", "token", "x"]),
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(st.characters(), max_size=8) | st.just([{}]),
    )
)
def test_no_content_ever_breaks_a_rejection(content: dict[str, Any]) -> None:
    assert written(reject(content, "task-1", "why"))["error"] == "why"


def test_a_command_that_hits_a_bug_is_rejected_by_itself(build: Any) -> None:
    def fails(_: Any) -> str:
        raise LookupError("a bug")

    intake = Admission(
        {"ess": BackendRules(cast("Any", SimpleNamespace(params=frozenset(), problem=fails)), build.policy())}
    )

    assert rejected(intake, BARE).reason == "LookupError while it was taken in"


def test_a_rejection_repeats_what_could_be_read(intake: Admission) -> None:
    data = written(rejected(intake, {**BARE, "job_id": 7, "reason": "budget", "command_id": "mine", "force": "x"}))
    assert (data["command_id"], data["job_id"], data["backend"], data["reason"]) == ("mine", "7", "ess", "budget")


def test_a_rejection_names_its_backend_and_job(intake: Admission) -> None:
    one = rejected(intake, {**BARE, "job_id": 7, "force": "x"})
    assert (one.backend, one.subject) == ("ess", "7")


@pytest.mark.parametrize("token", ["s3cr3t", "s3cr3t\x00", ["s3cr3t"], {"s3cr3t": "s3cr3t"}], ids=repr)
def test_a_rejection_never_carries_the_token_into_its_event(intake: Admission, token: Any) -> None:
    one = rejected(intake, {**BARE, "token": token, "force": "x"})
    assert "s3cr3t" not in json.dumps(written(one)) + one.reason


def test_the_raw_message_is_kept_as_it_came(intake: Admission) -> None:
    content = {**BARE, "force": "x", "reason": "ü"}
    assert json.loads(rejected(intake, content).raw) == content


def test_the_same_rejection_has_the_same_mark_and_no_other_has(intake: Admission) -> None:
    contents = [{"a": 1}, {"a": 2}, {"a": 1, "command_id": "b"}]
    marks = [rejected(intake, content).mark for content in contents]
    assert len(set(marks)) == 3
    assert marks == [rejected(intake, content).mark for content in contents]


def test_the_same_bad_content_of_two_tasks_is_rejected_twice(intake: Admission) -> None:
    assert {intake.take({}, name).mark for name in ("t1", "t2")} == {reject({}, name, "").mark for name in ("t1", "t2")}
    assert reject({}, "t1", "").mark != reject({}, "t2", "").mark


# Ids


def test_ids_are_unique_and_sort_by_time() -> None:
    ids = [new_id() for _ in range(1000)]
    assert len(set(ids)) == 1000
    assert [one[:12] for one in ids] == sorted(one[:12] for one in ids)


def test_an_id_is_a_uuid_of_version_7() -> None:
    one = new_id()
    assert (len(one), one[12], one[16] in "89ab") == (32, "7", True)
    int(one, 16)


def test_the_readable_part_of_the_labels_stays_an_object(intake: Admission) -> None:
    content = {"verb": "cancel", "backend": "ess", "job_id": "1", "labels": {"team": "pay", "n": 1}, "foo": 1}
    refused = intake.take(content, "task-1")

    assert isinstance(refused, Rejection)
    assert refused.data["labels"] == {"team": "pay", "n": "1"}


# Sinks


def with_sinks(intake: Admission) -> Admission:
    return replace(intake, sinks=frozenset({"billing", "log"}))


def test_a_commands_sinks_are_the_last_that_its_events_say(intake: Admission) -> None:
    one = accepted(with_sinks(intake), reply_to=["billing", "log"], labels={"reply_to": "x"})

    assert one.reply_to == ("billing", "log")
    assert fragment(one.said).endswith(',"reply_to":["billing","log"]')


def test_a_command_without_sinks_says_nothing_of_them(intake: Admission) -> None:
    assert "reply_to" not in accepted(with_sinks(intake), reply_to=None).said


def test_a_sink_that_is_not_in_the_file_is_rejected_and_suggested(intake: Admission) -> None:
    reason = rejected(with_sinks(intake), {**BARE, "reply_to": ["biling"]}).reason

    assert reason == "reply_to: no sink has this name; known: billing, log; did you mean billing?"


def test_a_rejected_commands_sinks_get_its_event(intake: Admission) -> None:
    one = rejected(with_sinks(intake), {**BARE, "reply_to": ["log", 7], "lane": "x"})

    assert written(one)["reply_to"] == ["log"]
