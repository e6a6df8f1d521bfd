"""PURE: what is wrong with the lines of a file; each line is named, however many have the same mistake."""

from __future__ import annotations


class Mistakes(dict[str, list[list[int]]]):
    """Mistakes by their texts, each with its runs of lines: the first and the last number.

    So even a file that is wrong from end to end takes little memory.
    """

    def add(self, line: int, text: str) -> None:
        """Note a mistake; the lines of one text must be added in order."""
        runs = self.setdefault(text, [])
        if runs and runs[-1][1] >= line - 1:
            runs[-1][1] = line
        else:
            runs.append([line, line])

    def texts(self) -> list[str]:
        """Return each mistake, as `lines 3, 7-9: what is wrong`, in the order in which they occur in the file."""
        found = []
        for text, runs in sorted(self.items(), key=lambda one: one[1][0]):
            names = ", ".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)
            found.append(f"line{'' if names.isdecimal() else 's'} {names}: {text}")
        return found
