"""Errors that Redis returns until somebody changes something are distinguished from passing ones."""

from __future__ import annotations

import pytest
from redis.exceptions import ConnectionError as ConnectionLost
from redis.exceptions import MovedError, NoPermissionError, ResponseError

from worker.domain.errors import StoreRefused, StoreUnavailable
from worker.store.redis_client import refusal, translated, unavailable

SCRIPT_6 = "Error running script (call to f_5f0): @user_script:1: @user_script: 1:"
"""The prefix that Redis 6.2 puts before the error of a command in a script."""
REFUSED = [
    pytest.param(NoPermissionError("User u has no permissions to run the 'evalsha' command"), "evalsha", id="noperm"),
    pytest.param(
        ResponseError("unknown command 'EVALSHA', with args beginning with: '5f0' '1' 'hunter2'"),
        "EVALSHA",
        id="renamed",
    ),
    pytest.param(
        ResponseError("Unknown Redis command called from script script: 5f0, on @user_script:9."),
        "script",
        id="in-script",
    ),
    pytest.param(
        ResponseError("ACL failure in script: User u has no permissions to run the 'zadd' command script: 5f0"),
        "zadd",
        id="no-right-in-script",
    ),
    pytest.param(
        ResponseError("The user executing the script can't run this command or subcommand"), "script", id="redis-6"
    ),
    pytest.param(MovedError("1234 10.0.0.1:6379"), "cluster", id="cluster"),
]


@pytest.mark.parametrize(("error", "named"), REFUSED)
def test_a_refusal_is_unavailable_in_words_that_name_it(error: Exception, named: str) -> None:
    with pytest.raises(StoreRefused) as caught, translated():
        raise error

    assert named in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert "`canceller check`" in caught.value.hint


@pytest.mark.parametrize(
    "error",
    [
        ConnectionLost("Connection refused"),
        OSError("down"),
        ResponseError("OOM command not allowed"),
        ResponseError(f"{SCRIPT_6} -OOM command not allowed when used memory > 'maxmemory'."),
        ResponseError(f"{SCRIPT_6} -READONLY You can't write against a read only replica."),
    ],
    ids=["lost", "down", "full", "full-6.2", "replica-6.2"],
)
def test_what_passes_is_no_refusal(error: Exception) -> None:
    assert refusal(error) == ""
    with pytest.raises(StoreUnavailable), translated():
        raise error
    assert type(unavailable(error)) is StoreUnavailable


def test_what_a_script_is_told_to_be_wrong_stays_as_it_is() -> None:
    with pytest.raises(ResponseError, match="WRONGTYPE"), translated():
        raise ResponseError("WRONGTYPE Operation against a key holding the wrong kind of value")
