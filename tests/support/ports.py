"""Ports for servers that must be given theirs before they start."""

from __future__ import annotations

import random
import socket

HOST = "127.0.0.1"
FIRST, LAST = 20_000, 32_000
"""Below those that systems give to connections and to servers that take any port: such a one could take it first."""
_ours: list[socket.socket] = []
"""What shows other test processes which ports are taken: the UDP sockets of the same numbers."""


def free_ports(count: int) -> list[int]:
    """Return ports, each one above the last, that nobody listens on and that no other test is given."""
    while True:
        first = random.randrange(FIRST, LAST - count)  # noqa: S311 - no secret
        ports = [*range(first, first + count)]
        kept = [socket.socket(type=socket.SOCK_DGRAM) for _ in ports]
        try:
            for port, one in zip(ports, kept, strict=True):
                one.bind((HOST, port))
                with socket.socket() as listener:
                    listener.bind((HOST, port))
        except OSError:
            for one in kept:
                one.close()
        else:
            _ours.extend(kept)
            return ports
