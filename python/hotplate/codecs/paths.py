"""Places within a value, as messages name them: ``$.items[3].price``.

While a value is walked a place is a pair (place of the container, step), the value itself is None; text is made only
of the one place that a message names.
"""

from collections.abc import Callable
from typing import Any, Final

from hotplate.codecs.frame import MAX_DEPTH

__all__ = ["MEMBER", "Place", "place_text", "refused_part", "type_name"]

Place = tuple[Any, object] | None
MEMBER: Final = object()
"""The step to a member of a set, which has no name."""
_LONGEST_STEP = 60


def place_text(place: Place) -> str:
    """``$`` and the steps: names as attributes, indexes and other keys in brackets."""
    steps: list[str] = []
    while place is not None:
        place, step = place
        if type(step) is str and step.isidentifier():
            steps.append(f".{step}")
        elif step is MEMBER:
            steps.append("{…}")
        elif type(step) in (str, int, bool, float, type(None)):
            text = repr(step)
            steps.append(f"[{text}]" if len(text) <= _LONGEST_STEP else f"[{text[:_LONGEST_STEP]}…]")
        else:
            steps.append(f"[{type(step).__name__}]")
    return "$" + "".join(reversed(steps))


def type_name(kind: object) -> str:
    """The name of a class as people know it: with its module, unless it is built in."""
    module, name = getattr(kind, "__module__", ""), getattr(kind, "__qualname__", repr(kind))
    return str(name) if module in ("builtins", "__main__", None) else f"{module}.{name}"


def refused_part(
    value: Any, supported: Callable[[Any], bool], supported_key: Callable[[Any], bool] | None = None
) -> tuple[str, Any, bool] | None:
    """The first part of a value that a codec does not support: its place, itself, whether it is only too deep.

    Containers are exactly dict, list, tuple, set and frozenset, and must be supported too. None: there is no such part.
    """
    stack: list[tuple[Any, Place, int]] = [(value, None, 0)]
    while stack:
        part, place, depth = stack.pop()
        if not supported(part):
            return place_text(place), part, False
        kind = type(part)
        if kind not in (dict, list, tuple, set, frozenset):
            continue
        if depth >= MAX_DEPTH:
            return place_text(place), part, True
        inner: list[tuple[Any, Place, int]] = []
        if kind is dict:
            for key, item in part.items():
                if not (supported_key or supported)(key):
                    return place_text((place, key)), key, False
                if type(key) in (tuple, frozenset):
                    inner.append((key, (place, MEMBER), depth + 1))
                inner.append((item, (place, key), depth + 1))
        elif kind in (list, tuple):
            inner.extend((item, (place, index), depth + 1) for index, item in enumerate(part))
        else:
            inner.extend((item, (place, MEMBER), depth + 1) for item in part)
        stack.extend(reversed(inner))
    return None
