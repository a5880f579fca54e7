"""A value as text: what tells two arguments apart in a default key.

The text of a value says its type and its content, and is the same in every process and Python version: no ``hash``,
no ``id``, no order of a set, no ``repr`` of an object that is not known here. Two values of one text are of one type
and equal, because every text ends where its grammar says so:

    42   1.5   True   None               scalars: letters, digits, and ``.+-``
    'text'                               without a quote in it; else its length first: ``"5:it's``
    [v,v]   (v,v)   {k=v,k=v}            list, tuple, dict (items in the order of their text)
    tag(…)                               types of the standard library: ``UUID(…)``, ``set(v,v)``
    module.Class(…)                      classes of others: fields as ``name=v``, an enum's member by name

A class that is not known and has no ``__cache_key__`` is refused: guessing at its state could give two users one key.
"""

import dataclasses
import datetime as dt
import enum
import fractions
import functools
import ipaddress
import math
import pathlib
import re
import sys
import types
import uuid
import zoneinfo
from collections import OrderedDict
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, cast

from hotplate.keys.classes import Refused, base_names, class_name, is_never_keyed, module_name, reason_against

__all__ = ["MAX_CHARACTERS", "MAX_DEPTH", "string_text", "value_text", "writer_of"]

MAX_DEPTH = 100
"""Containers inside one another; deeper ones (or one that contains itself) are refused."""

MAX_CHARACTERS = 1_048_576
"""Text of one container; a longer one is refused."""

Writer = Callable[[Any, int], str]

_PLAIN_FIELD = re.compile(r"[A-Za-z_][A-Za-z_0-9]*\Z")
_ABSENT = object()


def value_text(value: object, depth: int = 0) -> str:
    """The text of ``value``; ``depth`` is how many containers are around it.

    Raises ``Refused``, which says why, for what has no text that is certain.
    """
    writer = _EXACT.get(type(value))
    if writer is None:
        writer = writer_of(type(value))
        if writer is None:
            raise Refused(type(value), reason_against(type(value)))
    return writer(value, depth)


def string_text(value: str) -> str:
    """The text of a ``str``; one with lone surrogates is written so that the key is valid Unicode all the same."""
    text = f"'{value}'" if "'" not in value else f'"{len(value)}:{value}'
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            return f"surrogates({value.encode('utf-8', 'surrogatepass').hex()})"
    return text


def _writer_of(cls: type) -> Writer | None:
    if callable(getattr(cls, "__cache_key__", None)):
        return _own_key
    if is_never_keyed(cls):
        return None
    if cls in _EXACT:
        return _EXACT[cls]
    if issubclass(cls, type):
        return _class
    return _known_class(cls) or _builtin_subclass(cls)


writer_of = cast("Callable[[type], Writer | None]", functools.lru_cache(maxsize=1024)(_writer_of))
"""What writes instances of a class, or None if they cannot be keyed. Also answers for annotations."""


def _known_class(cls: type) -> Writer | None:
    """Classes that say their fields."""
    if issubclass(cls, enum.Enum):
        return _flag if issubclass(cls, enum.Flag) else _enum
    if "pydantic.main.BaseModel" in base_names(cls):
        return _pydantic_writer(cls)
    if dataclasses.is_dataclass(cls):
        names = tuple(field.name for field in dataclasses.fields(cls))
        return _fields_writer(names, inherited="__dataclass_fields__" not in vars(cls))
    attributes = getattr(cls, "__attrs_attrs__", None)
    if attributes is not None:
        return _fields_writer(tuple(one.name for one in attributes), inherited="__attrs_attrs__" not in vars(cls))
    if isinstance(getattr(cls, "__struct_fields__", None), tuple) and "msgspec.Struct" in base_names(cls):
        return _fields_writer(cls.__struct_fields__, inherited=False)  # type: ignore[attr-defined]
    if base_names(cls) & {"pydantic.networks._BaseUrl", "pydantic.networks._BaseMultiHostUrl"}:
        return lambda value, _: f"{class_name(type(value))}({string_text(str(value))})"
    return None


def _builtin_subclass(cls: type) -> Writer | None:
    """``class Id(int)``: the content as of the base, under the name of the class. State beside it is refused."""
    base = next((base for base in _CONTENT if issubclass(cls, base)), None)
    if base is None:
        return None
    content = _CONTENT[base]
    slots = any(vars(above).get("__slots__") for above in cls.__mro__[: cls.__mro__.index(base)])
    own_attributes = base is not pathlib.PurePath

    def write(value: Any, depth: int) -> str:
        if own_attributes and (slots or getattr(value, "__dict__", None)):
            raise Refused(type(value), "it has attributes beside its content")
        return f"{class_name(type(value))}({content(value, depth)})"

    return write


