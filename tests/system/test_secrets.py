"""Whatever a backend repeats, wherever a producer puts its token: no secret is in anything that a run writes."""

from __future__ import annotations

import base64
import html
import json
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import psutil
from support.cell import Cell, cell
from support.echo import Echo, echo
from support.shell import run

from worker.protocol.signing import sign
from worker.store.retention import LETTERS

HIDDEN = {
    "BEARER": "bearer/token+of~ours==",
    "TOKEN": "static-token/with+slashes=",
    "PASSWORD": "pass word/of+änn&<co>%41",
    "CLIENT_SECRET": "client/secret+%2Fwith?signs",
    "APP_SECRET": "application+secret/of=ours",
    "API_KEY": "api/key+with=signs",
    "PROXY_PASSWORD": "proxy-pass+word",
}
NAMES = {"USERNAME": "ann", "CLIENT_ID": "client", "APP_ID": "app"}
SOON = """
headers_env = { X-Api-Key = "API_KEY" }
poll = { first = "100ms", max = "200ms" }
timeout = "5s"
believe_after = "1s"
breaker = { failures = 1000, pause = "1s" }
"""
OAUTH = (
    'type = "oauth2_client_credentials", token_url = "{echo}/token", client_id_env = "CLIENT_ID", '
    'client_secret_env = "CLIENT_SECRET"'
)
USER = 'username_env = "USERNAME", password_env = "PASSWORD"'
STACK = 'type = "keystone", url = "{echo}"'
APPLICATION = 'application_credential_id_env = "APP_ID", application_credential_secret_env = "APP_SECRET"'
PROJECT = 'project_id = "p1"'
KINDS = {
    "bearer": ("oracle-ess", 'type = "bearer", token_env = "BEARER"', ""),
    "basic": ("oracle-ess", f'type = "basic", {USER}', ""),
    "oauth": ("oracle-ess", OAUTH, ""),
    "oauth-post": ("oracle-ess", f'{OAUTH}, client_auth = "post"', ""),
    "oml": ("oracle-ml", f'type = "oml", {USER}', ""),
    "token": ("mrs", 'type = "token", token_env = "TOKEN"', PROJECT),
    "keystone": ("sahara", f'{STACK}, {USER}, user_domain = "d"', f'{PROJECT}\ndialect = "v2"'),
    "application": ("mrs", f"{STACK}, {APPLICATION}", PROJECT),
    "proxied": ("oracle-ess", 'type = "bearer", token_file = "bearer.token"', 'proxy_env = "PROXY"'),
}
"""Each kind of credential: the backend's kind, its auth, and the rest of its table."""


def backends(server: Echo) -> str:
    """Return a backends file with every kind of credential, all at one server."""
    tables = (
        f'[backends.{name}]\nkind = "{kind}"\nbase_url = "{{echo}}"\nauth = {{ {auth} }}\n{more}\n{SOON}'
        for name, (kind, auth, more) in KINDS.items()
    )
    return "\n".join(tables).replace("{echo}", f"http://{server.host}")


def forms(secret: str) -> Iterator[str]:
    """Yield the forms in which a text may be written, independently of those that the product knows."""
    yield secret
    for text in (secret, json.dumps(secret)[1:-1], html.escape(secret), quote(secret, safe=""), quote_plus(secret)):
        yield text
        yield text.replace("/", "\\/")
        yield text.encode().hex()
        yield text.encode().hex().upper()
        for before in range(3):
            coded = base64.b64encode(b"\0" * before + text.encode())
            core = coded[4 if before else 0 : len(coded) - 4].decode()
            yield core
            yield core.replace("+", "-").replace("/", "_")
            yield quote(core, safe="")
    yield quote(secret, safe="").lower()
    yield json.dumps(secret, ensure_ascii=False)[1:-1]


def written(one: Cell) -> dict[str, str]:
    """Return everything that a run has left behind, by its place."""
    found = {f"Redis: {key.decode()}": value for key in one.redis.keys("*") for value in [kept(one, key)]}
    found |= {f"log {log.name}": log.read_text() for log in one.directory.glob("worker*.log")}
    for worker in one.workers:
        process = psutil.Process(worker.process.pid)
        lines = [" ".join(each.cmdline()) for each in (process, *process.children(recursive=True))]
        found[f"argv {process.pid}"] = "\n".join(lines)
    ids = {event["backend"]: event["cancellationid"] for event in one.events if "cancellationid" in event}
    letters = [entry.decode() for name in LETTERS for entry, _ in one.redis.xrange(f"{{canceller}}:{name}")]
    commands = [["events", "--after", "0"], ["list"], ["list", "--finished"], ["check"], ["dead-letters", "list"]]
    commands += [["status", each] for each in list(ids.values())[:3]] + [
        ["dead-letters", "show", each] for each in letters[::12]
    ]
    lines = [[*words, *more] for words in commands for more in ([], ["--json"])]
    with ThreadPoolExecutor(2) as pool:
        return found | dict(pool.map(lambda words: (" ".join(words), said(one, *words)), lines))


def said(one: Cell, *words: str) -> str:
    """Return what a command writes."""
    done = run(one.env, *words)
    assert "Traceback" not in done.stderr
    return done.stdout + done.stderr


def kept(one: Cell, key: bytes) -> str:
    """Return a value of Redis as text, including anything packed in it."""
    client: Any = one.redis
    read = {
        "string": lambda: [client.get(key)],
        "hash": lambda: [part for pair in client.hgetall(key).items() for part in pair],
        "set": lambda: list(client.smembers(key)),
        "zset": lambda: [member for member, _ in client.zrange(key, 0, -1, withscores=True)],
        "list": lambda: client.lrange(key, 0, -1),
        "stream": lambda: [part for _, fields in client.xrange(key) for pair in fields.items() for part in pair],
    }[client.type(key).decode()]
    return "\n".join(plain(value) for value in [key, *read()] if value is not None)


