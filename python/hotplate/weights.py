"""What an object takes in memory, about: for the bound of a cache. Not here: what its bytes take in the shared tier."""

import sys
from collections.abc import Iterable
from typing import Any

__all__ = ["weight"]

MOST_PARTS = 1000
"""So many parts of an object are looked at; the rest is taken to weigh what those do."""


def weight(value: Any) -> int:
    """The bytes of an object and its parts, each once. Large ones are estimated. Runs none of their code."""
    seen = {id(value)}
    parts = [value]
    bytes_ = 0
    looked_at = 0
    while parts and looked_at < MOST_PARTS:
        part = parts.pop()
        looked_at += 1
        bytes_ += sys.getsizeof(part, 64)
        for inner in _parts(part):
            if id(inner) not in seen:
                seen.add(id(inner))
                parts.append(inner)
    return bytes_ * (looked_at + len(parts)) // looked_at


def _parts(value: Any) -> Iterable[Any]:
    kind = type(value)
    if kind in (list, tuple, set, frozenset):
        found: Iterable[Any] = value
        return found
    if kind is dict:
        return [part for pair in value.items() for part in pair]
    try:
        return [object.__getattribute__(value, "__dict__")]
    except AttributeError:
        return ()
