"""Workers of a deployment with an older or newer backends file than the other workers have."""

from __future__ import annotations

from support.cell import Cell, Worker


def file_without(cell: Cell, *names: str) -> str:
    """Write a backends file that does not name some of the deployment's backends; return its path."""
    whole = (cell.directory / "backends.toml").read_text()
    tables = [table for table in whole.split("\n[backends.") if table.partition("]")[0] not in names]
    file = cell.directory / f"without-{'-'.join(names)}.toml"
    file.write_text("\n[backends.".join(tables))
    return str(file)


def start_without(cell: Cell, *names: str) -> Worker:
    """Start a worker that does not know some of the deployment's backends."""
    own = cell.env["CANCELLER_BACKENDS"]
    cell.env["CANCELLER_BACKENDS"] = file_without(cell, *names)
    try:
        return cell.start_worker()
    finally:
        cell.env["CANCELLER_BACKENDS"] = own
