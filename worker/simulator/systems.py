"""The systems: one row each, with its paths, states and token service."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from . import ess_state, mrs_view, oml, sahara
from .ess import ESS
from .iam import IAM
from .mrs import MRS
from .oml import OML
from .sahara import SAHARA

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from .job import Course, Job, Moment
    from .wire import System
    from .world import World


class Row(NamedTuple):
    """A system, its states, the token service that it trusts, and where it is found.

    Its paths begin with one of `roots`, or with `prefix`, which is not part of what the system sees. `forbidden` is the
    HTTP status for a lack of rights.
    """

    system: System
    course: Course
    moment_of: Callable[[World, Job, float], Moment]
    issuer: str
    roots: tuple[str, ...] = ()
    prefix: str = ""
    forbidden: int = 403


SYSTEMS: dict[str, Row] = {
    "ess": Row(ESS, ess_state.COURSE, ess_state.moment_of, "oauth2", roots=("ess", "oauth2")),
    "oml": Row(OML, oml.COURSE, oml.moment_of, "oml", roots=("oml", "omlusers"), forbidden=401),  # SEED S1
    "mrs": Row(MRS, mrs_view.COURSE, mrs_view.moment_of, "keystone", prefix="mrs"),
    "sahara": Row(SAHARA, sahara.COURSE, sahara.moment_of, "keystone", prefix="sahara"),
}
COURSES = {name: row.course for name, row in SYSTEMS.items()}
MOMENTS = {name: row.moment_of for name, row in SYSTEMS.items()}
_AT_ROOT: dict[str, System] = {root: row.system for row in SYSTEMS.values() for root in row.roots} | {"v3": IAM}


def locate(parts: Sequence[str]) -> tuple[System, Sequence[str]]:
    """Find the system that a path belongs to, and the path as that system knows it."""
    for row in SYSTEMS.values():
        if row.prefix and row.prefix == parts[0]:
            return row.system, parts[1:]
    return _AT_ROOT.get(parts[0], ESS), parts
