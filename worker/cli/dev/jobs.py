"""What `dev` has to play with: simulated jobs of each kind, and commands to type. Data only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

JOBS: Sequence[Mapping[str, Any]] = (
    {"system": "ess", "id": "300100", "life": "runs"},
    {"system": "ess", "id": "300101", "life": "runs"},
    {"system": "ess", "id": "300102", "life": "stuck"},
    {
        "system": "ess",
        "id": "300103",
        "life": "runs",
        "children": [{"id": "300131", "life": "runs"}, {"id": "300132", "life": "runs"}],
    },
    {"system": "ess", "id": "300104", "life": "race"},
    {"system": "ess", "id": "300105", "life": "runs", "succeeds_after": 3600},
    {"system": "ess", "id": "300106", "life": "finished"},
    {"system": "oml", "id": "oml-1", "life": "runs"},
    {"system": "oml", "id": "oml-2", "life": "runs", "succeeds_after": 3600},
    {"system": "oml", "id": "oml-3", "life": "finished"},
    {"system": "mrs", "id": "mrs-1", "life": "runs"},
    {"system": "mrs", "id": "mrs-2", "life": "runs", "succeeds_after": 3600},
    {"system": "mrs", "id": "mrs-3", "life": "race"},
    {"system": "sahara", "id": "job-1", "life": "runs"},
    {"system": "sahara", "id": "job-2", "life": "falls_back", "killed_after": 600},
    {"system": "sahara", "id": "job-3", "life": "protected"},
)
"""In the simulator's words; times are simulated seconds."""

NEXT: Sequence[tuple[str, str]] = (
    ('canceller cancel ess 300101 --reason "try it" --wait', "it runs, and is seen stopped"),
    ("canceller cancel oml oml-1 --dry-run", "sends nothing, and says what would be sent"),
    ("canceller delete sahara job-1 --wait", "its record is removed too"),
    ("canceller cancel ess 300102", "it hangs in CANCELLING; a force needs half an hour, and somebody's word"),
    ("canceller status ess 300102", "what was done, what comes next, and what stands in the way"),
    (
        'canceller attest ess 300102 --by me --reason "its process is gone"',
        "your word for that; it is forced once the time is up",
    ),
    ("canceller list --finished", "what has ended, and what proves it"),
    ("canceller check", "whether the deployment is as it should be"),
)
"""What to type, in this order, and what it shows."""
MORE = (
    """curl -d '{"system": "ess", "id": "1", "life": "stuck"}' SIMULATOR/_sim/jobs""",
    "makes another job: see `canceller guide simulator`",
)
"""The same, with the simulator's address left open."""
