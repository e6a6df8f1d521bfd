"""Ports for servers that must know theirs before they start."""

from __future__ import annotations

import random
import socket

HOST = "127.0.0.1"
FIRST, LAST = 20_000, 32_000
"""Below the ports that systems assign to connections and to servers on port 0, which could take one of ours first."""
_ours: list[socket.socket] = []
"""UDP sockets with the numbers of the ports: they show other test processes which ports are taken."""


def free_ports(count: int) -> list[int]:
    """Return ports in ascending order that nobody listens on and that no other test gets."""
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
