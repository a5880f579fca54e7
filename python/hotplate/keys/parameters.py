"""A function's parameters as the decorator sees them: names, resolved annotations, and which may enter a default key.

``self`` or ``cls`` is the first parameter of a function whose ``__qualname__`` has a class before its name
(``Shop.product``, also ``make.<locals>.Shop.product``; not ``make.<locals>.product``): the decorator stands on the
plain function, under ``@classmethod`` or ``@staticmethod``. It is keyed as any other argument, only errors say other
remedies; so it does no harm that the first parameter of a static method is taken for one.
"""

from __future__ import annotations

import collections.abc
import contextlib
import enum
import functools
import inspect
import io
import keyword
import sys
import types
import typing
from dataclasses import dataclass
from typing import Any

from hotplate.errors import ConfigError, UnkeyableError
from hotplate.keys.classes import MARKERS, base_names, is_left_out, is_request, module_name, reason_against
from hotplate.keys.values import writer_of

if typing.TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["Subject", "entering", "excluded", "read", "remedies"]


class _Verdict(enum.Enum):
    ENTERS = "enters, or its value decides"
    LEFT_OUT = "is left out"
    REFUSED = "cannot be keyed"


@dataclass(frozen=True)
class Subject:
    """The function that is cached, as messages and generated code need it."""

    label: str
    """``shop.product()``, in messages."""
    prefix: str | None
    """``shop.product``; None where the name does not tell one function from another."""
    parameters: tuple[inspect.Parameter, ...]
    """Annotations are resolved where that is possible."""
    receiver: str | None
    """The name of ``self`` or ``cls``."""
    name: str
    """What a ``TypeError`` for a wrong call says."""

    @property
    def names(self) -> list[str]:
        """The parameters' names, in their order."""
        return [parameter.name for parameter in self.parameters]

    def listing(self) -> str:
        """The parameters, in a message."""
        return ", ".join(f"`{name}`" for name in self.names) or "none"


def read(function: Callable[..., Any], setting: str) -> Subject:
    """The parameters of ``function``. ``ConfigError`` for what is no plain function of a name and parameters."""
    if isinstance(function, functools.partial | functools.partialmethod):
        raise ConfigError(f"{setting}: {function!r} is a partial; decorate the function, or wrap it with def")
    if isinstance(function, classmethod | staticmethod):
        kind = type(function).__name__
        raise ConfigError(f"{setting}: {function!r} is a {kind}; write the decorator below @{kind}")
    if not callable(function):
        raise ConfigError(f"{setting}: {function!r} is not a function")
    try:
        signature = _signature(function)
    except (ValueError, TypeError) as error:
        raise ConfigError(
            f"{setting}: {function!r} tells no parameters ({error}); wrap it with def and decorate that"
        ) from error
    module = getattr(function, "__module__", None)
    qualname = getattr(function, "__qualname__", None)
    full = f"{module}.{qualname}" if isinstance(module, str) and isinstance(qualname, str) else None
    hints = _hints(function, signature)
    parameters = tuple(
        one.replace(annotation=hints.get(one.name, one.annotation)) for one in signature.parameters.values()
    )
    for parameter in parameters:
        if not parameter.name.isidentifier() or keyword.iskeyword(parameter.name):
            raise ConfigError(f"{setting}: {full or function!r} has a parameter {parameter.name!r}, which is no name")
    unique = full is not None and not full.endswith("<lambda>") and not inspect.ismethod(function)
    return Subject(
        label=f"{full}()" if full else repr(function),
        prefix=f"{module_name(module)}.{qualname}" if unique else None,
        parameters=parameters,
        receiver=_receiver(qualname, parameters),
        name=str(qualname or type(function).__name__),
    )


def excluded(subject: Subject, exclude: Iterable[str]) -> frozenset[str]:
    """The names of ``exclude=``. ``ConfigError`` for one that is no parameter."""
    if isinstance(exclude, str):
        raise ConfigError(f"exclude={exclude!r} is text, not names; write exclude=[{exclude!r}]")
    names = list(exclude)
    for name in names:
        if name not in subject.names:
            raise ConfigError(
                f"exclude={names!r}: {subject.label} has no parameter {name!r}; its parameters: {subject.listing()}"
            )
    return frozenset(names)


def entering(subject: Subject, exclude: frozenset[str], *, refuse: bool = True) -> list[inspect.Parameter]:
    """The parameters of a default key.

    Left out are those of ``exclude``, and responses, background tasks and database sessions by their annotation. With
    ``refuse``, an annotation that cannot be keyed is an ``UnkeyableError``.
    """
    chosen = []
    for parameter in subject.parameters:
        if parameter.name in exclude:
            continue
        verdict, cls = _judge(Any if parameter.annotation is parameter.empty else parameter.annotation)
        if verdict is _Verdict.REFUSED and refuse:
            raise UnkeyableError(_refusal(subject, parameter, cls))
        if verdict is not _Verdict.LEFT_OUT:
            chosen.append(parameter)
    return chosen


