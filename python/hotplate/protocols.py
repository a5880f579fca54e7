"""What a cached function is to a type checker: ``AsyncCached`` and ``SyncCached``, and as the method of an object.

Nothing of this runs. What is beside the call of a cached method (``key``, ``invalidate``, ``refresh``, ``bypass``)
takes the object first, however it is looked up; of a class method, the class. A checker does not tell ``__get__`` what
stands above the decorator: a function whose first parameter takes the class is a class method, one whose first
parameter takes the object a method, and any other a static method, as is one whose first parameter takes everything.

mypy loses the type variables that a method has of its own, ``Self`` among them, where it is looked up on an object;
those that the arguments decide it keeps where it is looked up on the class: ``Shop.find(shop, Product, 1)``.
"""

from collections.abc import Callable, Coroutine
from typing import Any, NamedTuple, ParamSpec, Protocol, TypeVar, final, overload

__all__ = ["AsyncCached", "AsyncMethod", "CacheInfo", "SyncCached", "SyncMethod"]

P = ParamSpec("P")
Q = ParamSpec("Q")
S = TypeVar("S")
S_contra = TypeVar("S_contra", contravariant=True)
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
U = TypeVar("U")


class CacheInfo(NamedTuple):
    """What became of the calls of one cached function in this process, since it was decorated."""

    hits: int
    """Answered from a fresh result, waiters of one load included."""
    stale: int
    """Answered from a stale result."""
    loads: int
    """Times the function ran."""
    errors: int
    """Times it raised."""


class AsyncCached(Protocol[P, T_co]):
    """A cached async function."""

    __name__: str
    __qualname__: str

    @property
    def __wrapped__(self) -> Callable[P, Coroutine[Any, Any, T_co]]:
        """The function itself."""

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T_co:
        """The stored result, or that of calling the function."""
        ...

    @overload
    def __get__(self: "_AsyncWith[_Nobody, Q, T]", instance: object, owner: object, /) -> "AsyncCached[P, T_co]": ...
    @overload
    def __get__(
        self: "_AsyncWith[type[S], Q, T]", instance: None, owner: type[S], /
    ) -> "AsyncMethod[type[S], Q, T]": ...
    @overload
    def __get__(self: "_AsyncWith[type[S], Q, T]", instance: U, owner: type[S], /) -> "AsyncMethod[type[U], Q, T]": ...
    @overload
    def __get__(self, instance: None, owner: object, /) -> "AsyncCached[P, T_co]": ...
    @overload
    def __get__(self: "_AsyncWith[S, Q, T]", instance: S, owner: type[U], /) -> "AsyncMethod[U, Q, T]": ...
    @overload
    def __get__(self, instance: object, owner: object, /) -> "AsyncCached[P, T_co]": ...

    def key(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """The name under which the result of this call is stored."""

    async def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> int:
        """Makes the stored result of this call untrue, for every process. Returns the position in the log."""
        ...

    async def refresh(self, *args: P.args, **kwargs: P.kwargs) -> T_co:
        """Calls the function, whatever is stored, and stores its result.

        Other processes keep the copies they have: where the data has changed, ``invalidate`` says so to all.
        """
        ...

    async def bypass(self, *args: P.args, **kwargs: P.kwargs) -> T_co:
        """Calls the function, without the cache."""
        ...

    def cache_info(self) -> CacheInfo:
        """The numbers of this process."""


class AsyncMethod(Protocol[S_contra, P, T_co]):
    """A cached async function as the method of an object. What is beside the call takes the object first."""

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T_co:
        """As of the function."""
        ...

    def key(self, instance: S_contra, /, *args: P.args, **kwargs: P.kwargs) -> str:
        """As of the function."""

    async def invalidate(self, instance: S_contra, /, *args: P.args, **kwargs: P.kwargs) -> int:
        """As of the function."""
        ...

    async def refresh(self, instance: S_contra, /, *args: P.args, **kwargs: P.kwargs) -> T_co:
        """As of the function."""
        ...

    async def bypass(self, instance: S_contra, /, *args: P.args, **kwargs: P.kwargs) -> T_co:
        """As of the function."""
        ...

    def cache_info(self) -> CacheInfo:
        """As of the function: of all objects together."""


class SyncCached(Protocol[P, T_co]):
    """A cached function."""

    __name__: str
    __qualname__: str

    @property
    def __wrapped__(self) -> Callable[P, T_co]:
        """The function itself."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T_co:
        """The stored result, or that of calling the function."""

    @overload
    def __get__(self: "_SyncWith[_Nobody, Q, T]", instance: object, owner: object, /) -> "SyncCached[P, T_co]": ...
    @overload
    def __get__(self: "_SyncWith[type[S], Q, T]", instance: None, owner: type[S], /) -> "SyncMethod[type[S], Q, T]": ...
    @overload
    def __get__(self: "_SyncWith[type[S], Q, T]", instance: U, owner: type[S], /) -> "SyncMethod[type[U], Q, T]": ...
    @overload
    def __get__(self, instance: None, owner: object, /) -> "SyncCached[P, T_co]": ...
    @overload
    def __get__(self: "_SyncWith[S, Q, T]", instance: S, owner: type[U], /) -> "SyncMethod[U, Q, T]": ...
    @overload
    def __get__(self, instance: object, owner: object, /) -> "SyncCached[P, T_co]": ...

    def key(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """The name under which the result of this call is stored."""

    def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> int:
        """Makes the stored result of this call untrue, for every process. Returns the position in the log."""

    def refresh(self, *args: P.args, **kwargs: P.kwargs) -> T_co:
        """Calls the function, whatever is stored, and stores its result.

        Other processes keep the copies they have: where the data has changed, ``invalidate`` says so to all.
        """

    def bypass(self, *args: P.args, **kwargs: P.kwargs) -> T_co:
        """Calls the function, without the cache."""

    def cache_info(self) -> CacheInfo:
        """The numbers of this process."""


class SyncMethod(Protocol[S_contra, P, T_co]):
    """A cached function as the method of an object. What is beside the call takes the object first."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T_co:
        """As of the function."""

    def key(self, instance: S_contra, /, *args: P.args, **kwargs: P.kwargs) -> str:
        """As of the function."""

    def invalidate(self, instance: S_contra, /, *args: P.args, **kwargs: P.kwargs) -> int:
        """As of the function."""

    def refresh(self, instance: S_contra, /, *args: P.args, **kwargs: P.kwargs) -> T_co:
        """As of the function."""

    def bypass(self, instance: S_contra, /, *args: P.args, **kwargs: P.kwargs) -> T_co:
        """As of the function."""

    def cache_info(self) -> CacheInfo:
        """As of the function: of all objects together."""


# How ``__get__`` knows a function: by its first parameter, apart from the others. mypy compares it only where it is
# written like this; a first parameter within ``Concatenate``, in the place of a ``ParamSpec``, it takes for any other.


class _AsyncWith(Protocol[S_contra, P, T_co]):
    async def __call__(self, first: S_contra, /, *args: P.args, **kwargs: P.kwargs) -> T_co: ...


class _SyncWith(Protocol[S_contra, P, T_co]):
    def __call__(self, first: S_contra, /, *args: P.args, **kwargs: P.kwargs) -> T_co: ...


@final
class _Nobody:
    """What a parameter takes only if it takes everything."""
