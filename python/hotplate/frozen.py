"""Values that nobody can change: lists become tuples, dicts read-only mappings, sets frozen, all the way down."""

from types import MappingProxyType
from typing import Any

__all__ = ["frozen"]


def frozen(value: Any) -> Any:
    """The same value of immutable containers. Exactly the built-in ones: other objects stay as they are."""
    kind = type(value)
    if kind in (list, tuple):
        return tuple(frozen(part) for part in value)
    if kind is dict:
        return MappingProxyType({key: frozen(part) for key, part in value.items()})
    if kind is set:
        return frozenset(value)
    return value
