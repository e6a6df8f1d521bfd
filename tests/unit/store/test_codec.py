from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from worker.domain.cancellation import (
    WHOLE,
    Attestation,
    Child,
    ClockReading,
    Doubt,
    Doubted,
    End,
    Intent,
    OperatorHold,
    Probed,
    Progress,
    Sighting,
)
from worker.domain.model import Action, AnswerKind, Force, JobState, Lane, Outcome, Verb
from worker.store.codec import (
    FORMAT,
    READER,
    WRITER,
    finished_progress,
    fragment,
    milliseconds,
    moment,
    read,
    unpack,
)
from worker.store.compression import keep_plain, pack
from worker.store.compression import unpack as unpacked
from worker.store.script_arguments import commit_arguments
from worker.store.transitions import Commit

GUARD = {
    "b": "ess",
    "j": "300100",
    "a": 1795341600000,
    "v": "delete",
    "p": "attested",
    "fa": 1800.5,
    "g": 1795428000000,
    "l": "b",
    "s": "ann",
    "x": "",
    "r": 3,
    "o": "",
    "q": 7,
}


def record(progress: Progress | None = None, **guard: Any) -> Any:
    tail = pack(WRITER.encode(progress)) if progress else b""
    return unpack("c1", json.dumps({**GUARD, **guard}).encode() + b"\n" + tail)


def full(build: Any) -> Progress:
    now = build.at(0.123)
    return Progress(
        intent=Intent(Action.FORCE, "2", now),
        sent={
            "cancel": build.sent("unanswered", at=0.001, count=2, retry_after=1.5, held=2.5),
            "force:2": build.sent("rejected"),
        },
        looks=9,
        failed_looks=1,
        waits=3,
        looked_at=now,
        seen_alive=True,
        state=JobState.CANCELLING,
        raw="CANCELLING",
        end=End(JobState.FAILED, "ERROR"),
        cancelling={"1": Sighting(now, "2026-11-22T02:00:00", now, 5.5), "2": Sighting(now)},
        alive_at=now,
        doubt=Doubt(Doubted.GONE, now, now, 2),
        closed_at=now,
        family_at=now,
        children={"2": Child(now, now, JobState.FAILED, "ERROR", now), "3": Child(now, now)},
        clock=ClockReading(now, now, steady=True),
        probes={"2": Probed(gone=True, since=now, last=now)},
        void={"": now},
        pages=7,
        long=True,
        overdue=True,
        held=("1+remote_stopped",),
        facts={"cause": "OPERATOR_CANCEL"},
        note='ü "quoted"\n',
        next="look again",
    )


def test_all_that_a_pass_knows_survives_its_storage(build: Any) -> None:
    assert record(full(build)).cancellation.progress == full(build)


def test_a_fresh_progress_takes_no_room() -> None:
    one = record()
    assert commit_arguments(Commit("t", one, "wait", one.cancellation.progress), 60)[1] == b""


@given(st.binary(max_size=2000))
def test_anything_survives_its_packing(text: bytes) -> None:
    assert unpacked(pack(text)) == text


@given(st.binary(max_size=2000) | st.sampled_from([b"a" * 0xFFFF, b"a" * 0x10000]))
def test_anything_survives_plain(text: bytes) -> None:
    assert unpacked(keep_plain(text)) == text


def test_a_finished_record_keeps_what_is_shown_of_it(build: Any) -> None:
    kept, _ = finished_progress(full(build))
    shown = ("sent", "looks", "failed_looks", "looked_at", "state", "raw", "end", "facts", "note", "void")
    read = READER.decode(unpacked(kept))

    assert {name: getattr(read, name) for name in shown} == {name: getattr(full(build), name) for name in shown}
    assert (read.next, read.cancelling, read.clock) == ("", {}, None)


