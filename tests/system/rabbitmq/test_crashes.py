"""Workers and RabbitMQ die while commands are in flight: none is lost or done twice, no worker has to be restarted."""

from __future__ import annotations

from collections.abc import Callable

from support.cell import READY
from support.sentinel import until
from system.rabbitmq.place import SYSTEMS, Place

CHANGING = ("cancel", "delete", "force")


class Load:
    """Jobs that run until they are cancelled, dealt out to the dialects in turn."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.sent = 0

    def send(self, count: int) -> None:
        """Add so many jobs and send a command for each; while RabbitMQ is away, retry with the same id."""
        for index in range(self.sent, self.sent + count):
            system = SYSTEMS[index % 4]
            scope = {"project": "p1"} if system in {"mrs", "sahara"} else {}
            self.place.cell.simulator.add_job(system, job_id(index), "runs", **scope)
            self.place.cell.send("cancel", backend=system, job_id=job_id(index))
        self.sent += count

    def wait(self, name: str, count: int) -> None:
        """Read until there are so many events of one type."""
        self.place.cell.wait_until(lambda: len(self.place.cell.of(name)) >= count)

    def end(self) -> None:
        """Wait until all have finished, and check what came of each."""
        self.place.finish(self.sent)
        cell = self.place.cell
        assert len(cell.of("finished")) == len(cell.of("accepted")) == self.sent
        assert {event["outcome"] for event in cell.of("finished")} == {"cancelled"}
        for index in range(self.sent):
            truth = cell.simulator.job(SYSTEMS[index % 4], job_id(index))
            assert max(truth.effects(verb) for verb in CHANGING) == 1, truth


def job_id(index: int) -> str:
    return str(5000 + index) if SYSTEMS[index % 4] == "ess" else f"job-{index}"


def test_workers_killed_with_messages_in_hand(place: Place) -> None:
    load = Load(place)
    load.send(400)
    for accepted in (1, 120):
        worker = place.cell.start_worker()
        load.wait("accepted", accepted)
        worker.kill()
    place.cell.start_worker()
    load.end()


def under_load(place: Place, fault: Callable[[], object]) -> None:
    """Do something to RabbitMQ while commands come in, are carried out, and end; no worker restarts."""
    worker = place.cell.start_worker()
    worker.wait_for("ready.")
    load = Load(place)
    for _ in range(2):
        load.send(60)
        load.wait("finished", load.sent)
        place.until(lambda: place.node.survives(place.vhost, "commands"))
        load.send(60)
        fault()
    load.end()
    log = (place.cell.directory / "worker0.log").read_text()
    assert (worker.process.poll(), log.count(READY)) == (None, 1)
    # Celery may log an error about the dead connection while it reconnects; we must not.
    assert not [one for one in place.records() if "exception" in one and not one["logger"].startswith("celery.")]


def test_rabbitmq_killed_under_load(place: Place) -> None:
    under_load(place, once(place.node.kill))


def once(fault: Callable[[], object]) -> Callable[[], None]:
    """Return a callable that does something the first time only."""
    faults = [fault]

    def happen() -> None:
        while faults:
            faults.pop()()

    return happen


def test_connections_cut_under_load(place: Place) -> None:
    under_load(place, lambda: place.node.control("close_all_connections", "--vhost", place.vhost, "a test"))


def test_commands_wait_in_rabbitmq_while_redis_is_away(place: Place) -> None:
    worker = place.cell.start_worker()
    worker.wait_for("ready.")
    server = place.cell.embedded
    assert server
    server.__exit__()
    worker.wait_for("rabbitmq_consumer.unavailable")
    load = Load(place)
    load.send(60)
    until(lambda: place.queues("messages")["commands"] == ["60"], 30)
    server.__enter__()
    load.end()
    assert worker.process.poll() is None


def test_a_message_that_ended_many_workers_is_kept_from_the_limit(place: Place) -> None:
    cell = place.cell
    cell.simulator.add_job("ess", 1, "finished")
    policy = '{"delivery-limit": 20}'  # RabbitMQ 4's default
    place.node.control("set_policy", "--vhost", place.vhost, "limit", "^commands$", policy, "--apply-to", "queues")
    cell.send("cancel", backend="ess", job_id=1)
    place.until(lambda: returns(place) >= 12)
    cell.start_worker().wait_for("rabbitmq_consumer.sent_again")
    place.finish(1)


def returns(place: Place) -> int:
    """Take the message and drop the connection, as a killed worker does; return how often it was redelivered before."""
    with place.channel() as channel:
        message = channel.basic_get("commands")
    return int(message.headers.get("x-delivery-count", 0)) if message else -1
