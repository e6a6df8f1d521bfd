"""The figures of the import graph: `python -m tests.support.rooms [PACKAGE]`; exit 1 if one is over its limit.

A room is a package or a single module directly below PACKAGE, `worker` by default. There is an arrow from a room to
another if any of its modules imports any of the other's. A room is one floor above the highest room that it imports;
rooms in an import cycle share a floor.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from graphlib import TopologicalSorter

import grimp

LIMITS = {"rooms": 20, "floors": 8, "arrows": 90, "circles": 0}
Arrow = tuple[str, str]


@dataclass(frozen=True)
class Plan:
    """The rooms of a package; `imports` maps each room to those that it imports."""

    imports: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @property
    def arrows(self) -> list[Arrow]:
        """Each import of one room by another: (importer, imported)."""
        return sorted((room, other) for room, others in self.imports.items() for other in others)

    @property
    def circles(self) -> list[frozenset[str]]:
        """Groups of rooms that import each other, directly or through others."""
        reached = {room: frozenset(self._reached(room)) for room in self.imports}
        groups = {frozenset(one for one in seen if room in reached[one]) for room, seen in reached.items()}
        return sorted((group for group in groups if len(group) > 1), key=sorted)

    @property
    def floors(self) -> list[list[str]]:
        """The rooms of each floor, the lowest one first; a room is one floor above the highest that it imports."""
        group_of = {room: frozenset((room,)) for room in self.imports}
        group_of |= {room: circle for circle in self.circles for room in circle}
        below = {
            group: {group_of[other] for room in group for other in self.imports[room]} - {group}
            for group in group_of.values()
        }
        floor: dict[frozenset[str], int] = {}
        for group in TopologicalSorter(below).static_order():
            floor[group] = 1 + max((floor[one] for one in below[group]), default=0)
        levels = range(1, max(floor.values(), default=0) + 1)
        return [sorted(room for group, level in floor.items() if level == one for room in group) for one in levels]

    def figures(self) -> dict[str, int]:
        """Return the figures that have a limit."""
        found = {"rooms": self.imports, "floors": self.floors, "arrows": self.arrows, "circles": self.circles}
        return {name: len(several) for name, several in found.items()}

    def _reached(self, room: str) -> set[str]:
        found: set[str] = set()
        ahead = [room]
        while ahead:
            new = self.imports[ahead.pop()] - found
            found |= new
            ahead += new
        return found


def plan(modules: Iterable[str], imports: Iterable[Arrow], package: str) -> Plan:
    """Derive the rooms from all modules of a package and their imports."""
    above: dict[str, set[str]] = {room: set() for module in modules for room in _room(module, package)}
    for importer, imported in imports:
        for room in _room(importer, package):
            above[room].update(set(_room(imported, package)) - {room})
    return Plan({room: frozenset(others) for room, others in above.items()})


def _room(module: str, package: str) -> Iterator[str]:
    """Yield a module's room; the package itself and its `__main__` are in none."""
    name = module.removeprefix(f"{package}.").partition(".")[0]
    if module != package and name != "__main__":
        yield name


def drawn(package: str) -> Plan:
    """Read a package's import graph."""
    graph = grimp.build_graph(package, cache_dir=None)
    imports = [(one, other) for one in graph.modules for other in graph.find_modules_directly_imported_by(one)]
    return plan(graph.modules, imports, package)


def main(package: str = "worker") -> int:
    """Print the figures and the floors, from the highest down; return the exit code."""
    found = drawn(package)
    figures = found.figures()
    for name, figure in figures.items():
        print(f"{name:8}{figure:4}  at most {LIMITS[name]}{'  TOO MANY' if figure > LIMITS[name] else ''}")
    for number, rooms in reversed(list(enumerate(found.floors, 1))):
        print(f"floor {number:2}  {' '.join(rooms)}")
    for circle in found.circles:
        print(f"circle    {' '.join(sorted(circle))}")
    return int(any(figure > LIMITS[name] for name, figure in figures.items()))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
