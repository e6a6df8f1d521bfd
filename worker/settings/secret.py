"""Secrets by reference: a variable or a file, read when used, never kept and never shown."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from .env_file import process_environment
from .errors import ConfigurationError

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_SHOWABLE: Final = re.compile(r"[A-Z][A-Z0-9_]{0,63}")


@dataclass(frozen=True, slots=True)
class Secret:
    """Where a secret is, not the secret.

    Attributes:
        source: `env` for a variable of the environment, `file` for a file.
        name: The variable's name, or the file's path.

    """

    source: Literal["env", "file"]
    name: str

    def __repr__(self) -> str:
        """Show only where it comes from."""
        return f"<Secret from {self.place}>"

    @property
    def place(self) -> str:
        """The place in words. A name with an unusual spelling is not shown: it may be the secret."""
        if self.source == "file":
            return f"file {self.name}"
        shown = self.name if _SHOWABLE.fullmatch(self.name) else "named there"
        return f"environment variable {shown}"

    def read(self, environ: Mapping[str, str] | None = None) -> str:
        """Read it anew, without the newline at its end; a file may have changed meanwhile.

        Args:
            environ: Instead of this process's environment.

        Raises:
            ConfigurationError: It is missing, unreadable or empty.

        """
        problem = self.problem(environ)
        if problem is not None:
            raise ConfigurationError([problem])
        return self._content(environ).rstrip("\r\n")

    def problem(self, environ: Mapping[str, str] | None = None) -> str | None:
        """Say why it cannot be read, without any of its content; None if it can."""
        if self.source == "env" and not _NAME.fullmatch(self.name):
            return "must be the name of an environment variable, not the secret itself"
        try:
            content = self._content(environ)
        except KeyError:
            return f"{self.place} is not set: set it where this process starts"
        except UnicodeDecodeError:
            return f"{self.place} is not UTF-8 text"
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "its path is not valid"
            return f"{self.place} cannot be read ({reason}): create it for this user"
        return None if content.strip() else f"{self.place} is empty: put the secret there"

    def _content(self, environ: Mapping[str, str] | None) -> str:
        if self.source == "file":
            return Path(self.name).read_text(encoding="utf-8-sig")
        return (process_environment() if environ is None else environ)[self.name]
