"""The commands tried on Redis cover those that scripts call, and the ACL line to copy covers all that are tried."""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from importlib.resources import files
from pathlib import Path

import pytest

from worker.settings.environment import Settings
from worker.store.rights import CeleryNames, acl_line, celery_calls, queue_calls, scratch_calls, store_calls

FILES = [*files("worker.store.lua").iterdir(), *files("worker.store.lua.include").iterdir()]
SCRIPTS = "\n".join(one.read_text() for one in FILES if one.name.endswith(".lua"))
PLACES = {"XREAD": 4, "XINFO": 2}
"""The position of a command's key, if it is not the first argument."""
WITHOUT_KEY = {"INFO", "TIME", "SCRIPT"}


def settings_of(**environ: str) -> Settings:
    return Settings.load({"REDIS_URL": "redis://h/3", **environ})


def test_every_command_of_a_script_is_tried() -> None:
    called = set(re.findall(r"redis\.p?call\('([A-Z]+)'", SCRIPTS))

    assert called - {call[0] for call in scratch_calls("{canceller}:check:x")} == set()


def test_whatever_is_tried_in_a_script_is_deleted_there() -> None:
    calls = list(scratch_calls("b"))
    written = {call[1] for call in calls if call[0] not in WITHOUT_KEY}

    assert written == {call[1] for call in calls if call[0] == "DEL"}


@pytest.mark.parametrize(
    "environ",
    [
        pytest.param({}, id="default"),
        pytest.param({"CANCELLER_PREFIX": "cell-1", "CANCELLER_QUEUE": "in"}, id="named"),
        pytest.param({"CANCELLER_PREFIX": "a*b", "CANCELLER_QUEUE": "[x]"}, id="characters-of-patterns"),
    ],
)
def test_the_line_has_a_pattern_for_each_key_that_is_tried(environ: dict[str, str]) -> None:
    settings = settings_of(**environ)
    patterns = [word[1:] for word in acl_line(settings).split() if word.startswith("~")]
    calls = [
        *scratch_calls(f"{{{settings.prefix}}}:check:x"),
        *store_calls(settings.prefix, "x"),
        *queue_calls(settings.queue, "x"),
        *celery_calls(settings, "x"),
    ]
    keys = {call[PLACES.get(call[0], 1)] for call in calls if call[0] not in WITHOUT_KEY}

    assert {key for key in keys if not any(matches(key, pattern) for pattern in patterns)} == set()


def matches(key: str, pattern: str) -> bool:
    """Whether a Redis pattern matches; Python writes a literal character in brackets, Redis with a backslash."""
    return fnmatchcase(key, re.sub(r"\\(.)", r"[\1]", pattern))


def test_a_prefix_that_is_a_pattern_opens_no_other_keys() -> None:
    line = acl_line(settings_of(CANCELLER_PREFIX="a*"))

    assert r"~{a\*}:*" in line.split()


def test_the_line_names_each_channel_as_it_is_subscribed_to() -> None:
    settings = settings_of()

    assert CeleryNames(settings).channels == ["/3.canceller.commands.pidbox", "/3.canceller.commands.events/worker.*"]
    assert {f"&{channel}" for channel in CeleryNames(settings).channels} <= set(acl_line(settings).split())


def test_the_line_is_for_the_user_of_the_url() -> None:
    assert acl_line(settings_of(REDIS_URL="redis://ann:hunter2@h")).startswith("ACL SETUSER ann resetkeys ")
    assert acl_line(settings_of()).startswith("ACL SETUSER canceller on >PASSWORD resetkeys ")
    assert "hunter2" not in acl_line(settings_of(REDIS_URL="redis://ann:hunter2@h"))


def test_with_rabbitmq_only_the_prefix_is_needed() -> None:
    line = acl_line(settings_of(CELERY_BROKER_URL="amqp://h//"))

    assert [word for word in line.split() if word[0] in "~&"] == ["~{canceller}:*"]


def test_the_guide_has_the_line() -> None:
    page = (Path(__file__).parents[3] / "worker/guide/brokers.md").read_text(encoding="utf-8")

    assert f"<!-- acl-line -->\n```\n{acl_line(Settings.load({'REDIS_URL': 'redis://h'}))}\n```\n" in page