def remedies(subject: Subject, parameter: str, cls: type | None = None) -> str:
    """What a developer can do about a parameter that cannot be keyed."""
    if parameter == subject.receiver:
        return (
            f'Write exclude=["{parameter}"] if all instances give the same result, name what tells them apart in a key '
            f'template such as key="{{{parameter}.tenant}}:...", or give the class a method __cache_key__(self) -> str'
        )
    request = cls is not None and is_request(cls)
    part = "user.id" if request else "id"
    template = f'name what the result depends on in a key template such as key="...:{{{parameter}.{part}}}"'
    own = "" if request else ", or give the class a method __cache_key__(self) -> str"
    return f'Write exclude=["{parameter}"] if the result does not depend on it, {template}{own}'


def _refusal(subject: Subject, parameter: inspect.Parameter, cls: Any) -> str:
    name = f"{cls.__module__}.{cls.__qualname__}" if isinstance(cls, type) else str(cls)
    dependency = "a dependency of type " if _is_dependency(parameter) else ""
    why = reason_against(cls) if isinstance(cls, type) else "its fields are not known"
    if dependency or (isinstance(cls, type) and is_request(cls)):
        why = "if it were left out unasked, one user's result could be served to another"
    return (
        f"{subject.label}: parameter `{parameter.name}` is {dependency}{name}, which cannot enter the key: {why}. "
        f"{remedies(subject, parameter.name, cls)}."
    )


def _receiver(qualname: object, parameters: tuple[inspect.Parameter, ...]) -> str | None:
    if not isinstance(qualname, str) or not parameters:
        return None
    owner = qualname.rpartition(".")[0]
    positional = {inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD}
    first = parameters[0]
    return first.name if owner and not owner.endswith("<locals>") and first.kind in positional else None


def _signature(function: Callable[..., Any]) -> inspect.Signature:
    if sys.version_info >= (3, 14):
        import annotationlib

        return inspect.signature(function, annotation_format=annotationlib.Format.FORWARDREF)
    return inspect.signature(function)


def _hints(function: Callable[..., Any], signature: inspect.Signature) -> dict[str, Any]:
    """Annotations as objects, each by itself: one that cannot be resolved (``TYPE_CHECKING``) leaves the rest alone."""
    source = inspect.unwrap(function)
    if not isinstance(source, types.FunctionType):
        source = getattr(type(source), "__call__", source)  # noqa: B004 - an instance that is called
    names = getattr(source, "__globals__", {})
    hints = {}
    for parameter in signature.parameters.values():
        if parameter.annotation is not parameter.empty:
            holder = types.SimpleNamespace(__annotations__={parameter.name: parameter.annotation})
            with contextlib.suppress(Exception):
                hints.update(typing.get_type_hints(holder, names, names, include_extras=True))
    return hints


def _is_dependency(parameter: inspect.Parameter) -> bool:
    """Whether FastAPI fills it by ``Depends`` or ``Security``."""
    marks = [parameter.default]
    if typing.get_origin(parameter.annotation) is typing.Annotated:
        marks += parameter.annotation.__metadata__
    return any(not base_names(type(mark)).isdisjoint(MARKERS) for mark in marks)


def _judge(annotation: Any) -> tuple[_Verdict, Any]:
    """What an annotation tells, and the class of which it tells that."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _judge(annotation.__origin__)
    if origin is typing.Union or origin is types.UnionType:
        return _judge_union([member for member in typing.get_args(annotation) if member is not type(None)])
    if isinstance(annotation, typing.NewType):
        return _judge(annotation.__supertype__)
    if origin is None and hasattr(annotation, "__value__") and not isinstance(annotation, type):
        return _judge(annotation.__value__)
    if origin in {typing.Literal, type, collections.abc.Callable}:
        return _Verdict.ENTERS, origin
    cls = annotation if origin is None else origin
    if not isinstance(cls, type):
        return _Verdict.ENTERS, cls
    return _judge_class(cls, typing.get_args(annotation))


def _judge_union(members: list[Any]) -> tuple[_Verdict, Any]:
    verdicts = [_judge(member) for member in members]
    for verdict in verdicts:
        if verdict[0] is _Verdict.REFUSED:
            return verdict
    if verdicts and all(verdict is _Verdict.LEFT_OUT for verdict, _ in verdicts):
        return verdicts[0]
    return _Verdict.ENTERS, None


# An open class: values are of classes below it, and say themselves what they are.
_OPEN: frozenset[object] = frozenset({object, collections.abc.Callable, typing.Any})
_CLOSED_ABSTRACT = (collections.abc.Iterator, collections.abc.AsyncIterator, collections.abc.Awaitable, io.IOBase)
_IO = tuple(getattr(typing, name) for name in ("IO", "TextIO", "BinaryIO"))


def _judge_class(cls: type, arguments: tuple[Any, ...]) -> tuple[_Verdict, Any]:
    if is_left_out(cls) and writer_of(cls) is None:
        return _Verdict.LEFT_OUT, cls
    for argument in arguments:
        verdict, inner = _judge(argument)
        if verdict is not _Verdict.ENTERS:
            return _Verdict.REFUSED, inner
    if cls in _OPEN or writer_of(cls) is not None:
        return _Verdict.ENTERS, cls
    if cls in _IO or issubclass(cls, _CLOSED_ABSTRACT) or is_request(cls):
        return _Verdict.REFUSED, cls
    if (
        inspect.isabstract(cls)
        or getattr(cls, "_is_protocol", False)
        or cls.__module__ in {"collections.abc", "typing"}
    ):
        return _Verdict.ENTERS, cls
    return _Verdict.REFUSED, cls
