"""The words in which a value is refused: where, what, and what to do instead."""

from dataclasses import is_dataclass
from typing import Any, Final

from hotplate.codecs.frame import MAX_DEPTH
from hotplate.codecs.paths import type_name
from hotplate.errors import EncodeError

__all__ = ["changed", "is_live", "is_mapped", "live_remedy", "remedy_for", "too_deep", "unsupported"]

_LONGEST_PATH: Final = 80
live_remedy: Final = "cache a model or dataclass made from it"
_LIVE_MODULES = frozenset(
    (
        *("_io", "asyncio", "concurrent", "httpx", "io", "logging", "multiprocessing", "redis", "requests"),
        *("socket", "sqlalchemy", "sqlite3", "starlette", "threading"),
    )
)


def is_mapped(kind: Any) -> bool:
    """Whether a class is one that SQLAlchemy maps to a table (SQLModel's too)."""
    return hasattr(kind, "__mapper__") or hasattr(kind, "_sa_class_manager")


def is_live(kind: Any) -> bool:
    """Whether objects of a class are bound to this process: rows of a session, connections, files, iterators."""
    if is_mapped(kind) or hasattr(kind, "__next__") or hasattr(kind, "__anext__") or hasattr(kind, "__await__"):
        return True
    if hasattr(kind, "__pydantic_fields__") or is_dataclass(kind):
        return False
    bases = getattr(kind, "__mro__", ())
    return any(str(base.__module__).partition(".")[0] in _LIVE_MODULES for base in bases)


def remedy_for(kind: Any, otherwise: str) -> str:
    """What to do about objects of a class; `otherwise` where nothing special is known of it."""
    if is_live(kind):
        return f"it is bound to this process or its session: {live_remedy}"
    if type_name(kind) in ("pydantic.types.SecretStr", "pydantic.types.SecretBytes", "pydantic.types.Secret"):
        return "secrets are not written to the shared tier: leave it out of what is cached"
    return otherwise


def unsupported(path: str, part: Any, otherwise: str) -> EncodeError:
    """A part whose type the codec has no form for."""
    message = f"value cannot be kept: `{path}` is `{type_name(type(part))}`; {remedy_for(type(part), otherwise)}"
    return EncodeError(message, path=path)


def too_deep(path: str) -> EncodeError:
    """A value that contains itself, or nearly; of the path only its beginning is shown."""
    if len(path) > _LONGEST_PATH:
        path = f"{path[:_LONGEST_PATH]}…"
    message = (
        f"value cannot be kept: `{path}` is nested deeper than {MAX_DEPTH}, or contains itself; cache something flatter"
    )
    return EncodeError(message, path=path)


def changed(path: str, before: Any, after: Any, codec: str) -> EncodeError:
    """A part that would come back as something else. `before` and `after` are the two; their values are not shown."""
    kind, other = type_name(type(before)), type_name(type(after))
    comes_back = f"as `{other}`" if type(before) is not type(after) else "with another value"
    otherwise = (
        "return exactly what the annotation says (a subclass, an excluded field and a validator that changes "
        "its own result are not kept), or choose another codec"
        if codec == "typed"
        else 'annotate what the function returns and leave the codec on "auto"'
    )
    what = f"`{path}` is `{kind}` and would come back {comes_back}"
    return EncodeError(f"value cannot be kept: {what}; {remedy_for(type(before), otherwise)}", path=path)