def plain(value: bytes) -> str:
    """Return bytes as text, followed by their meaning if they are compressed or in base64."""
    from worker.store.compression import unpack  # noqa: PLC0415 - how progress is made small

    meant = [value]
    for unpacked in (lambda: unpack(value.partition(b"\n")[2]), lambda: base64.b64decode(value, validate=True)):
        try:
            meant.append(unpacked())
        except (ValueError, zlib.error):
            continue
    return "\n".join(one.decode("utf-8", "backslashreplace") for one in meant)


def leaks(found: dict[str, str], secrets: list[str]) -> list[str]:
    """Return which secret is in which place."""
    return [
        f"{secret!r} as {form!r} in {place}: …{text[max(0, text.find(form) - 80) : text.find(form) + 80]}…"
        for secret in secrets
        for form in set(forms(secret))
        for place, text in found.items()
        if len(form) > 5 and form in text
    ]


def test_no_credential_is_in_anything_that_a_run_has_written(tmp_path: Path) -> None:
    (tmp_path / "bearer.token").write_text(HIDDEN["BEARER"] + "\n")
    with echo() as server, cell(tmp_path, backends(server)) as one:
        proxy = f"http://ann:{quote(HIDDEN['PROXY_PASSWORD'], safe='')}@{server.host}"
        one.env |= HIDDEN | NAMES | {"PROXY": proxy, "CANCELLER_LOG_LEVEL": "debug"}
        one.start_worker(fresh=True)
        for name in KINDS:
            for number in range(6):
                verb = "cancel" if number % 2 else "delete"
                one.send(verb, backend=name, job_id=str(100 + number), give_up_after=8)
        one.wait_finished(6 * len(KINDS), 120)
        found = written(one)
    blanked = {event["backend"] for event in one.events if "[secret]" in f"{event}"}

    assert not leaks(found, [*HIDDEN.values(), *server.issued])
    assert blanked == set(KINDS)
    assert "[secret]" in found["events --after 0"]
    assert len(server.issued) >= 4
    assert {name for name, secret in HIDDEN.items() if secret in "\n".join(server.shown)} >= {"BEARER", "API_KEY"}


KEY = "a-shared-secret-of-at-least-32-bytes"
GUARDED = """
require_signed = true
[producers.ops]
algorithm = "HS256"
keys_file = "ops.key"
operator = true
[backends.ess]
kind = "oracle-ess"
base_url = "{ess}"
auth = { type = "none" }
poll = { first = "200ms", max = "500ms" }
"""
CANCEL = {"verb": "cancel", "backend": "ess", "job_id": "7"}


def token(key: str = KEY) -> str:
    now = datetime.fromtimestamp(time.time(), UTC)
    return sign(CANCEL, producer="ops", key=key, algorithm="HS256", now=now)


def misplaced(signed: str) -> list[tuple[str, list[Any], dict[str, Any], dict[str, Any]]]:
    """Return messages with a valid token where it does not belong: task, arguments, options."""
    bare = {"backend": "ess", "job_id": "7"}
    return [
        ("cancel", [], {**bare, "Token": signed}, {}),
        ("cancel", [{**bare, "token": signed}], {}, {}),
        ("cancel", [], {"command": {**bare, "token": signed}}, {}),
        ("submit", [], {"cmds": [{**CANCEL, "token": signed}]}, {}),
        ("submit", [], {"commands": {**CANCEL, "token": signed}}, {}),
        ("submit", [[[{**CANCEL, "token": signed}]]], {}, {}),
        ("cancel", [], {**bare, "token": signed}, {"serializer": "pickle"}),
        ("cancel", [], {**bare, "token": signed}, {"serializer": "pickle", "compression": "zlib"}),
        ("cancel", [], {**bare, "reason": signed, "requested_by": f"Bearer {signed}", "labels": {signed: signed}}, {}),
        ("cancel", [], {"backend": signed[:60], "job_id": signed}, {}),
        ("abort", [], {"id": signed, "by": "ann", "reason": "x", "token": signed}, {}),
        (signed, [], {}, {}),
        ("cancel", [base64.b64encode(json.dumps({"token": signed}).encode()).decode()], {}, {}),
    ]


def test_no_token_is_in_anything_that_a_run_has_written(tmp_path: Path) -> None:
    (tmp_path / "ops.key").write_text(KEY)
    with cell(tmp_path, GUARDED) as one:
        one.env["CANCELLER_LOG_LEVEL"] = "debug"
        one.start_worker(fresh=True)
        signed = [token(), token("another-secret-of-at-least-32-bytes!")]
        count = 0
        for each in signed:
            for task, args, kwargs, options in misplaced(each):
                one.sender.send_task(f"worker.{task}", args, kwargs, queue="commands", **options)
                count += 1
            for raw in (each.encode(), b"\xff" + each.encode(), json.dumps({"token": each}).encode("utf-16")):
                one.redis.lpush("commands", raw)
                count += 1
        one.wait_until(lambda: len(one.of("rejected")) == count)
        one.simulator.add_job("ess", 7)
        one.send("cancel", backend="ess", job_id="7", token=signed[0])  # none of the above has used the token up
        one.wait_finished(1)
        one.wait_until(
            lambda: (
                not any(one.redis.llen(key) for key in one.redis.keys("commands*:*") if one.redis.type(key) == b"list")
            )
        )
        found = written(one)

    assert not leaks(
        found, [part for each in signed for part in (each, each.split(".")[2], ".".join(each.split(".")[:2]))]
    )
    assert found["dead-letters list --json"].count("[token]") >= count - 8
