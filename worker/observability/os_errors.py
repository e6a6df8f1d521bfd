"""The words of the operating system's errors."""

from __future__ import annotations

import os


def in_words(error: OSError) -> str:
    """Say what the operating system refused, without its number and Python's names."""
    return os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
