"""A client that was made before a fork, in the child and in the parent."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from pathlib import Path

import pytest
from celery import Celery
from support.cell import ROOT, Cell
from support.shell import run_program

from worker.client import AsyncClient
from worker.settings.environment import Settings

CHILDREN = 3
SERVER = """
import json, os, sys, threading, traceback
sys.path.insert(0, {root!r})
from worker.client import Client

client = Client.from_env()
told = {{}}

def stop(job):
    told[job] = client.cancel("ess", job).wait(60).outcome

{before}

def child(number):
    stop(100 + number)
    threads = [threading.Thread(target=stop, args=[200 + 10 * number + index]) for index in range(3)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    told["first event"] = next(iter(client.events(follow=False))).name
    told["of the parent"] = early.wait(60).outcome if early else None

for number in range({children}):
    if os.fork() == 0:
        told = {{}}
        try:
            child(number)
        except BaseException:
            traceback.print_exc()
        print(json.dumps(told), flush=True)
        {leave}
for _ in range({children}):
    os.wait()
stop(2)
{after}
print(json.dumps(told), flush=True)
"""
FRESH = "early = None", ""
USED = "stop(1)\nearly = client.cancel('ess', 3)", ""
WAITING = (
    """
early = client.cancel('ess', 3)
waiting = threading.Thread(target=stop, args=[50])
waiting.start()
stream = client.events()
next(stream)
""",
    "waiting.join(60)\ntold['more events'] = [next(stream).name for _ in range(5)]",
)


@pytest.mark.parametrize("leave", ["os._exit(0)", "sys.exit(0)"], ids=["at once", "with all clean-ups"])
@pytest.mark.parametrize("use", [FRESH, USED, WAITING], ids=["unused", "used", "in use by a thread"])
def test_a_forked_child_sends_waits_and_reads_and_leaves_its_parent_alone(
    deployment: Cell, use: tuple[str, str], leave: str
) -> None:
    for job in (1, 2, 3, *range(100, 100 + CHILDREN), *range(200, 200 + 10 * CHILDREN)):
        deployment.simulator.add_job("ess", job, "finished")
    deployment.simulator.add_job("ess", 50)
    deployment.start_worker()
    before, after = use
    program = SERVER.format(root=str(ROOT), before=before, after=after, children=CHILDREN, leave=leave)
    done = run_program(deployment.env, program)

    assert done.stderr == ""
    *children, parent = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(children) == CHILDREN
    for told in children:
        assert told.pop("first event") == "accepted"
        assert told.pop("of the parent") == (None if use == FRESH else "already_finished")
        assert list(told.values()) == ["already_finished"] * 4
    assert parent["2"] == "already_finished"
    if use == WAITING:
        assert parent["50"] == "cancelled"
        assert len(parent["more events"]) == 5


PREFORK = """
import sys
sys.path.insert(0, {root!r})
from celery import Celery
from worker.client import Client

app = Celery("host", broker={broker!r}, backend={broker!r})
client = Client.from_env()
client.cancel("ess", 1).wait(60)

@app.task
def stop(job):
    return client.cancel("ess", job).wait(60).outcome
"""


def test_a_client_of_a_module_works_in_the_tasks_of_a_prefork_worker(deployment: Cell, tmp_path: Path) -> None:
    for job in (1, 2, 3):
        deployment.simulator.add_job("ess", job, "finished")
    deployment.start_worker()
    broker = deployment.url.replace("unix://", "redis+socket://").partition("?")[0] + "?virtual_host=3"
    (tmp_path / "host_app.py").write_text(PREFORK.format(root=str(ROOT), broker=broker))
    command = ["-m", "celery", "-A", "host_app", "worker", "-P", "prefork", "-c", "2", "-l", "WARNING"]
    with (tmp_path / "host.log").open("w") as log:
        host = subprocess.Popen(
            [sys.executable, *command], env=deployment.env, cwd=tmp_path, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            with Celery(broker=broker, backend=broker, set_as_current=False) as sender:
                sent = [sender.send_task("host_app.stop", args=[job]) for job in (2, 3)]
                outcomes = [one.get(timeout=60) for one in sent]
        finally:
            host.terminate()
            host.wait(60)

    assert outcomes == ["already_finished", "already_finished"]


ASYNC_SERVER = """
import asyncio, os, sys, traceback
sys.path.insert(0, {root!r})
from worker.client import AsyncClient

client = AsyncClient.from_env()

async def stop(job):
    return (await (await client.cancel("ess", job)).wait(60)).outcome

async def parent():
    print(await stop(1), flush=True)
    if os.fork() == 0:
        try:
            print(asyncio.run(stop(2)), flush=True)
        except BaseException:
            traceback.print_exc()
        os._exit(0)
    await asyncio.to_thread(os.wait)
    print(await stop(3), flush=True)

asyncio.run(parent())
"""


def test_an_asynchronous_client_works_in_a_forked_childs_own_loop(deployment: Cell) -> None:
    for job in (1, 2, 3):
        deployment.simulator.add_job("ess", job, "finished")
    deployment.start_worker()
    done = run_program(deployment.env, ASYNC_SERVER.format(root=str(ROOT)))

    assert done.stderr == ""
    assert done.stdout.split() == ["already_finished"] * 3


def test_an_asynchronous_client_works_in_one_loop_after_another(deployment: Cell) -> None:
    client = AsyncClient.from_env(Settings.load(deployment.env))

    async def use() -> int:
        await client.cancel("ess", 1)
        found = len(await client.list_open())
        await client.aclose()
        return found

    assert [asyncio.run(use()), asyncio.run(use())] == [0, 0]
    assert deployment.redis.llen("commands") == 2


async def test_an_asynchronous_client_says_that_it_is_in_use_in_another_loop(deployment: Cell) -> None:
    client = AsyncClient.from_env(Settings.load(deployment.env))
    await client.list_open()

    with pytest.raises(RuntimeError, match="in use in another event loop"):
        await asyncio.to_thread(asyncio.run, client.list_open())
    await client.aclose()
