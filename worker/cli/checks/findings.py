"""PURE: what `check` finds, and what Redis's answers about itself mean for our data."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ...intake.strays import Stray, visible_name
from ...views.counted import counted

OLDEST = (6, 2)
NAMED = 3
"""How many lists that may not be read are named."""

Verdict = Literal["ok", "warning", "wrong"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at; `to_copy` is a command that fixes it."""

    verdict: Verdict
    what: str
    text: str
    to_copy: str = ""


def probe_judged(status: int, *, gone: bool | None) -> tuple[Verdict, str]:
    """Judge what a second source answers about a process that can't exist; `gone` is None if that says nothing."""
    if gone:
        proof = f"it answers {status} for a job that can't exist: {status} is taken as proof that a process is gone"
        return "ok", f"{proof}, so make sure that it answers something else while a process runs"
    if gone is False:
        there = f"it answers {status}, so it says that a process that can't exist is there"
        return "warning", f"{there}: does it look at the job's id, and is gone_when right?"
    untold = f"it answers {status}, which says nothing about a process"
    return "wrong", f"{untold}: is its URL right? It is asked without a credential, and no redirect is followed"


def redis_findings(info: Mapping[str, Any], fsync: str | None, seconds: float) -> Iterator[Finding]:
    """Judge a Redis by its INFO and its `appendfsync` (None if it does not say); `seconds` is its answer time."""
    name = "Valkey" if "valkey_version" in info else "Redis"
    version = str(info.get("valkey_version") or info.get("redis_version", "unknown"))
    yield Finding("ok", "Redis", f"{name} {version} answers in {seconds * 1000:.0f} ms")
    yield _version(str(info.get("redis_version", "")))
    yield _eviction(info)
    yield _role(info)
    verdict, text = _crash(info, fsync)
    yield Finding(verdict, "after a crash", text)
    yield _replicas(info)


def left_behind(backend: str, place: str, count: int, looked_at: int) -> Finding:
    """Report that `count` of the open cancellations were accepted for a place other than the backend's."""
    text = (
        f"{count} of {looked_at} open cancellations were accepted for another place than {place}, and nothing is done "
        "about them: point the backends file back to their place, or abort them"
    )
    return Finding("warning", f"backend {backend}", text)


def stray_findings(
    strays: Sequence[Stray], queue: str, *, through: bool = True, denied: Collection[bytes] = ()
) -> Iterator[Finding]:
    """Report commands in other lists than the queue, which no worker reads.

    `through` says whether all lists were searched, `denied` names those into which the Redis user may not look.
    """
    for stray in strays:
        several = f"{counted(stray.length, 'message')} in {visible_name(stray.name)}"
        text = f"{several}, commands among them, which no worker reads: {stray.way_out(queue)}"
        yield Finding("warning", f"queue {queue}", text)
    if denied:
        names = ", ".join(visible_name(one.decode("utf-8", "backslashreplace")) for one in sorted(denied)[:NAMED])
        more = f" and {len(denied) - NAMED} more" if len(denied) > NAMED else ""
        text = (
            f"this Redis user may not look into {counted(len(denied), 'other list')} ({names}{more}), where commands "
            "of producers that name no queue or another one would be: check as a user who may read all keys"
        )
        yield Finding("ok", f"queue {queue}", text)
    if not through:
        yield Finding(
            "ok", f"queue {queue}", "the broker holds many keys: not all of its lists were searched for commands"
        )


def _version(version: str) -> Finding:
    parts = tuple(int(part) for part in version.split(".")[:2] if part.isdigit())
    if parts >= OLDEST:
        return Finding("ok", "Redis version", f"{version} (as Redis counts) is 6.2 or later")
    return Finding("wrong", "Redis version", f"{version or 'unknown'} is too old: 6.2 or later is needed")


def _eviction(info: Mapping[str, Any]) -> Finding:
    policy, most = str(info.get("maxmemory_policy", "unknown")), int(info.get("maxmemory", 0))
    room = f"{most / 2**20:.0f} MiB at most" if most else "no limit of its own"
    if policy == "noeviction":
        return Finding("ok", "Redis eviction", f"noeviction; {room}")
    text = f"maxmemory-policy is {policy}: Redis may throw records away when memory is short; set it to noeviction"
    return Finding("wrong" if most else "warning", "Redis eviction", f"{text}; {room}")


def _role(info: Mapping[str, Any]) -> Finding:
    role = str(info.get("role", "master"))
    if role == "master":
        return Finding("ok", "Redis role", "takes writes")
    return Finding("wrong", "Redis role", f"it is a {role} and takes no writes: name the primary in REDIS_URL")


FSYNC: Mapping[str, tuple[Verdict, str]] = {
    "always": ("ok", "nothing that Redis has confirmed is lost (appendfsync always)"),
    "everysec": (
        "ok",
        "about the last second is lost (appendfsync everysec); workers look again before they repeat a call",
    ),
    "no": (
        "warning",
        "what the system had not written yet is lost, often 30 seconds (appendfsync no): set everysec or always",
    ),
}
"""How often the append-only file reaches the disk, and what a crash of the machine then costs."""

UNTOLD = "Redis has an append-only file but does not show its appendfsync: it should be everysec or always"


def _crash(info: Mapping[str, Any], fsync: str | None) -> tuple[Verdict, str]:
    """Say what is lost when the machine of this Redis dies now."""
    if not int(info.get("aof_enabled", 0)):
        return "wrong", _without_log(info)
    if str(info.get("aof_last_write_status", "ok")) != "ok":
        return "wrong", "its last write to the append-only file failed: everything since then would be lost"
    return FSYNC.get(fsync or "", ("warning", UNTOLD))


def _without_log(info: Mapping[str, Any]) -> str:
    unsaved = int(info.get("rdb_changes_since_last_save", 0))
    saved = (
        f"only snapshots remain (now {unsaved} changes behind)" if info.get("rdb_last_save_time") else "nothing remains"
    )
    return (
        "there is no append-only file, so cancellations that were accepted since the last snapshot are lost: "
        f"{saved}; set appendonly yes, appendfsync everysec"
    )


def _replicas(info: Mapping[str, Any]) -> Finding:
    count = int(info.get("connected_slaves", 0))
    if count:
        text = f"{count} connected; a failover loses what had not reached them yet, usually less than a second"
    else:
        text = "none connected: if the machine or its disk is lost, so is all that was accepted and is still open"
    return Finding("ok", "Redis replicas", text)
