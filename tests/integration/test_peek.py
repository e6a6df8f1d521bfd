"""A quick look at what is open, over a plain socket."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from worker.store.peek import PATIENCE, Place, peek

PLACES = {
    "redis://h": Place(("h", 6379), (), "0"),
    "redis://:p%40ss@h:7/3": Place(("h", 7), ("p@ss",), "3"),
    "redis://u:p@h": Place(("h", 6379), ("u", "p"), "0"),
    "unix:///a%20b.sock?db=2": Place("/a b.sock", (), "2"),
}


@pytest.mark.parametrize(("url", "place"), PLACES.items(), ids=PLACES)
def test_a_url_says_where_redis_is(url: str, place: Place) -> None:
    assert Place.of(url) == place


def test_a_url_that_needs_a_library_is_refused() -> None:
    with pytest.raises(ValueError, match="without a library"):
        Place.of("rediss://h")


@pytest.fixture
def filled(sync_redis: Redis) -> Redis:
    """Return a Redis with open cancellations: of jobs, of a job with an address, and a dry run."""
    sync_redis.sadd("{canceller}:backends", "ess", "mrs")
    sync_redis.hset("{canceller}:open:ess", mapping={"100": "a", "101": "b", "2*": "c", "102\x1edry": "d"})
    sync_redis.hset("{canceller}:open:mrs", mapping={"1\x1fcluster": "e"})
    return sync_redis


@pytest.mark.parametrize(
    ("backend", "beginning", "found"),
    [("ess", "10", ["100", "101"]), ("ess", "2*", ["2*"]), ("mrs", "", ["1"]), ("oml", "", [])],
    ids=["by its beginning", "a star is itself", "with an address", "none"],
)
@pytest.mark.usefixtures("filled")
def test_open_jobs_are_found_and_dry_runs_are_none(
    backend: str, beginning: str, found: list[str], redis_url: str
) -> None:
    with peek(redis_url, "canceller") as seen:
        assert sorted(seen.open_jobs(backend, beginning)) == found


@pytest.mark.usefixtures("filled")
def test_backends_and_ids_are_found(redis_url: str) -> None:
    with peek(redis_url, "canceller") as seen:
        assert (sorted(seen.backends()), seen.open_ids("mrs")) == (["ess", "mrs"], ["e"])


@pytest.fixture
def silent(tmp_path: Path) -> Iterator[str]:
    """Yield the URL of a server that never answers."""
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))
        server.listen()
        yield f"unix://{tmp_path / 's'}"


def test_a_redis_that_hangs_is_left_after_a_moment(silent: str) -> None:
    started = time.monotonic()
    with pytest.raises(TimeoutError), peek(silent, "canceller") as seen:
        seen.backends()

    assert time.monotonic() - started < PATIENCE + 30  # and not for as long as Redis hangs


def test_a_server_that_refuses_is_an_error(redis_url: str) -> None:
    with pytest.raises(ValueError, match="refuses"), peek(f"{redis_url}?db=999", "canceller"):
        pass
