"""An address to listen on, as people write it: HOST:PORT."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Self

MOST = 65535
FORM = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<host>[^\s:/@\[\]]+)):(?P<port>\d{1,5})")


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """A host, an IPv6 address without its brackets, and a port; port 0 picks a free one."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `HOST:PORT`; raises ValueError."""
        found = FORM.fullmatch(text.strip())
        if found is None or int(found["port"]) > MOST:
            raise ValueError("must be HOST:PORT, such as 127.0.0.1:9100, [::1]:9100, or 0.0.0.0:9100 for all networks")
        return cls(found["six"] or found["host"], int(found["port"]))

    def of_worker(self, index: int) -> Self:
        """Return the address of one of several workers on this machine: each has a port of its own.

        Raises ValueError if there is no such port.
        """
        if self.port and self.port + index > MOST:
            raise ValueError(f"leaves no port for worker {index + 1}: it would be {self.port + index}")
        return replace(self, port=self.port + index) if self.port else self

    def __str__(self) -> str:
        """Write it as it is read."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