def test_a_finished_record_keeps_what_a_look_after_the_end_needs(build: Any) -> None:
    one = replace(record().cancellation, progress=replace(full(build), parent=True))
    kept, _ = finished_progress(one.progress)

    assert replace(one, progress=READER.decode(unpacked(kept))).job == one.job


def test_a_record_that_does_not_finish_after_all_keeps_everything(build: Any) -> None:
    _, everything = finished_progress(full(build))
    assert READER.decode(unpacked(everything)) == full(build)


def test_the_progress_of_a_stuck_job_takes_half_of_its_bytes_at_most(build: Any) -> None:
    progress = replace(full(build), intent=None, end=None, note="", next="look again, the job is not confirmed stopped")
    assert len(pack(WRITER.encode(progress))) < len(WRITER.encode(progress)) / 2


@pytest.mark.parametrize(("held_for", "stored"), [(0.0, False), (60.0, True)], ids=["never-held", "held"])
def test_how_long_holds_lasted_takes_no_room_unless_there_was_one(build: Any, *, held_for: float, stored: bool) -> None:
    held = build.cancellation(held_for=held_for).stood_still(build.now)
    progress = Progress(sent=build.cancelled(held=held), cancelling={"1": Sighting(build.now, held=held)})

    assert WRITER.encode(progress).count(b"held") == (2 if stored else 0)


def test_the_spec_is_read_from_the_guard(build: Any) -> None:
    cancellation = record().cancellation
    spec = cancellation.spec
    assert (spec.verb, spec.force, spec.lane) == (Verb.DELETE, Force.ATTESTED, Lane.BATCH)
    assert (spec.force_after, spec.give_up_at) == (1800.5, build.at(86400))
    assert (spec.aborted, spec.revision) == ("", 3)
    assert (cancellation.backend, cancellation.job_id, cancellation.accepted_at) == ("ess", "300100", build.now)


def test_a_word_has_its_time() -> None:
    assert record(sa=1795341660000).cancellation.spec.attestations == {WHOLE: Attestation("ann", moment(1795341660000))}


def test_a_word_of_an_older_version_was_given_with_the_command(build: Any) -> None:
    assert record().cancellation.spec.attestations == {WHOLE: Attestation("ann", build.now)}


def test_a_childs_word_is_kept_beside_the_familys() -> None:
    words = {"300101": ["bob", 1795341660001]}
    assert record(sc=words).cancellation.spec.attestations["300101"] == Attestation("bob", moment(1795341660001))
    assert list(record(sc=words, s="").cancellation.spec.attestations) == ["300101"]


@pytest.mark.parametrize(
    ("guard", "about"),
    [
        pytest.param({"sa": 1795341660000, "ss": ["billing", 1795341660000]}, WHOLE, id="the-family"),
        pytest.param(
            {"sc": {"2": ["bob", 1795341660001]}, "scs": {"2": ["billing", 1795341660001]}}, "2", id="a-child"
        ),
    ],
)
def test_a_word_keeps_who_signed_it(guard: dict[str, Any], about: str) -> None:
    assert record(**guard).cancellation.spec.attestations[about].signed_by == "billing"


@pytest.mark.parametrize(
    ("guard", "about"),
    [
        pytest.param({"sa": 1795341660000}, WHOLE, id="nobody-signed"),
        pytest.param({"sa": 1795341660000, "ss": ["billing", 1795341600000]}, WHOLE, id="an-older-version-renewed-it"),
        pytest.param({"sc": {"2": ["bob", 1]}, "scs": {"3": ["billing", 1]}}, "2", id="another-childs"),
    ],
)
def test_a_signature_holds_for_its_own_word_alone(guard: dict[str, Any], about: str) -> None:
    assert record(**guard).cancellation.spec.attestations[about].signed_by == ""


def test_a_withdrawal_keeps_who_signed_it() -> None:
    action = {"by": "ann", "reason": "no", "signed_by": "ops"}
    spec = record(x="ann: no", xa=action).cancellation.spec
    assert (spec.aborted, spec.withdrawal) == ("ops (signed) as ann: no", action)


