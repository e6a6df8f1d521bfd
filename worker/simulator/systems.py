"""The systems by name, and where each is mounted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import ess, ess_state, mrs_view, oml, sahara
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

COURSES: dict[str, Course] = {
    "ess": ess_state.COURSE,
    "oml": oml.COURSE,
    "mrs": mrs_view.COURSE,
    "sahara": sahara.COURSE,
}
MOMENTS: dict[str, Callable[[World, Job, float], Moment]] = {
    "ess": ess_state.moment_of,
    "oml": oml.moment_of,
    "mrs": mrs_view.moment_of,
    "sahara": sahara.moment_of,
}
MOUNTS: dict[str, str] = {"ess": "", "oml": "", "mrs": "/mrs", "sahara": "/sahara"}
"""What a client adds to the simulator's address to make each system's base address."""

_UNDER_PREFIX = {"mrs": MRS, "sahara": SAHARA}
_AT_ROOT = {"ess": ESS, "oauth2": ESS, "oml": OML, "omlusers": OML, "v3": IAM}
FORBIDDEN = {"oml": 401}
"""The HTTP status for a lack of rights where it is not 403 (SEED S1)."""


def locate(parts: Sequence[str]) -> tuple[System, Sequence[str]]:
    """Find the system that a path belongs to, and the path as that system knows it."""
    if parts[0] in _UNDER_PREFIX:
        return _UNDER_PREFIX[parts[0]], parts[1:]
    return _AT_ROOT.get(parts[0], ESS), parts


def request_handle(job: Job) -> str | None:
    """Tell the handle for executionStatus, for systems that have one."""
    return ess.handle(job) if job.system == "ess" else None
