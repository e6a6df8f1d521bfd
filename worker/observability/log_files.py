"""A log file that survives its rotation."""

import os
import threading
from io import FileIO
from pathlib import Path


class LogFile:
    """Appends to a file, which is opened anew where it was moved away or deleted; a stream as loggers want it."""

    encoding = "utf-8"

    def __init__(self, path: str | Path) -> None:
        """Raises OSError where the file can't be written."""
        self._path = Path(path).absolute()
        self._lock = threading.Lock()
        self._file = self._opened()

    def write(self, text: str) -> int:
        """Write a text to the disk."""
        with self._lock:
            if self._is_elsewhere():
                self._file.close()
                self._file = self._opened()
            return self._file.write(text.encode(self.encoding, "backslashreplace"))

    def flush(self) -> None:
        """Put on disk what is not there yet: nothing."""

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def isatty(self) -> bool:
        """Whether people read it as it comes: they do not."""
        return False

    def _opened(self) -> FileIO:
        # Without a buffer: its lock would hold up the end of a process that hangs in a write.
        return FileIO(self._path, "a")

    def _is_elsewhere(self) -> bool:
        try:
            return not os.path.samestat(self._path.stat(), os.fstat(self._file.fileno()))
        except FileNotFoundError:
            return True
