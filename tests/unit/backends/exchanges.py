"""Drives an adapter's exchange without IO."""

from __future__ import annotations

from typing import Any

from worker.backends.base import Reply, Request


def play(exchange: Any, *replies: Reply) -> tuple[list[Request], Any]:
    """Drive an exchange with these replies, the last one repeated; return its requests and its result."""
    requests = []
    try:
        requests.append(next(exchange))
        while True:
            requests.append(exchange.send(replies[min(len(requests), len(replies)) - 1]))
    except StopIteration as end:
        return requests, end.value
