"""Return annotations: found, resolved, named, and told apart.

Only what is written is looked at; nothing of a value is known here.
"""

import collections.abc
import inspect
import re
import typing
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import suppress
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from functools import partial
from types import NoneType, SimpleNamespace, UnionType
from typing import Annotated, Any, Final, Literal, Union
from uuid import UUID

from hotplate.codecs.paths import type_name

__all__ = ["MISSING", "annotation_text", "is_missing", "is_plain", "return_annotation"]

MISSING: Final = inspect.Parameter.empty
_WRAPPERS: Final = (Awaitable, Coroutine)
_PLAIN_ORIGINS: Final = frozenset(
    (
        *(list, dict, tuple, set, frozenset),
        *(collections.abc.Sequence, collections.abc.Collection, collections.abc.Iterable, collections.abc.Set),
        *(collections.abc.Mapping, collections.abc.MutableMapping),
    )
)
_PLAIN: Final = _PLAIN_ORIGINS | frozenset(
    (NoneType, bool, int, float, str, bytes, datetime, date, time, timedelta, Decimal, UUID)
)
_ADDRESS: Final = re.compile(r" at 0x[0-9A-Fa-f]+")


def return_annotation(function: Callable[..., Any]) -> Any:
    """What a function says it returns, with text resolved and an awaitable's result in its place.

    `inspect.Parameter.empty` where nothing is said, or where a name in it cannot be found: names are looked for in the
    function's module and among what its body closes over, at the time of this call. Of the other annotations nothing
    needs to be resolvable.
    """
    function = _plain_function(function)
    try:
        annotation = getattr(function, "__annotations__", {}).get("return", MISSING)
        if annotation is MISSING:
            return MISSING
        holder = SimpleNamespace(__annotations__={"return": annotation})
        names = getattr(function, "__globals__", {})
        hints = typing.get_type_hints(holder, globalns=names, localns=_enclosed(function), include_extras=True)
    # A string may hold any expression, and evaluating it may raise anything.
    except Exception:
        return MISSING
    return _awaited(hints["return"])


def _plain_function(function: Any) -> Any:
    for _ in range(100):
        inner = function.func if isinstance(function, partial) else getattr(function, "__wrapped__", None)
        if inner is None:
            break
        function = inner
    if not hasattr(function, "__globals__") and not hasattr(function, "__func__") and not isinstance(function, type):
        function = getattr(type(function), "__call__", function)  # noqa: B004 (the function itself, for its annotations)
    return getattr(function, "__func__", function)


def _enclosed(function: Any) -> dict[str, Any]:
    """The names a function's body takes from the functions around it, and its type parameters."""
    found = {parameter.__name__: parameter for parameter in getattr(function, "__type_params__", ())}
    code, cells = getattr(function, "__code__", None), getattr(function, "__closure__", None) or ()
    for name, cell in zip(code.co_freevars if code else (), cells, strict=False):
        with suppress(ValueError):  # an empty cell: the name is bound later
            found[name] = cell.cell_contents
    return found


def _awaited(annotation: Any) -> Any:
    if typing.get_origin(annotation) in _WRAPPERS:
        parts = typing.get_args(annotation)
        return parts[-1] if parts else MISSING
    return MISSING if annotation in _WRAPPERS else annotation


def is_missing(annotation: Any) -> bool:
    """Whether an annotation says nothing of the value."""
    return annotation in (MISSING, Any, object, typing.Awaitable, typing.Coroutine)


def is_plain(annotation: Any) -> bool:
    """Whether an annotation is made of nothing but the types that `PlainCodec` keeps by itself."""
    if isinstance(annotation, typing.Hashable) and (annotation in _PLAIN or annotation in (None, Any)):
        return True
    origin, parts = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        return is_plain(parts[0])
    if origin is Literal:
        return all(type(part) in _PLAIN for part in parts)
    if origin in (Union, UnionType) or origin in _PLAIN_ORIGINS:
        return all(part is Ellipsis or is_plain(part) for part in parts)
    return annotation in _BARE


_BARE: Final = (typing.List, typing.Dict, typing.Tuple, typing.Set, typing.FrozenSet)  # noqa: UP006


def annotation_text(annotation: Any) -> str:
    """An annotation in words that are the same in every process: ``X | None`` and ``Optional[X]`` are one.

    Without the metadata of `Annotated`, whose text may differ from process to process: what they say of the type is in
    its schema.
    """
    if is_missing(annotation):
        return ""
    return "".join(_text(annotation))


def _text(annotation: Any) -> Iterator[str]:
    if annotation is None or annotation is NoneType:
        yield "None"
        return
    origin, parts = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is None:
        yield type_name(annotation) if isinstance(annotation, type) else _ADDRESS.sub("", repr(annotation))
    elif origin in (Union, UnionType):
        yield " | ".join(map(_part_text, parts))
    elif origin is Annotated:
        yield annotation_text(parts[0])
    elif origin is Literal:
        yield f"Literal{[_literal_text(part) for part in parts]}"
    else:
        yield type_name(origin)
        yield f"[{', '.join(_part_text(part) for part in parts)}]"


def _literal_text(part: Any) -> str:
    return f"{type_name(type(part))} {part!r}"


def _part_text(part: Any) -> str:
    if isinstance(part, list):
        return f"[{', '.join(map(_part_text, part))}]"
    return annotation_text(part) or "Any"
