"""The table of one backend: the keys that all kinds share. A kind's other keys are defined beside its adapter."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Final, Literal

from pydantic import (
    AfterValidator,
    Field,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    ValidationInfo,
    field_validator,
)

from ..quantities import LONGEST, Duration, PositiveDuration, Size
from .auth import Auth, KeystoneAuth
from .fields import BaseUrl, ProbeUrl, Segment, Statuses, Table
from .headers import Headers, HeadersFromEnv
from .proxies import ProxyEnv, ProxyUrl
from .tls_files import TlsFiles

MOST_LOOKS: Final = 50
"""The most looks at one job after the end of its cancellation."""

Force = Literal["auto", "attested", "never"]
Requirement = Literal["reason", "requested_by"]
Number = Annotated[StrictFloat, Field(allow_inf_nan=False)]
Count = Annotated[StrictInt, Field(ge=1)]


class Poll(Table):
    """How often a job is looked at: from `first` by `factor` up to `max`; seconds."""

    first: Duration = 2.0
    max: Annotated[PositiveDuration, Field(validate_default=True)] = 60.0
    factor: Annotated[Number, Field(ge=1)] = 2.0

    @field_validator("max")
    @classmethod
    def _at_least_first(cls, value: float, info: ValidationInfo) -> float:
        if value < info.data.get("first", 0.0):
            raise ValueError("must not be shorter than poll.first: change one of them")
        return value


def _not_for_ever(value: float) -> float:
    if value > LONGEST:
        raise ValueError(f"must be {LONGEST / 86400:g} days at most")
    return value


def _rising(value: tuple[float, ...]) -> tuple[float, ...]:
    if any(later <= earlier for earlier, later in pairwise(value)):
        raise ValueError("must be in ascending order: each time counts from the end, not from the time before it")
    return value


WatchTime = Annotated[PositiveDuration, AfterValidator(_not_for_ever)]
WatchTimes = Annotated[tuple[WatchTime, ...], Field(max_length=MOST_LOOKS), AfterValidator(_rising)]


class Breaker(Table):
    """After `failures` in a row, no calls for `pause` seconds."""

    failures: Count = 10
    pause: PositiveDuration = 15.0


class RemoteProbe(Table):
    """A second source: a GET that answers one of `gone_when` proves the remote process gone; another 2xx, running.

    `gone_when` has no default: a mistyped URL answers 404 as well, and here that would be a proof.
    """

    url: ProbeUrl
    gone_when: Statuses


class BackendConfig(TlsFiles):
    """What every kind has. Times are seconds, sizes bytes, `rate` calls per second."""

    kind: StrictStr
    base_url: BaseUrl
    auth: Auth
    force: Force = "attested"
    attest: Literal["anyone", "another"] = "anyone"
    force_after: PositiveDuration = 1800.0
    give_up_after: Annotated[PositiveDuration, AfterValidator(_not_for_ever)] = 86400.0
    warn_after: PositiveDuration = 3600.0
    poll: Poll = Poll()
    timeout: PositiveDuration = 10.0
    max_in_flight: Count = 64
    rate: Annotated[Number, Field(gt=0)] | None = None
    breaker: Breaker = Breaker()
    look_many: StrictBool = True
    require: frozenset[Requirement] = frozenset()
    gone_means_stopped: StrictBool | None = None
    """None: what the kind's own delete guarantees."""
    believe_after: Annotated[Duration, AfterValidator(_not_for_ever)] = 120.0
    appears_within: Annotated[Duration, AfterValidator(_not_for_ever)] = 0.0
    max_reply: Size = 1_000_000
    remote_probe: RemoteProbe | None = None
    headers: Headers = Field(default_factory=dict, repr=False)
    headers_env: HeadersFromEnv = Field(default_factory=dict, repr=False)
    proxy: ProxyUrl | None = None
    proxy_env: ProxyEnv | None = Field(default=None, repr=False)
    watch_after: WatchTimes = ()
    reopen: StrictBool = False

    @field_validator("reopen")
    @classmethod
    def _someone_looks(cls, value: bool, info: ValidationInfo) -> bool:  # noqa: FBT001 - pydantic calls it so
        if value and not info.data.get("watch_after", True):
            raise ValueError("needs watch_after: without it no job is looked at after the end")
        return value


class WithoutProject(BackendConfig):
    """A kind whose jobs are in no OpenStack project."""

    @field_validator("auth")
    @classmethod
    def _is_not_keystone(cls, value: Auth) -> Auth:
        if isinstance(value, KeystoneAuth):
            raise ValueError("keystone is scoped to a project_id, which this kind does not have: use another type")  # noqa: TRY004
        return value


class WithProject(BackendConfig):
    """A kind whose jobs are in an OpenStack project, to which Keystone's tokens are scoped."""

    project_id: Segment


Kinds = Mapping[str, type[BackendConfig]]
"""The tables that a backends file may hold, by their `kind`."""
