"""PURE: what is wrong with the lines of a file; each line is named, however many have the same mistake."""

from __future__ import annotations


class Mistakes(dict[str, list[list[int]]]):
    """Mistakes by their texts, each with the runs of its lines: the first and the last number.

    So a file that is wrong from end to end takes no memory.
    """

    def add(self, line: int, text: str) -> None:
        """Note a mistake; the lines of one text come in their order."""
        runs = self.setdefault(text, [])
        if runs and runs[-1][1] >= line - 1:
            runs[-1][1] = line
        else:
            runs.append([line, line])

    def texts(self) -> list[str]:
        """Return each mistake, as `lines 3, 7-9: what is wrong`, in the order in which they are met in the file."""
        found = []
        for text, runs in sorted(self.items(), key=lambda one: one[1][0]):
            names = ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)
            found.append(f"line{'' if names.isdecimal() else 's'} {names}: {text}")
        return found
