"""What the client leaves alone in the process of the service that uses it."""

from __future__ import annotations

import json

import pytest
from redis import Redis
from support.cell import ROOT
from support.shell import run_program

HOST = """
import asyncio, json, logging, signal, socket, sys, threading
from celery import Celery, current_app, shared_task, signals
from kombu import pools
from kombu.transport.redis import Channel
from amqp.serialization import PROPERTY_CLASSES

sys.path.insert(0, {root!r})
app = Celery("host", broker={host!r}, backend="cache+memory://")
app.conf.broker_pool_limit = 3

@shared_task
def charge(number):
    ...

def state():
    names = "", "celery", "kombu", "redis", "asyncio"
    loggers = {{name: [repr(one) for one in logging.getLogger(name).handlers] for name in names}}
    return {{
        "current app": current_app.main,
        "its tasks": sorted(app.tasks),
        "its broker": app.conf.broker_url,
        "kombu": [repr(Channel._connparams), repr(dict(PROPERTY_CLASSES)), pools.get_limit()],
        "handlers of logs": loggers,
        "level of the root log": logging.getLogger().level,
        "handlers of signals": [repr(signal.getsignal(one)) for one in signal.valid_signals()],
        "asyncio's policy": repr(asyncio.events._event_loop_policy),
        "timeout of sockets": socket.getdefaulttimeout(),
        "receivers of Celery's signals": {{name: len(getattr(signals, name).receivers) for name in signals.__all__}},
        "hooks": [repr(sys.excepthook), repr(threading.excepthook), repr(sys.unraisablehook)],
    }}

charge.delay(1)
before = state()
{guest}
charge.delay(2)
after = state()
print(json.dumps({{"before": before, "after": after}}))
"""
IMPORTED = "import worker.client"
USED = """
from worker.client import Client
with Client.from_env() as client:
    client.cancel("ess", 1)
    client.submit_many([{"verb": "cancel", "backend": "ess", "job_id": 2}])
    list(client.events(follow=False))
"""
SPENT = (
    """
class Task:
    request = type("Request", (), {"root_id": "root", "id": "parent", "called_directly": False, "delivery_info": {}})()
    def add_trail(self, result):
        raise AssertionError("a command was noted as a child of the host's task")
from celery import _state
_state.push_current_task(Task())
"""
    + USED
    + "\n_state.pop_current_task()\n"
)


@pytest.mark.parametrize("guest", [IMPORTED, USED, SPENT], ids=["imported", "used", "used within a task"])
def test_the_client_leaves_its_host_as_it_was(guest: str, redis_url: str, sync_redis: Redis) -> None:
    host, ours = broker(redis_url, 3), redis_url
    program = HOST.format(root=str(ROOT), host=host, guest=guest)
    done = run_program({"REDIS_URL": ours, "PATH": ""}, program)

    assert done.stderr == ""
    told = json.loads(done.stdout)
    assert told["after"] == told["before"]
    with Redis(unix_socket_path=path_of(redis_url), db=3) as hosts:
        assert hosts.llen("celery") == 2
        assert hosts.llen("commands") == 0
    assert sync_redis.llen("celery") == 0
    assert sync_redis.llen("commands") == (0 if guest == IMPORTED else 2)


def path_of(url: str) -> str:
    """Return the embedded server's socket."""
    return url.removeprefix("unix://").partition("?")[0]


def broker(url: str, database: int) -> str:
    """Return the broker URL of one database of the embedded server."""
    return f"redis+socket://{path_of(url)}?virtual_host={database}"
