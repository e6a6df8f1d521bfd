"""The tasks that producers and operators send. Each is a few lines: what they mean is decided elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from celery import Task
from celery.exceptions import Reject
from celery.signals import setup_logging

from config import logs
from config.settings import Settings
from worker.celery import app
from worker.errors import Permanent, StoreUnavailable
from worker.messages import SUBMIT_LIMIT
from worker.wiring import runtime


@setup_logging.connect
def configure_logs(**_: Any) -> None:
    """Keep Celery from setting up logs of its own."""
    settings = Settings.load()
    logs.configure(settings.log_format, settings.log_level)


@app.task(name="worker.cancel", bind=True)
def cancel(self: Task[..., None], *args: Any, **kwargs: Any) -> None:
    """Take in the command to cancel one job."""
    _take_one(self, "cancel", args, kwargs)


@app.task(name="worker.delete", bind=True)
def delete(self: Task[..., None], *args: Any, **kwargs: Any) -> None:
    """Take in the command to stop one job and to remove its record."""
    _take_one(self, "delete", args, kwargs)


@app.task(name="worker.submit", bind=True)
def submit(self: Task[..., None], *args: Any, **kwargs: Any) -> None:
    """Take in up to 1,000 commands at once."""
    commands = kwargs.get("commands")
    problem = _submit_problem(args, kwargs, commands)
    if problem:
        _keep(lambda: runtime().refuse(_whole(args, kwargs), _id(self), problem))
        return
    contents = [(content, f"{_id(self)}:{index}") for index, content in enumerate(commands or ())]
    _keep(lambda: runtime().take(contents))


@app.task(name="worker.reconcile")
def reconcile(backend: str = "", *_args: Any, **_kwargs: Any) -> None:
    """Work on what is due on one backend; a doorbell, the schedule itself is in Redis."""
    runtime().wake(backend)


@app.task(name="worker.abort", bind=True)
def abort(self: Task[..., None], *args: Any, **kwargs: Any) -> None:
    """Withdraw a cancellation: `id`, `by`, `reason`."""
    _order(self, "abort", args, kwargs)


@app.task(name="worker.attest", bind=True)
def attest(self: Task[..., None], *args: Any, **kwargs: Any) -> None:
    """Give one's word that the remote process of a job has stopped: `id`, `by`, `reason`."""
    _order(self, "attest", args, kwargs)


def _take_one(task: Task[..., None], verb: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    if args:
        problem = "command: the fields of a command are keyword arguments, not positional ones"
    elif kwargs.get("verb", verb) != verb:
        problem = f"verb: is {kwargs['verb']!r:.40} in a worker.{verb}"
    else:
        _keep(lambda: runtime().take([({**kwargs, "verb": verb}, _id(task))]))
        return
    _keep(lambda: runtime().refuse(_whole(args, kwargs), _id(task), problem))


def _submit_problem(args: tuple[Any, ...], kwargs: Mapping[str, Any], commands: object) -> str:
    if args or set(kwargs) != {"commands"} or not isinstance(commands, list):
        return "commands: a worker.submit has one keyword argument, `commands`, a list"
    if len(commands) > SUBMIT_LIMIT:
        return f"commands: {len(commands)} of them, and one message holds {SUBMIT_LIMIT} at most"
    return ""


def _order(task: Task[..., None], order: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> None:
    texts = [kwargs.get(name) for name in ("id", "by", "reason")]
    if args or set(kwargs) - {"id", "by", "reason"} or not all(isinstance(text, str) and text for text in texts):
        problem = f"{order}: needs the keyword arguments id, by and reason, each a text"
        _keep(lambda: runtime().refuse(_whole(args, kwargs), _id(task), problem))
        return
    reference, by, reason = (str(text) for text in texts)
    try:
        _keep(lambda: runtime().order(order, reference, f"{by[:128]}: {reason[:1000]}"))
    except Permanent as error:
        problem = str(error)
        _keep(lambda: runtime().refuse(_whole(args, kwargs), _id(task), problem))


def _id(task: Task[..., None]) -> str:
    return str(task.request.id)


def _whole(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> object:
    return {**kwargs, **({"positional": list(args)} if args else {})}


def _keep(work: Callable[[], None]) -> None:
    """Do the work, or hand the message back to the broker: nothing that was sent is lost with Redis away."""
    try:
        work()
    except StoreUnavailable as error:
        raise Reject(str(error), requeue=True) from error
