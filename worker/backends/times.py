"""Times as backends, and proxies in front of them, write them."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache

LONGEST_RETRY_AFTER = 86400.0
"""Seconds; a backend that asks for more is asked again after a day."""
EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(2900, 1, 1, tzinfo=UTC)
"""Outside of these a time is a stand-in for "none" or "for ever", such as 9999-12-31, and no arithmetic is safe."""
ZERO_IS_PAST = EARLIEST + timedelta(days=2)
"""Before this a job's time is a stand-in as well: the zero of most clocks, in whatever zone it was written."""
SEVERAL = re.compile(r"(?<![a-z]{2}),")
"""Splits the values of several headers with one name: a comma, but not the one after a weekday."""
SECONDS = re.compile(r"(\d+(?:\.\d+)?)\s*s?", re.ASCII)
"""Seconds as `Retry-After` gives them (RFC 9110, 10.2.3), also with decimals or a unit, which some servers write."""
ZONED = re.compile(r"[^:]*\d:\d\d(?::\d\d)?\s+(?:GMT|UTC|UT|Z|[+-]\d{4})(?: GMT)?")
"""An HTTP date in a zone that is known: `parsedate_to_datetime` would take any other for UTC."""


def real(moment: datetime) -> datetime | None:
    """Return a job's time in UTC, None if it names no zone or can't be a real time."""
    return _in_utc(moment, ZERO_IS_PAST)


@lru_cache(maxsize=64)
def http_date(written: str) -> datetime | None:
    """Read a time of an HTTP header, None if it is none or names no zone; cached, as replies of one second share it."""
    try:
        if ZONED.fullmatch(written.strip()):
            moment = parsedate_to_datetime(written)
            return _in_utc(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
        return _in_utc(datetime.fromisoformat(written))
    except (ValueError, OverflowError):
        return None


def longest_wait(retry_after: str, since: datetime | None) -> float | None:
    """Return the longest of the waits that a `Retry-After` names, in seconds, a day at most; None if it names none.

    A time in it counts from `since`.
    """
    waits = list[float]()
    for wanted in map(str.strip, SEVERAL.split(retry_after)):
        if number := SECONDS.fullmatch(wanted):
            waits.append(float(math.ceil(min(float(number[1]), LONGEST_RETRY_AFTER))))
        elif since and (until := http_date(wanted)):
            waits.append(min(max(0.0, (until - since).total_seconds()), LONGEST_RETRY_AFTER))
    return max(waits, default=None)


def stand_in(moment: datetime) -> bool:
    """Whether a job's time, in whatever zone, stands for "none" or "for ever"."""
    return not ZERO_IS_PAST <= (moment if moment.tzinfo else moment.replace(tzinfo=UTC)) < LATEST


def _in_utc(moment: datetime, earliest: datetime = EARLIEST) -> datetime | None:
    return moment.astimezone(UTC) if moment.tzinfo and earliest <= moment < LATEST else None