def test_a_withdrawal_of_an_older_version_is_a_text_alone() -> None:
    spec = record(x="ann: no").cancellation.spec
    assert (spec.aborted, spec.withdrawal) == ("ann: no", {})


@pytest.mark.parametrize(
    ("part", "hold"),
    [
        pytest.param({}, OperatorHold("ann", "audit", moment(1795341600000)), id="without-an-end"),
        pytest.param(
            {"u": 1795341660000, "sg": "ops", "p": 1},
            OperatorHold("ann", "audit", moment(1795341600000), moment(1795341660000), "ops", announced=False),
            id="for-a-while-signed-and-not-acknowledged",
        ),
    ],
)
def test_a_hold_is_read_from_the_guard(part: dict[str, Any], hold: OperatorHold) -> None:
    spec = record(h={"by": "ann", "reason": "audit", "at": 1795341600000, **part}, hs=1500).cancellation.spec
    assert (spec.hold, spec.held_for) == (hold, 1.5)


def test_what_is_asked_for_beside_a_call_is_read_from_the_guard() -> None:
    spec = record(y=1, ex=["RUNNING", "WAIT"]).cancellation.spec
    assert (spec.dry_run, spec.expect) == (True, ("RUNNING", "WAIT"))
    assert (record().cancellation.spec.dry_run, record().cancellation.spec.expect) == (False, ())


def test_a_record_without_a_place_is_of_no_place() -> None:
    assert (record().cancellation.place, record(d="0123456789ab").cancellation.place) == ("", "0123456789ab")


def test_an_open_record_has_no_end() -> None:
    assert (record().outcome, record().ended_at, record().sequence, record().last_event) == (None, None, 7, "")


def test_a_finished_record_has_its_end(build: Any) -> None:
    done = record(o="deleted", e=1795341660000, z="1-0", w="00-ab", k={"cluster_id": "c"})
    assert (done.outcome, done.ended_at, done.last_event) == (Outcome.DELETED, build.at(60), "1-0")
    assert (done.cancellation.traceparent, done.cancellation.params) == ("00-ab", {"cluster_id": "c"})


@given(st.integers(0, 4_000_000_000_000))
def test_redis_times_come_back_as_they_were(stored: int) -> None:
    assert milliseconds(moment(stored)) == stored


@given(st.datetimes(datetime(1970, 1, 1), datetime(2099, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001 - they get UTC
def test_no_moment_is_written_as_an_earlier_one(at: datetime) -> None:
    assert timedelta() <= moment(milliseconds(at)) - at < timedelta(milliseconds=1)


def test_a_snapshot_holds_what_a_client_asks_for() -> None:
    hot = json.dumps({**GUARD, "f": FORMAT}).encode() + b"\n"
    one = read("c1", hot, b'"c-1","c-2"\n2\n"reason":"budget","labels":{}')
    assert one.command_ids == ("c-1", "c-2")
    assert one.command == {"reason": "budget", "labels": {}}
    assert (one.due_at, one.claimed) == (None, False)


@pytest.mark.parametrize("data", [{}, {"a": 1}, {"a": {"b": ["ü", '"', "\n", None]}}])
def test_a_fragment_is_the_inside_of_an_object(data: dict[str, Any]) -> None:
    assert json.loads("{" + fragment(data) + "}") == data


def test_a_fragment_writes_our_words_as_words() -> None:
    assert fragment({"outcome": Outcome.CANCELLED, "calls": {str(Action.LOOK): 1}}) == (
        '"outcome":"cancelled","calls":{"look":1}'
    )


def test_a_last_answer_is_written_as_a_word(build: Any) -> None:
    packed = WRITER.encode(Progress(sent={"cancel": build.sent(AnswerKind.BUSY)}))
    assert msgspec.msgpack.decode(packed)["sent"]["cancel"]["last"] == "busy"
