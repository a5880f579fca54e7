"""What an object takes in memory, about: for the bound of a cache. Not here: what its bytes take in the shared tier."""

import gc
import sys
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from types import FunctionType, MappingProxyType, MemberDescriptorType, ModuleType
from typing import Any
from weakref import WeakKeyDictionary

__all__ = ["weight"]

MOST_PARTS = 1000
"""So many parts of an object are looked at; the rest is taken to weigh what those do."""

UNKNOWN = 64
"""The bytes of an object that does not say."""

_CONTAINERS: tuple[tuple[type, Callable[[Any], Iterable[Any]]], ...] = (
    (list, list.__iter__),
    (tuple, tuple.__iter__),
    (set, set.__iter__),
    (frozenset, frozenset.__iter__),
    (deque, deque.__iter__),
    (dict, lambda value: [part for pair in dict.items(value) for part in pair]),
    # What a proxy stands for is asked of the collector: the proxy itself would ask the mapping, which may be anybody's.
    (MappingProxyType, gc.get_referents),
)
_NOT_ITS_OWN = (type, ModuleType, FunctionType)

_slots: "WeakKeyDictionary[type, tuple[MemberDescriptorType, ...]]" = WeakKeyDictionary()


def weight(value: Any) -> int:
    """The bytes of an object and its parts, each once. Large ones are estimated. Runs none of their code."""
    seen = {id(value)}
    parts = [value]
    bytes_ = 0
    looked_at = 0
    while parts and looked_at < MOST_PARTS:
        part = parts.pop()
        looked_at += 1
        bytes_ += _size(part)
        for inner in _parts(part):
            if id(inner) not in seen:
                seen.add(id(inner))
                parts.append(inner)
    return bytes_ * (looked_at + len(parts)) // looked_at


def _size(value: Any) -> int:
    own = type(value).__sizeof__
    return UNKNOWN if isinstance(own, FunctionType) else sys.getsizeof(value, UNKNOWN)


def _parts(value: Any) -> list[Any]:
    if isinstance(value, _NOT_ITS_OWN):
        return []
    kind = type(value)
    found: list[Any] = []
    for container, parts in _CONTAINERS:
        if issubclass(kind, container):
            found.extend(parts(value))
            if kind is container:
                return found
    with suppress(AttributeError):
        found.append(object.__getattribute__(value, "__dict__"))
    for slot in _slots_of(kind):
        with suppress(AttributeError):  # not filled
            found.append(slot.__get__(value, kind))
    return found


def _slots_of(kind: type) -> tuple[MemberDescriptorType, ...]:
    slots = _slots.get(kind)
    if slots is None:
        written = [vars(base) for base in kind.__mro__ if "__slots__" in vars(base)]
        slots = tuple(one for base in written for one in base.values() if isinstance(one, MemberDescriptorType))
        _slots[kind] = slots
    return slots
