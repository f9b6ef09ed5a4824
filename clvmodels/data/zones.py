"""Clocks of time zones inside the engine; moments are kept as times of UTC, without a zone in their type."""

import datetime as dt
import functools
import itertools
import zoneinfo
from typing import Any

import ibis
import ibis.expr.datatypes as types

TIME = types.Timestamp(scale=6)
MOMENT = types.Timestamp(timezone="UTC", scale=6)


def _wall_clock(zone: str, moment: dt.datetime) -> None:
    """What the clock of a zone shows at a moment."""


def _moment(zone: str, shown: dt.datetime) -> None:
    """The moment at which the clock of a zone shows a time; the later one where it shows it twice."""


_wall_clock_udf: Any = ibis.udf.scalar.builtin(_wall_clock, name="timezone", signature=((types.string, MOMENT), TIME))
_moment_udf: Any = ibis.udf.scalar.builtin(_moment, name="timezone", signature=((types.string, TIME), MOMENT))


def on_the_clock_of(zone: str, moment: Any) -> Any:
    """The time that a zone's clock shows at a moment (a column whose type has a zone)."""
    return _wall_clock_udf(zone, moment.cast(MOMENT))


def from_utc(zone: str, time: Any) -> Any:
    """The time that a zone's clock shows when UTC's shows a time."""
    return _wall_clock_udf(zone, _moment_udf("UTC", time))


def to_utc(zone: str, time: Any) -> Any:
    """What UTC's clock shows when a zone's shows a time; where it shows it twice, the first time.

    A time that is skipped in spring is read by the clock before the change.
    """
    moment = _wall_clock_udf("UTC", _moment_udf(zone, time))
    for seconds in repeated_spans(zone):
        earlier = moment - ibis.interval(seconds=seconds)
        moment = ibis.ifelse(from_utc(zone, earlier) == time, earlier, moment)
    return moment


@functools.cache
def repeated_spans(zone: str) -> tuple[int, ...]:
    """Lengths in seconds of the spans that a zone's clock has shown twice since 1970."""
    clock = zoneinfo.ZoneInfo(zone)
    day = dt.timedelta(days=1)
    noons = [dt.datetime(1970, 1, 1, 12) + day * number for number in range(365 * 70)]
    offsets = [noon.replace(tzinfo=clock).utcoffset() for noon in noons]
    steps = {before - after for before, after in itertools.pairwise(offsets) if before and after}
    return tuple(sorted(int(step.total_seconds()) for step in steps if dt.timedelta(0) < step <= day))
