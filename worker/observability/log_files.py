"""A log file that survives its rotation."""

import os
import threading
from io import FileIO
from pathlib import Path


class LogFile:
    """Appends to a file, and reopens it if it was moved away or deleted."""

    encoding = "utf-8"

    def __init__(self, path: str | Path) -> None:
        """Raises OSError if the file can't be written."""
        self._path = Path(path).absolute()
        self._lock = threading.Lock()
        # Without a buffer: its lock would hold up the end of a process that hangs in a write.
        self._file = FileIO(self._path, "a")

    def write(self, text: str) -> int:
        """Write a text to the disk at once."""
        with self._lock:
            if self._is_elsewhere():
                self._file.close()
                self._file = FileIO(self._path, "a")
            return self._file.write(text.encode(self.encoding, "backslashreplace"))

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def isatty(self) -> bool:
        """Whether it is a terminal: it is not."""
        return False

    def _is_elsewhere(self) -> bool:
        try:
            return not os.path.samestat(self._path.stat(), os.fstat(self._file.fileno()))
        except FileNotFoundError:
            return True
