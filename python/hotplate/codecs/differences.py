"""Where two values differ, when equal is not enough: what comes back must be of the same types all the way down.

Stricter than ``==``: ``1``, ``True`` and ``1.0`` differ, ``0.0`` and ``-0.0``, ``Decimal("1.0")`` and
``Decimal("1.00")``, a base and its subclass, two moments of one instant in zones with different rules. Laxer: NaN is
NaN, fixed offsets are compared by offset whatever class they are of, and the order of a plain dict does not count.

Models and dataclasses are compared field by field, with what Pydantic keeps beside the fields (extras, private
attributes); which fields were set and which are defaults is not compared. Any other object by its own ``==``.
"""

import math
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from datetime import datetime, time, tzinfo
from decimal import Decimal
from enum import Enum
from itertools import zip_longest
from typing import Any, Final, NamedTuple

from hotplate.codecs.paths import MEMBER, Place, place_text
from hotplate.codecs.scalars import fixed_offset

__all__ = ["Difference", "difference", "first_difference"]

_MISSING: Final = object()


class Difference(NamedTuple):
    """A place at which two values differ, and the part each has there."""

    path: str
    before: Any
    after: Any


def difference(a: Any, b: Any) -> str | None:
    """The path of the first difference in type or value, such as ``$.items[3].price``; None if there is none.

    Values that contain themselves are compared once. Cost: a walk over both.
    """
    found = first_difference(a, b)
    return None if found is None else found.path


def first_difference(a: Any, b: Any) -> Difference | None:
    """As `difference`, with the two parts that differ."""
    stack: list[tuple[Any, Any, Place]] = [(a, b, None)]
    under_way: dict[tuple[int, int], tuple[Any, Any]] = {}
    while stack:
        before, after, place = stack.pop()
        if type(before) is not type(after):
            return Difference(place_text(place), before, after)
        kind = type(before)
        scalar = _SCALARS.get(kind)
        if scalar is not None:
            if not scalar(before, after):
                return Difference(place_text(place), before, after)
            continue
        pair = (id(before), id(after))
        if before is after or pair in under_way:
            continue
        under_way[pair] = (before, after)
        parts = _parts(before, after, kind)
        if parts is None:
            if not _equal(before, after):
                return Difference(place_text(place), before, after)
            continue
        inner = [(one, other, (place, step)) for step, one, other in parts]
        stack.extend(reversed(inner))
    return None


def _same_float(a: float, b: float) -> bool:
    return math.copysign(1, a) == math.copysign(1, b) if a == b else (a != a and b != b)


def _same_zone(a: tzinfo | None, b: tzinfo | None) -> bool:
    if a is b:
        return True
    if a is None or b is None:
        return False
    if type(a) is type(b):
        return a == b and a.tzname(None) == b.tzname(None)
    offset = fixed_offset(a)
    return offset is not None and offset == fixed_offset(b)


def _same_moment(a: Any, b: Any) -> bool:
    bare = a.replace(tzinfo=None, fold=0) == b.replace(tzinfo=None, fold=0)
    return bare and a.fold == b.fold and _same_zone(a.tzinfo, b.tzinfo)


def _same(a: Any, b: Any) -> bool:
    return bool(a == b)


_SCALARS: Final[dict[type, Callable[[Any, Any], bool]]] = {
    **dict.fromkeys((type(None), bool, int, str, bytes, bytearray), _same),
    float: _same_float,
    complex: lambda a, b: _same_float(a.real, b.real) and _same_float(a.imag, b.imag),
    Decimal: lambda a, b: a.as_tuple() == b.as_tuple(),
    datetime: _same_moment,
    time: _same_moment,
}


def _equal(a: Any, b: Any) -> bool:
    """``==`` of two objects of one type. One that raises, or gives no truth value, is not equal."""
    try:
        return _same_moment(a, b) if isinstance(a, (datetime, time)) else bool(a == b)
    except Exception:
        return False


_Parts = Iterator[tuple[object, Any, Any]]


def _parts(a: Any, b: Any, kind: type) -> _Parts | None:
    """The parts of two objects of one type side by side; None if it has none that are known."""
    if issubclass(kind, Enum):
        return None
    if isinstance(a, (list, tuple, deque)):
        return _sequence_parts(a, b)
    if isinstance(a, dict):
        return _mapping_parts(a, b)
    if isinstance(a, (set, frozenset)):
        return _set_parts(a, b)
    if hasattr(kind, "__pydantic_fields__") and hasattr(kind, "__pydantic_validator__") and not is_dataclass(kind):
        return _model_parts(a, b, kind)
    if is_dataclass(kind):
        names = [field.name for field in fields(kind)]
        return ((name, getattr(a, name, _MISSING), getattr(b, name, _MISSING)) for name in names)
    return None


def _sequence_parts(a: Any, b: Any) -> _Parts:
    names = getattr(type(a), "_fields", None) if isinstance(a, tuple) else None
    for index, (one, other) in enumerate(zip_longest(a, b, fillvalue=_MISSING)):
        yield names[index] if names and index < len(names) else index, one, other
    if isinstance(a, deque):
        yield "maxlen", a.maxlen, b.maxlen


def _mapping_parts(a: dict[Any, Any], b: dict[Any, Any]) -> _Parts:
    if isinstance(a, defaultdict) and isinstance(b, defaultdict):
        yield "default_factory", a.default_factory, b.default_factory
    if isinstance(a, OrderedDict):
        yield "keys()", list(a), list(b)
    twins = {key: key for key in b}
    unlike: list[Any] = []
    for key, value in a.items():
        twin = twins.pop(key, _MISSING)
        if twin is _MISSING:
            unlike.append(key)
        else:
            if type(key) is not str or type(twin) is not str:
                yield key, key, twin
            yield key, value, b[twin]
    for key in unlike:
        twin = _twin(key, twins)
        yield key, a[key], _MISSING if twin is _MISSING else b[twin]
        if twin is _MISSING:
            return
    for key in twins:
        yield key, _MISSING, b[key]


def _set_parts(a: Any, b: Any) -> _Parts:
    twins = {member: member for member in b}
    unlike: list[Any] = []
    for member in a:
        twin = twins.pop(member, _MISSING)
        if twin is _MISSING:
            unlike.append(member)
        else:
            yield MEMBER, member, twin
    for member in unlike:
        if _twin(member, twins) is _MISSING:
            yield MEMBER, member, _MISSING
            return
    for member in twins:
        yield MEMBER, _MISSING, member


def _twin(member: Any, left: dict[Any, Any]) -> Any:
    """What is not found by hash and yet does not differ, such as a NaN; it is taken from what is left."""
    for candidate in left:
        if type(candidate) is type(member) and first_difference(member, candidate) is None:
            return left.pop(candidate)
    return _MISSING


def _model_parts(a: Any, b: Any, kind: Any) -> _Parts:
    for name in kind.__pydantic_fields__:
        yield name, a.__dict__.get(name, _MISSING), b.__dict__.get(name, _MISSING)
    for beside in ("__pydantic_extra__", "__pydantic_private__"):
        one, other = (getattr(model, beside, None) or {} for model in (a, b))
        for name in {**one, **other}:
            yield name, one.get(name, _MISSING), other.get(name, _MISSING)
