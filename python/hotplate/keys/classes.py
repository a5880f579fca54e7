"""Classes by name: what a class is called in a key, and which classes must not enter one by accident.

Frameworks are recognised by ``module.qualname`` in the method resolution order, so that none is imported here.
"""

import functools
import re
import sys
import types
import typing
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "Refused",
    "base_names",
    "class_name",
    "is_left_out",
    "is_never_keyed",
    "is_request",
    "module_name",
    "reason_against",
]

REQUESTS = frozenset(
    {
        "starlette.requests.HTTPConnection",
        "starlette.requests.Request",
        "starlette.websockets.WebSocket",
        "fastapi.security.oauth2.SecurityScopes",
    }
)
"""They tell users apart: never in a key, and never left out unasked."""

LEFT_OUT = frozenset(
    {
        "starlette.responses.Response",
        "starlette.background.BackgroundTask",
        "starlette.background.BackgroundTasks",
        "sqlalchemy.orm.session.Session",
        "sqlalchemy.orm.session.sessionmaker",
        "sqlalchemy.orm.scoping.scoped_session",
        "sqlalchemy.ext.asyncio.session.AsyncSession",
        "sqlalchemy.ext.asyncio.session.async_sessionmaker",
        "sqlalchemy.ext.asyncio.scoping.async_scoped_session",
        "sqlalchemy.engine.base.Engine",
        "sqlalchemy.engine.base.Connection",
        "sqlalchemy.ext.asyncio.engine.AsyncEngine",
        "sqlalchemy.ext.asyncio.engine.AsyncConnection",
    }
)
"""Ways to a result, not what it depends on: left out of a default key without being asked."""

MARKERS = frozenset({"fastapi.params.Depends", "fastapi.params.Security"})

_UNKNOWN = "its fields are not known"
_PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z_0-9.]*\Z")
_UNIONS: tuple[object, ...] = (typing.Union, types.UnionType)


class Refused(Exception):  # noqa: N818 - never leaves the package: it becomes an UnkeyableError
    """A value that has no text: its class (None: the argument as a whole) and why."""

    def __init__(self, cls: type | None, reason: str) -> None:
        super().__init__(reason)
        self.cls = cls
        self.reason = reason


def _base_names(cls: type) -> frozenset[str]:
    return frozenset(f"{base.__module__}.{base.__qualname__}" for base in cls.__mro__)


base_names = cast("Callable[[type], frozenset[str]]", functools.lru_cache(maxsize=1024)(_base_names))
"""``module.qualname`` of a class and its bases."""


def is_request(cls: type) -> bool:
    """Whether it tells users apart: a request, a connection, security scopes."""
    return not base_names(cls).isdisjoint(REQUESTS)


def is_left_out(cls: type) -> bool:
    """Whether a default key is made without it: responses, background tasks, database sessions and engines."""
    return not base_names(cls).isdisjoint(LEFT_OUT)


def is_never_keyed(cls: type) -> bool:
    """Whether it has no text although it may look like a mapping or a dataclass."""
    return reason_against(cls) != _UNKNOWN


def reason_against(cls: type) -> str:
    """Why instances of a class are not keyed, in a message."""
    if is_request(cls):
        return "it tells users apart, and nothing in it is known to be all that the result depends on"
    if is_left_out(cls):
        return "it is a way to a result, not what the result depends on"
    if not base_names(cls).isdisjoint(MARKERS):
        return "it stands for a dependency, which only FastAPI fills in"
    if hasattr(cls, "_sa_class_manager"):
        return "it is a live database row"
    return _UNKNOWN


def module_name(name: str | None) -> str:
    """The module's name; that of the program is the one under which others import it, not ``__main__``."""
    if name not in {"__main__", "__mp_main__"}:
        return str(name)
    main = sys.modules.get("__main__")
    spec = getattr(main, "__spec__", None)
    if spec is not None:
        return str(spec.name)
    file = getattr(main, "__file__", None)
    return re.split(r"[\\/]", file)[-1].removesuffix(".py") if isinstance(file, str) else "__main__"


def _class_name(cls: type) -> str:
    metadata: Any = vars(cls).get("__pydantic_generic_metadata__")
    if metadata and metadata["origin"] is not None:
        return f"{class_name(metadata['origin'])}[{','.join(map(_annotation_name, metadata['args']))}]"
    if "<" in cls.__qualname__:
        raise Refused(cls, "its class is made inside a function, so its name may not be the only one")
    name = f"{module_name(cls.__module__)}.{cls.__qualname__}"
    return name if _PLAIN_NAME.match(name) else f'"{len(name)}:{name}'


class_name = cast("Callable[[type], str]", functools.lru_cache(maxsize=1024)(_class_name))
"""A class in a key. Raises ``Refused`` for one made inside a function: two of them may have one name."""


def _annotation_name(annotation: Any) -> str:
    """An argument of a generic model, whose own name does not say the module of its arguments."""
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated:
        return _annotation_name(typing.get_args(annotation)[0])
    if origin is typing.Literal:
        texts = [f"{type(value).__name__}:{len(str(value))}:{value}" for value in typing.get_args(annotation)]
        return f"Literal[{','.join(texts)}]"
    if origin is not None:
        name = "Union" if origin in _UNIONS else _annotation_name(origin)
        return f"{name}[{','.join(map(_annotation_name, typing.get_args(annotation)))}]"
    if isinstance(annotation, type):
        return class_name(annotation)
    if annotation is None or annotation is ...:
        return str(annotation)
    if annotation is Any or isinstance(annotation, typing.TypeVar):
        return str(getattr(annotation, "__name__", "Any"))
    raise Refused(None, f"its class has an argument without a name: {annotation!r}")
