"""Our workers beside another application's on the same virtual host: neither side notices the other."""

from __future__ import annotations

from support.beside import beside
from system.rabbitmq.place import Place


def test_each_task_of_a_neighbour_runs_once_however_long_its_workers_hold_it(place: Place) -> None:
    place.cell.start_worker()
    with beside(place.cell, place.url) as other:
        for _ in range(3):
            other.start_worker("-c", "1")
        expected = other.send_tasks()
        place.until(lambda: other.runs().keys() == expected and place.queues("messages")["celery"] == ["0"], 90)

        assert other.runs() == dict.fromkeys(expected, 1)
