"""The ledger of a sink: how far its position may move, what is tried next, what is stored."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from worker.sinks.ledger import AHEAD, MOST, Entry, Ledger
from worker.sinks.tries import Tried
from worker.store.sink_state import Note


def stored(one: Ledger) -> Note:
    """Take a note of what has changed, and count it as stored."""
    note = one.note()
    one.stored()
    return note


def ledger(*orders: str) -> Ledger:
    """Return a ledger that has read one event per order, at 1-0, 2-0, …; a dot is an event that needs no delivery."""
    one = Ledger("0-0")
    for number, order in enumerate(orders, 1):
        one.read(f"{number}-0", None if order == "." else Entry(f"{number}-0", order, body=b"{}"))
    return one


def take(one: Ledger, now: float = 0.0) -> list[Entry]:
    """Start every delivery that may be tried now."""
    return one.next(now, AHEAD)


def fail(one: Ledger, entry: Entry, due: float) -> None:
    entry.tried, entry.due = Tried(entry.tried.tries + 1), due
    one.failed(entry, "no")


def test_events_of_different_subjects_are_tried_side_by_side() -> None:
    assert [entry.id for entry in take(ledger("a", "b", "c"))] == ["1-0", "2-0", "3-0"]


def test_no_more_events_are_tried_than_are_asked_for() -> None:
    one = ledger("a", "b", "c")

    assert [[entry.id for entry in one.next(0, 2)] for _ in range(3)] == [["1-0", "2-0"], ["3-0"], []]


def test_an_event_waits_for_the_one_before_it() -> None:
    one = ledger("a", "a", "b")
    first, other = take(one)
    assert (first.id, other.id) == ("1-0", "3-0")

    one.settled(first)
    assert [entry.id for entry in take(one)] == ["2-0"]


def test_the_position_waits_for_what_is_on_its_way() -> None:
    one = ledger(".", "a", "b")
    first, second = take(one)
    assert one.position == "1-0"

    one.settled(second)
    assert one.position == "1-0"
    one.settled(first)
    assert one.position == "3-0"


def test_events_that_need_no_delivery_are_passed() -> None:
    assert ledger(".", ".").position == "2-0"


def test_a_failing_subject_holds_up_neither_others_nor_the_position() -> None:
    one = ledger("a", "b")
    first, second = take(one)
    fail(one, first, due=5000)
    one.settled(second)
    one.read("3-0", Entry("3-0", "a"))
    one.read("4-0", Entry("4-0", "b"))

    assert [entry.id for entry in take(one, now=4999)] == ["4-0"]
    assert one.position == "3-0"


def test_what_waits_behind_a_failing_event_is_owed_with_it() -> None:
    one = ledger("a", "a")
    (first,) = take(one)
    fail(one, first, due=5000)
    one.read("3-0", Entry("3-0", "a"))
    note = one.note()

    assert {entry: owed.tries for entry, owed in note.owed.items()} == {"1-0": 1, "2-0": 0, "3-0": 0}
    assert (note.position, note.oldest, note.error) == ("3-0", "1-0", "no")


def test_what_was_owed_is_settled_once_it_arrives() -> None:
    one = ledger("a")
    (first,) = take(one)
    fail(one, first, due=5000)
    stored(one)
    (again,) = take(one, now=5000)
    one.settled(again)
    note = one.note()

    assert (list(note.settled), note.owed, note.oldest, note.delivered) == (["1-0"], {}, "", 1)


def test_what_was_never_stored_as_owed_needs_no_settling() -> None:
    one = ledger("a")
    (first,) = take(one)
    fail(one, first, due=0)
    one.settled(take(one)[0])
    note = one.note()

    assert (note.owed, list(note.settled)) == ({}, [])


def test_nothing_is_noted_twice() -> None:
    one = ledger("a")
    one.settled(take(one)[0])
    assert one.changed
    stored(one)

    assert not one.changed


def test_a_note_that_may_be_lost_is_repeated_with_the_next_one() -> None:
    one = ledger("a", "b", "c")
    first, second, _ = take(one)
    fail(one, first, due=5000)
    one.settled(second)
    one.note()
    again = one.note()

    assert (again.position, list(again.owed), again.delivered, again.error) == ("2-0", ["1-0"], 1, "no")


def test_what_a_lost_note_held_and_has_arrived_since_is_settled_by_the_next_one() -> None:
    one = ledger("a")
    (first,) = take(one)
    fail(one, first, due=0)
    one.note()
    one.settled(take(one)[0])
    note = stored(one)

    assert list(note.settled) == ["1-0"]
    assert not one.changed


def test_what_was_owed_is_taken_over_in_its_order() -> None:
    one = Ledger("9-0")
    one.restore([Entry("1-0", "a", due=100.0), Entry("2-0", "a"), Entry("3-0", "b")])

    assert [entry.id for entry in take(one, now=99)] == ["3-0"]
    assert [entry.id for entry in take(one, now=100)] == ["1-0"]


def test_a_receiver_that_is_back_gets_at_once_what_waits_unless_it_asked_for_the_wait() -> None:
    one = ledger("a", "b")
    first, second = take(one)
    second.earliest = 9000
    fail(one, second, due=9000)
    fail(one, first, due=9000)
    one.hurry(1000)

    assert [entry.id for entry in take(one, now=1000)] == ["1-0"]


def test_a_replay_neither_waits_nor_holds_up() -> None:
    one = ledger("a")
    one.replay(Entry("7-0", "7-0", body=b"{}", replay=True))
    first, replayed = take(one)
    fail(one, replayed, due=5000)
    one.settled(first)
    assert (one.position, one.note().owed) == ("1-0", {})

    one.settled(take(one, now=5000)[0])
    assert list(one.note().replayed) == ["7-0"]


def test_a_dead_letter_lets_the_next_event_go() -> None:
    one = ledger("a", "a")
    (first,) = take(one)
    one.settled(first, "no")

    assert [entry.id for entry in take(one)] == ["2-0"]


def test_only_so_many_events_are_read_ahead() -> None:
    one = ledger(*map(str, range(AHEAD)))

    assert one.room == 0


def test_the_position_waits_when_very_much_is_owed() -> None:
    one = Ledger("99999-0")
    one.restore(Entry(f"{number}-0", str(number), due=1e9) for number in range(1, MOST + 1))
    assert one.room == 0

    one.settled(one.outdated(before=2)[0], "too old")
    assert one.room == 1


def test_what_is_too_old_is_not_tried_any_more() -> None:
    one = ledger("a", "b", "a")
    first, second = take(one)
    fail(one, second, due=0)
    old = one.outdated(before=3)

    assert [entry.id for entry in old] == ["2-0"]
    assert take(one) == []
    assert first.outdated is False


@given(
    st.lists(st.sampled_from("abc."), max_size=30),
    st.lists(st.sampled_from(["deliver", "fail", "note", "lose note", "give up"]), max_size=120),
)
def test_whatever_happens_nothing_is_lost_and_each_subject_keeps_its_order(orders: list[str], acts: list[str]) -> None:
    one, now, ended = ledger(*orders), 0.0, list[Entry]()
    kept: set[str] = set()
    for act in (*acts, *["deliver"] * 60):
        now += 10
        if act == "lose note":
            one.note()
        elif act == "note":
            note = one.note()
            one.stored()
            kept = (kept | set(note.owed)) - set(note.settled)
            left = {f"{n}-0" for n, order in enumerate(orders, 1) if order != "."} - {entry.id for entry in ended}
            passed = {entry for entry in left if int(entry[:-2]) <= int(note.position[:-2])}
            assert passed <= kept  # a worker that takes over now finds everything that is left
        elif entries := one.next(now, 1):
            (entry,) = entries
            if act == "fail":
                fail(one, entry, due=now + 5)
            else:
                one.settled(entry, "" if act == "deliver" else "no")
                ended.append(entry)
    by_order = {order: [entry.id for entry in ended if entry.order == order] for order in "abc"}

    assert by_order == {order: [f"{n}-0" for n, each in enumerate(orders, 1) if each == order] for order in "abc"}