def _many(values: Iterable[object], depth: int) -> list[str]:
    if depth >= MAX_DEPTH:
        raise Refused(None, f"it is nested more than {MAX_DEPTH} deep, or contains itself")
    texts = [value_text(value, depth + 1) for value in values]
    if sum(map(len, texts)) > MAX_CHARACTERS:
        raise Refused(None, f"its text is longer than {MAX_CHARACTERS} characters")
    return texts


def _sequence(values: Iterable[object], depth: int) -> str:
    return ",".join(_many(values, depth))


def _unordered(values: Iterable[object], depth: int) -> str:
    return ",".join(sorted(_many(values, depth)))


def _pairs(mapping: Any, depth: int) -> list[str]:
    items = list(mapping.items())
    keys = _many([key for key, _ in items], depth)
    return [f"{key}={value}" for key, value in zip(keys, _many([value for _, value in items], depth), strict=True)]


def _mapping(mapping: Any, depth: int) -> str:
    return ",".join(sorted(_pairs(mapping, depth)))


def _ordered_mapping(mapping: Any, depth: int) -> str:
    return ",".join(_pairs(mapping, depth))


def _int(value: int, depth: int = 0) -> str:
    try:
        return int.__repr__(value)
    except ValueError:
        # More digits than Python writes in decimal (`sys.set_int_max_str_digits`): hexadecimal has no limit.
        return int.__format__(value, "#x")


def _float(value: float, depth: int = 0) -> str:
    if math.isnan(value):
        raise Refused(type(value), "NaN is not equal to itself")
    return float.__repr__(value)


def _complex(value: complex, depth: int) -> str:
    return f"complex({_float(value.real)},{_float(value.imag)})"


def _decimal(value: Decimal, depth: int = 0) -> str:
    if value.is_nan():
        raise Refused(type(value), "NaN is not equal to itself")
    return Decimal.__str__(value)


def _zone(value: dt.datetime | dt.time) -> str:
    """What the offset in the ISO text does not say: the second of two equal hours, and the name of a zone."""
    fold = "/fold" if value.fold else ""
    zone = value.tzinfo
    if zone is None or zone.utcoffset(None) is not None:
        return fold
    name = zone.key if isinstance(zone, zoneinfo.ZoneInfo) else getattr(zone, "zone", None)
    if not isinstance(name, str):
        raise Refused(type(zone), "a time zone without a fixed offset or a name")
    return f"{fold}/{string_text(name)}"


def _datetime(value: dt.datetime, depth: int = 0) -> str:
    return dt.datetime.isoformat(value) + _zone(value)


def _time(value: dt.time, depth: int = 0) -> str:
    return dt.time.isoformat(value) + _zone(value)


def _timedelta(value: dt.timedelta, depth: int = 0) -> str:
    return f"{value.days}d{value.seconds}s{value.microseconds}us"


def _enum(value: enum.Enum, depth: int) -> str:
    return f"{class_name(type(value))}.{_field_name(value._name_)}"


def _flag(value: enum.Flag, depth: int) -> str:
    return f"{class_name(type(value))}({value_text(value._value_, depth + 1)})"


def _own_key(value: Any, depth: int) -> str:
    text = type(value).__cache_key__(value)
    if not isinstance(text, str):
        raise Refused(type(value), f"its __cache_key__() returned {type(text).__name__}, not str")
    return f"{class_name(type(value))}:{string_text(text)}"


def _class(value: type, depth: int) -> str:
    return f"class({class_name(value)})"


def _function(value: Any, depth: int) -> str:
    """Only what is found again under its own name: a wrapper or a local function carries state of its own."""
    found: Any = sys.modules.get(value.__module__ or "")
    for part in value.__qualname__.split("."):
        found = getattr(found, part, None)
    if found is not value:
        raise Refused(type(value), f"{value.__qualname__} is not found under its name in a module")
    return f"function({module_name(value.__module__)}.{value.__qualname__})"


def _field_name(name: str) -> str:
    return name if _PLAIN_FIELD.match(name) else string_text(name)


