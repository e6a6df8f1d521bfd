"""PURE but for its stream: which jobs a file selects, as commands.

A file holds ids, one per line; CSV with a header; or commands as JSON, one object per line. Its content decides which.
All of it is read before anything is sent, and every line that is wrong is named.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterator, Mapping
from itertools import chain
from typing import Any, BinaryIO

from ...domain.errors import InvalidCommand
from ...protocol.messages import parse_command
from ...settings import errors
from ...settings.problems import choices, suggestion
from .columns import JOB, csv_rows, separator_of
from .lines import text_lines
from .mistakes import Mistakes
from .spool import Spool

NO_MEMBERS_FIELDS: Mapping[str, str] = {
    "dry_run": "a plan looks at every job anyway, and apply does what was planned: leave it out",
    "batch_id": "the batch gives its members its own id: leave it out",
    "lane": "a batch's members go into the lane of that name: leave it out",
    "token": "a signature covers one command alone: sign the batch with --key and --producer",
}
"""The fields of a command that a member can't have, and why."""
NOT_IN_IDS = ',;"\t{}'
"""Characters that an id alone on a line may not have: such a line was meant as something else."""

Row = tuple[int, Mapping[str, Any]]
"""A line's number and what it says of a command."""


class SelectionMistakes(errors.Mistakes):
    """A file can't be used; `texts` says what is wrong with which lines."""


def select(
    source: BinaryIO, name: str, members: Spool, defaults: Mapping[str, Any], backends: Collection[str] = ()
) -> list[str]:
    """Read all commands of a file that is called `name` into `members`; say which lines are left out, and why.

    `defaults` are the fields that lines leave out. `backends` are the known names; empty if they are not known.

    Raises:
        SelectionMistakes: lists every line that is wrong, or says that nothing is selected.

    """
    mistakes = Mistakes()
    taking = _Taking(members, defaults, backends, mistakes)
    for line, fields in rows(text_lines(source, mistakes), name, mistakes):
        taking.take(line, fields)
    if mistakes:
        raise SelectionMistakes(mistakes.texts())
    if not members:
        raise SelectionMistakes([f"{name} selects no job: there is nothing to do"])
    return taking.repeated.texts()


class _Taking:
    """Takes the rows of a file, each job once."""

    def __init__(
        self, members: Spool, defaults: Mapping[str, Any], backends: Collection[str], mistakes: Mistakes
    ) -> None:
        self.repeated = Mistakes()
        self._members = members
        self._defaults = defaults
        self._backends = backends
        self._mistakes = mistakes
        self._taken: dict[bytes, tuple[int, str]] = {}

    def take(self, line: int, fields: Mapping[str, Any]) -> None:
        """Take a row as a command, or note what is wrong with it."""
        command = with_defaults(fields, self._defaults)
        try:
            self._check(command)
            read = parse_command(command)
        except InvalidCommand as error:
            self._mistakes.add(line, str(error))
            return
        job, verb = [read.backend, read.job_id, sorted(read.params.items())], read.verb
        digest = hashlib.blake2b(json.dumps(job).encode(), digest_size=12).digest()  # few bytes for each of many jobs
        first, was = self._taken.setdefault(digest, (line, verb))
        if first == line:
            self._members.add({**command, JOB: read.job_id})
        elif was == verb:
            self.repeated.add(line, "left out, since earlier lines name the same jobs")
        else:
            self._mistakes.add(line, f"asks to {verb} a job that line {first} asks to {was}")

    def _check(self, command: Mapping[str, Any]) -> None:
        for name, why in NO_MEMBERS_FIELDS.items():
            if command.get(name) is not None:
                raise InvalidCommand(f"{name}: {why}")
        backend = command.get("backend")
        if backend is None:
            raise InvalidCommand("names no backend: give --backend NAME")
        if self._backends and backend not in self._backends:
            close = suggestion(str(backend)[:64], self._backends)
            raise InvalidCommand(f"backend: no worker serves it (they serve {choices(sorted(self._backends))}){close}")


def with_defaults(fields: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Fill in what a line leaves out; labels and params one by one."""
    whole = {**defaults, **{name: value for name, value in fields.items() if value is not None}}
    for name in ("labels", "params"):
        own, given = fields.get(name), defaults.get(name)
        if isinstance(own, Mapping) and isinstance(given, Mapping):
            whole[name] = {**given, **own}
    return whole


def rows(lines: Iterator[str], name: str, mistakes: Mistakes) -> Iterator[Row]:
    """Yield what each line says; the first one that is not empty decides how all are read."""
    skipped = 0
    for first in lines:
        if first.strip():
            break
        skipped += 1
    else:
        return
    rest = chain((first,), lines)
    if first.lstrip().startswith("{"):
        yield from _json_rows(rest, skipped, mistakes)
    elif separator := separator_of(first):
        yield from csv_rows(rest, skipped, separator, mistakes)
    elif name.lower().endswith(".csv"):
        mistakes.add(skipped + 1, f"is not a header: one of its columns must be {JOB}")
    else:
        yield from _id_rows(rest, skipped, mistakes)


def _id_rows(lines: Iterator[str], skipped: int, mistakes: Mistakes) -> Iterator[Row]:
    for number, line in enumerate(lines, skipped + 1):
        job_id = line.strip()
        if any(char in job_id for char in NOT_IN_IDS):
            mistakes.add(number, f"is not just an id: CSV begins with a header that names {JOB}, JSON with a {{")
        elif job_id:
            yield number, {JOB: job_id}


def _json_rows(lines: Iterator[str], skipped: int, mistakes: Mistakes) -> Iterator[Row]:
    for number, line in enumerate(lines, skipped + 1):
        if not line.strip():
            continue
        try:
            found = json.loads(line, parse_constant=_no_number)
        except (ValueError, RecursionError) as error:
            mistakes.add(number, f"is not JSON: {getattr(error, 'msg', error)}")
            continue
        if not isinstance(found, dict):
            mistakes.add(number, "is not a JSON object")
        elif "plan" in found and JOB not in found:
            mistakes.add(number, "is a plan's first line: send plans with `canceller batch apply`")
            return
        else:
            yield number, found


def _no_number(word: str) -> Callable[[], None]:
    raise ValueError(f"{word} is not a number")
