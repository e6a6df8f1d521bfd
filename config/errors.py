"""The one exception of this package."""

from collections.abc import Iterable


class ConfigurationError(Exception):
    """The configuration is wrong; all that is known to be wrong is listed at once.

    Attributes:
        problems: One text per mistake: the place (variable, or file, table and field), what is
            wrong, and the way out. Never a secret's content.

    """

    def __init__(self, problems: Iterable[str]) -> None:
        """Keep every problem, in the order of the file."""
        self.problems: tuple[str, ...] = tuple(problems)
        super().__init__(self.problems)

    def __str__(self) -> str:
        """One problem per line."""
        return "\n".join(self.problems)