def _fields(values: Iterable[tuple[str, object]], depth: int) -> str:
    there = [(name, value) for name, value in values if value is not _ABSENT]
    texts = _many([value for _, value in there], depth)
    return ",".join(f"{_field_name(name)}={text}" for (name, _), text in zip(there, texts, strict=True))


def _fields_writer(names: tuple[str, ...], *, inherited: bool) -> Writer:
    """``inherited``: the class adds nothing to the fields of its base, so other attributes have to be refused."""

    def write(value: Any, depth: int) -> str:
        if inherited and not set(getattr(value, "__dict__", ())) <= set(names):
            raise Refused(type(value), "it has attributes beside its fields")
        return f"{class_name(type(value))}({_fields([(name, getattr(value, name, _ABSENT)) for name in names], depth)})"

    return write


def _pydantic_writer(cls: type) -> Writer | None:
    fields = getattr(cls, "__pydantic_fields__", None)
    if fields is None:
        fields = getattr(cls, "model_fields", None)
    if not isinstance(fields, dict):
        return None
    names = tuple(fields)

    def write(value: Any, depth: int) -> str:
        # What pydantic compares: the fields (not what cached_property keeps beside them), private and extra attributes.
        content = vars(value)
        text = _fields([(name, content.get(name, _ABSENT)) for name in names], depth)
        private = getattr(value, "__pydantic_private__", None)
        extra = getattr(value, "__pydantic_extra__", None)
        text += f";private={{{_mapping(private, depth)}}}" if private else ""
        text += f";extra={{{_mapping(extra, depth)}}}" if extra else ""
        return f"{class_name(type(value))}({text})"

    return write


def _tagged(tag: str, content: Callable[[Any, int], str], brackets: str = "()") -> Writer:
    opening, closing = f"{tag}{brackets[0]}", brackets[1]
    return lambda value, depth: f"{opening}{content(value, depth)}{closing}"


def _plain(text: Callable[[Any], str]) -> Writer:
    return lambda value, depth: text(value)


_CONTENT: dict[type, Writer] = {
    str: _plain(lambda value: string_text(str.__str__(value))),
    int: _int,
    float: _float,
    bytes: _plain(bytes.hex),
    bytearray: _plain(bytearray.hex),
    list: lambda value, depth: _sequence(list.__iter__(value), depth),
    tuple: lambda value, depth: _sequence(tuple.__iter__(value), depth),
    set: _unordered,
    frozenset: _unordered,
    OrderedDict: _ordered_mapping,
    dict: _mapping,
    dt.datetime: _datetime,
    dt.date: _plain(dt.date.isoformat),
    dt.time: _time,
    dt.timedelta: _timedelta,
    Decimal: _decimal,
    uuid.UUID: _plain(uuid.UUID.__str__),
    pathlib.PurePath: _plain(lambda value: string_text(str(value))),
}

_EXACT: dict[type, Writer] = {
    type(None): _plain(lambda _: "None"),
    type(...): _plain(lambda _: "Ellipsis"),
    bool: _plain(repr),
    int: _int,
    float: _float,
    complex: _complex,
    str: _plain(string_text),
    list: _tagged("", _sequence, "[]"),
    tuple: _tagged("", _sequence),
    dict: _tagged("", _mapping, "{}"),
    OrderedDict: _tagged("OrderedDict", _ordered_mapping),
    types.MappingProxyType: _tagged("mappingproxy", _mapping),
    range: _tagged("range", lambda value, _: f"{_int(value.start)},{_int(value.stop)},{_int(value.step)}"),
    fractions.Fraction: _tagged("Fraction", lambda value, _: f"{_int(value.numerator)},{_int(value.denominator)}"),
    types.FunctionType: _function,
    types.BuiltinFunctionType: _function,
    type: _class,
    **{
        cls: _tagged(cls.__name__, _CONTENT[cls])
        for cls in (
            *(bytes, bytearray, set, frozenset, Decimal, uuid.UUID),
            *(dt.datetime, dt.date, dt.time, dt.timedelta),
        )
    },
    **{
        cls: _tagged(cls.__name__, _CONTENT[pathlib.PurePath])
        for cls in (pathlib.PurePosixPath, pathlib.PureWindowsPath, pathlib.PosixPath, pathlib.WindowsPath)
    },
    **{
        cls: _tagged(cls.__name__, _plain(str))
        for cls in (ipaddress.IPv4Address, ipaddress.IPv6Address, ipaddress.IPv4Network, ipaddress.IPv6Network)
    },
}
