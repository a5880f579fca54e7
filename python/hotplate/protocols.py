"""What a cached function is to a type checker: ``AsyncCached`` and ``SyncCached``, and as the method of an object.

Nothing of this runs. What is beside the call of a cached method (``key``, ``invalidate``, ``refresh``, ``bypass``)
takes the object first, however it is looked up; of a class method, the class. A class method is known by its first
parameter, which takes the class, and a static method that is looked up on an object by a first parameter that does not
take the object. mypy does not compare them: it takes both for methods of objects, so these it has to be told to ignore.
"""

from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, NamedTuple, ParamSpec, Protocol, TypeVar, overload

__all__ = ["AsyncCached", "AsyncMethod", "CacheInfo", "SyncCached", "SyncMethod"]

MYPY = False
"""mypy takes it for true."""

P = ParamSpec("P")
Q = ParamSpec("Q")
S = TypeVar("S")
S_contra = TypeVar("S_contra", contravariant=True)
T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


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

    if not MYPY:

        @overload
        def __get__(
            self: "AsyncCached[Concatenate[S, Q], T]", instance: object, owner: S, /
        ) -> "AsyncMethod[S, Q, T]": ...

    @overload
    def __get__(self, instance: None, owner: type | None = None, /) -> "AsyncCached[P, T_co]": ...
    @overload
    def __get__(
        self: "AsyncCached[Concatenate[S, Q], T]", instance: S, owner: type | None = None, /
    ) -> "AsyncMethod[S, Q, T]": ...
    @overload
    def __get__(self, instance: object, owner: type | None = None, /) -> "AsyncCached[P, T_co]": ...

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

    if not MYPY:

        @overload
        def __get__(
            self: "SyncCached[Concatenate[S, Q], T]", instance: object, owner: S, /
        ) -> "SyncMethod[S, Q, T]": ...

    @overload
    def __get__(self, instance: None, owner: type | None = None, /) -> "SyncCached[P, T_co]": ...
    @overload
    def __get__(
        self: "SyncCached[Concatenate[S, Q], T]", instance: S, owner: type | None = None, /
    ) -> "SyncMethod[S, Q, T]": ...
    @overload
    def __get__(self, instance: object, owner: type | None = None, /) -> "SyncCached[P, T_co]": ...

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
