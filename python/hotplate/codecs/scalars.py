"""The values without parts that JSON has no form for, each as one that JSON has: dates, decimals, identifiers.

`written` and `read` are used by the self-describing codecs, each of which marks the result with the letter of its type.
Nothing is rounded: a `Decimal` keeps its exponent, a `datetime` its fold, and its zone by offset and name or by key.
"""

from collections.abc import Callable
from datetime import date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal
from typing import Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

__all__ = ["READ", "WRITTEN", "fixed_offset", "zone_is_kept"]

_SECOND = timedelta(seconds=1)
_MICROSECOND = timedelta(microseconds=1)
_ANY_DAY = datetime(2000, 1, 1)


def fixed_offset(zone: tzinfo) -> timedelta | None:
    """The offset of a zone that has one and no rules: `datetime.timezone`, or Pydantic's own class of that kind."""
    if type(zone) is timezone or type(zone).__module__.partition(".")[0] == "pydantic_core":
        return zone.utcoffset(_ANY_DAY)
    return None


def zone_is_kept(zone: tzinfo | None) -> bool:
    """Whether a zone comes back: none at all, a fixed offset, or a `ZoneInfo` with a key."""
    if zone is None or (type(zone) is ZoneInfo and zone.key is not None):
        return True
    return fixed_offset(zone) is not None


def _zone_name(zone: tzinfo, offset: timedelta) -> str | None:
    """The name that somebody gave to a fixed offset."""
    name = zone.tzname(None) if type(zone) is timezone else None
    return None if name == timezone(offset).tzname(None) else name


def _zone_read(written: Any) -> tzinfo | None:
    """None, the key of a `ZoneInfo`, or an offset in microseconds with the name if it has one of its own."""
    if written is None:
        return None
    if type(written) is str:
        return ZoneInfo(written)
    microseconds, *name = written
    return timezone(microseconds * _MICROSECOND, *name)


def _moment_written(moment: Any) -> Any:
    """ISO 8601 where that says all and is read so; else without zone, the fold, and the zone in a form of its own."""
    zone = moment.tzinfo
    offset = None if zone is None else fixed_offset(zone)
    name = None if offset is None else _zone_name(zone, offset)
    # `fromisoformat` takes an offset of less than a second for none.
    whole = zone is None or (offset is not None and not offset % _SECOND)
    if whole and name is None and not moment.fold:
        return moment.isoformat()
    written: Any = None
    if offset is not None:
        written = [offset // _MICROSECOND] if name is None else [offset // _MICROSECOND, name]
    elif zone is not None:
        written = zone.key
    return [moment.replace(tzinfo=None, fold=0).isoformat(), moment.fold, written]


def _datetime_read(written: Any) -> datetime:
    if type(written) is str:
        return datetime.fromisoformat(written)
    text, fold, zone = written
    return datetime.fromisoformat(text).replace(tzinfo=_zone_read(zone), fold=fold)


def _time_read(written: Any) -> time:
    if type(written) is str:
        return time.fromisoformat(written)
    text, fold, zone = written
    return time.fromisoformat(text).replace(tzinfo=_zone_read(zone), fold=fold)


def _timedelta_written(duration: timedelta) -> list[int]:
    return [duration.days, duration.seconds, duration.microseconds]


WRITTEN: Final[dict[type, tuple[str, Callable[[Any], Any]]]] = {
    datetime: ("D", _moment_written),
    date: ("A", date.isoformat),
    time: ("T", _moment_written),
    timedelta: ("L", _timedelta_written),
    Decimal: ("N", str),
    UUID: ("U", lambda identifier: identifier.hex),
}
"""By exact type: its letter, and the function that makes its JSON form."""

READ: Final[dict[str, Callable[[Any], Any]]] = {
    "D": _datetime_read,
    "A": date.fromisoformat,
    "T": _time_read,
    "L": lambda parts: timedelta(*parts),
    "N": Decimal,
    "U": UUID,
}
"""By letter: the function that reads the form again. It raises anything for a form that is none."""
