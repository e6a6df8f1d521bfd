"""How the result backend is named and what it refuses; `tests/system/test_results.py` tests what it returns."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from canceller.client.result_backend import CancellerBackend
from canceller.settings.redis_url import RedisTarget
from celery import Celery, chord
from celery.exceptions import ImproperlyConfigured

URLS = {
    "redis": ("canceller+redis://:pw@h:6380/2", "canceller+redis://h:6380/2"),
    "rediss": ("canceller+rediss://u:pw@h/0?ssl_cert_reqs=none", "canceller+rediss://h/0"),
    "unix": ("canceller+unix://u:pw@/run/redis.sock?db=1", "canceller+unix:///run/redis.sock"),
    "sentinel": (
        "canceller+redis+sentinel://:pw@h1:26379,h2:26379/main/0",
        "canceller+redis+sentinel://h1:26379,h2:26379/main/0",
    ),
}


def backend(url: str, **conf: Any) -> CancellerBackend:
    app = Celery(backend=url, set_as_current=False)
    app.conf.update(conf)
    found = app.backend
    assert isinstance(found, CancellerBackend)
    return found


@pytest.mark.parametrize(("url", "shown"), URLS.values(), ids=URLS.keys())
def test_takes_every_form_of_a_redis_url_and_shows_no_secret(url: str, shown: str) -> None:
    one = backend(url)

    assert (one.as_uri(), one.as_uri(include_password=True)) == (shown, url)
    assert one._client._settings.redis == RedisTarget.parse(url.removeprefix("canceller+"))
    assert "pw" not in repr(one)


@pytest.mark.parametrize("url", ["canceller+http://:pw@h/0", "canceller+redis://:pw@h:x/0"])
def test_says_what_is_wrong_with_a_url_without_showing_it(url: str) -> None:
    with pytest.raises(ImproperlyConfigured, match="result backend canceller") as raised:
        backend(url)
    assert "pw" not in str(raised.value)


def test_one_serves_all_threads_of_an_app() -> None:
    assert backend("canceller+redis://h").thread_safe


def test_stores_nothing_and_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    one = backend("canceller+redis://nowhere.invalid")
    with caplog.at_level(logging.WARNING):
        one.mark_as_done("task", 1)
        one.mark_as_done("task", 2)
        one.forget("task")

    assert [record.getMessage().partition(":")[0] for record in caplog.records] == [
        "canceller's result backend only reads"
    ]


def test_a_chord_is_refused_before_anything_is_sent() -> None:
    app = Celery(backend="canceller+redis://nowhere.invalid", set_as_current=False)
    header = [app.signature("worker.cancel", kwargs={"backend": "ess", "job_id": 1})]

    with pytest.raises(NotImplementedError, match="takes no chords"):
        chord(header, app=app)(app.signature("host.after"))
