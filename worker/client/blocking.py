"""Turns the methods of the asynchronous client into blocking ones, for code without an asyncio loop."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import dataclass
from functools import wraps
from inspect import Signature, signature
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

from ..aio.loop_thread import LoopThread

Inner = TypeVar("Inner")
Given = ParamSpec("Given")
Returned = TypeVar("Returned")
Found = TypeVar("Found")
Wrapped = TypeVar("Wrapped")


@dataclass(unsafe_hash=True)
class Blocking(Generic[Inner]):
    """An asynchronous object and the thread whose loop runs its calls."""

    inner: Inner
    thread: LoopThread


def named_as_blocking(method: Callable[..., Any]) -> Signature:
    """Return a method's signature, with the return type named as its blocking counterpart: without `Async`."""
    found = signature(method)
    return found.replace(return_annotation=str(found.return_annotation).removeprefix("Async"))


def blocking(
    method: Callable[Concatenate[Inner, Given], Coroutine[Any, Any, Returned]],
) -> Callable[Concatenate[Blocking[Inner], Given], Returned]:
    """Return a method that calls the asynchronous object's method and waits for it."""

    @wraps(method)
    def call(self: Blocking[Inner], /, *args: Given.args, **kwargs: Given.kwargs) -> Returned:
        return self.thread.call(method(self.inner, *args, **kwargs))

    return call


def returning(
    kind: Callable[[Found, LoopThread], Wrapped],
    method: Callable[Concatenate[Inner, Given], Coroutine[Any, Any, Found]],
) -> Callable[Concatenate[Blocking[Inner], Given], Wrapped]:
    """Return a blocking method that wraps the asynchronous object it gets in one of the blocking `kind`."""
    get = blocking(method)

    @wraps(method)
    def call(self: Blocking[Inner], /, *args: Given.args, **kwargs: Given.kwargs) -> Wrapped:
        return kind(get(self, *args, **kwargs), self.thread)

    call.__signature__ = named_as_blocking(method)  # type: ignore[attr-defined]  # read by `help` and editors
    return call


def walking(
    method: Callable[Concatenate[Inner, Given], AsyncIterator[Found]],
) -> Callable[Concatenate[Blocking[Inner], Given], Iterator[Found]]:
    """Return a blocking method that yields what the asynchronous object's method yields."""

    @wraps(method)
    def walk(self: Blocking[Inner], /, *args: Given.args, **kwargs: Given.kwargs) -> Iterator[Found]:
        stream = method(self.inner, *args, **kwargs)

        async def following() -> Found | None:
            return await anext(stream, None)

        while (found := self.thread.call(following())) is not None:
            yield found

    walk.__signature__ = named_as_blocking(method)  # type: ignore[attr-defined]  # read by `help` and editors
    return walk
