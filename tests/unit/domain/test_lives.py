"""The state diagram of a record in ARCHITECTURE.md shows what the core does, no more and no less."""

from __future__ import annotations

import re
from pathlib import Path

from unit.domain.lives import FINISHED, Move, moves

PAGE = (Path(__file__).resolve().parents[3] / "ARCHITECTURE.md").read_text(encoding="utf-8")
START = Move("[*]", "accepted")
END = Move(FINISHED, "[*]")


def drawn() -> set[Move]:
    """Read the arrows of the diagram."""
    (diagram,) = re.findall(r"```mermaid\nstateDiagram-v2\n(.*?)```", PAGE, re.DOTALL)
    return {Move(*arrow) for arrow in re.findall(r"^ +(\S+) --> ([^\s:]+)", diagram, re.MULTILINE)}


def test_every_move_of_a_record_is_drawn() -> None:
    assert moves() <= drawn()


def test_every_arrow_is_a_move_of_a_record() -> None:
    assert drawn() <= moves() | {START, END}
