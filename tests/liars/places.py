"""The backends that lives run on, and their times."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tests.liars.judge import Times

FORCE_AFTER, GIVE_UP = 1.0, 4.5
TIMES = Times(poll_max=0.5, believe_after=0.9, force_after=FORCE_AFTER, give_up_after=GIVE_UP)
PATIENT = replace(TIMES, believe_after=3.4, give_up_after=8.0)
"""For lies of a token service: a refused credential is not requested again at once, which must not count as lasting."""
APPEARS_WITHIN = 0.7


@dataclass(frozen=True, slots=True)
class Place:
    """One backend: `kind` is its name for lies, `system` its name in the simulator."""

    name: str
    system: str
    config: str
    dialect: str = ""
    times: Times = TIMES
    knobs: Mapping[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """Its name for lies: the system, with the dialect if it has several."""
        return f"{self.system}-{self.dialect}" if self.dialect else self.system


NONE = 'auth = { type = "none" }'
ESS = {"ess.cancel_delay": 0.3, "ess.force_window": FORCE_AFTER}
SAHARA = {"sahara.engine_delay": 0.3, "sahara.canceling_timeout": 0.5}
TOKENS = {"ess.auth": "bearer", "ess.token_life": 1.0}
OAUTH = (
    'auth = { type = "oauth2_client_credentials", token_url = "http://liar/oauth2/v1/token", '
    'client_id_env = "LIARS_USER", client_secret_env = "LIARS_PASSWORD" }'
)
PLACES = (
    Place("ess", "ess", f'kind = "oracle-ess"\nforce = "auto"\n{NONE}', knobs=ESS),
    Place("ess-probe", "ess", f'kind = "oracle-ess"\nforce = "attested"\n{NONE}', knobs=ESS),
    Place("ess-token", "ess", f'kind = "oracle-ess"\nforce = "auto"\n{OAUTH}', times=PATIENT, knobs=ESS | TOKENS),
    Place("oml-r", "oml", f'kind = "oracle-ml"\n{NONE}'),
    Place("oml-py", "oml", f'kind = "oracle-ml"\nscripts = "py-scripts"\n{NONE}'),
    Place("mrs-v1", "mrs", f'kind = "mrs"\nproject_id = "p1"\n{NONE}', "v1", knobs={"mrs.cancel_delay": 0.3}),
    Place(
        "mrs-v2",
        "mrs",
        f'kind = "mrs"\nproject_id = "p1"\ndialect = "v2"\n{NONE}',
        "v2",
        knobs={"mrs.cancel_delay": 0.3},
    ),
    Place("sahara-v1", "sahara", f'kind = "sahara"\nproject_id = "p1"\n{NONE}', "v1", knobs=SAHARA),
    Place("sahara-v2", "sahara", f'kind = "sahara"\nproject_id = "p1"\ndialect = "v2"\n{NONE}', "v2", knobs=SAHARA),
)
BY_NAME = {place.name: place for place in PLACES}


def ids(place: Place, number: int, at: int) -> str:
    """Return an id of a life; no two lives share one."""
    return str(10**12 + number * 1000 + at) if place.system == "ess" else f"job-{number}-{at}"
