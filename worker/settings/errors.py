"""The exceptions of this package."""

from collections.abc import Iterable, Iterator


class ConfigurationError(Exception):
    """The configuration is wrong; all that is known to be wrong is listed at once.

    Attributes:
        problems: One text per mistake: the place (variable, or file, table and field), what is
            wrong, and how to fix it. Never a secret's content.

    """

    def __init__(self, problems: Iterable[str]) -> None:
        """Keep every problem, in the order of the file; an explanation that several share is given once."""
        self.problems: tuple[str, ...] = tuple(_explained_once(problems))
        super().__init__(self.problems)

    def __str__(self) -> str:
        """One problem per line."""
        return "\n".join(self.problems)


class Mistakes(ValueError):
    """Several things are wrong with one value; each text is a problem of its own, to follow the value's place."""

    def __init__(self, texts: Iterable[str]) -> None:
        """Keep every text."""
        self.texts = tuple(texts)
        super().__init__("; ".join(self.texts))


def texts_of(error: ValueError) -> tuple[str, ...]:
    """Return one text for each thing that is wrong with a value."""
    return error.texts if isinstance(error, Mistakes) else (str(error),)


def _explained_once(problems: Iterable[str]) -> Iterator[str]:
    from .quantities import EXPLANATIONS  # noqa: PLC0415 - needed for mistakes alone, and pydantic takes a while to load

    told: set[str] = set()
    for problem in problems:
        explanation = next((text for text in EXPLANATIONS if problem.endswith(text)), "")
        yield problem.removesuffix(explanation) if explanation in told else problem
        told.add(explanation)
