"""Python objects in process: results of functions, constants, what is expensive to make.

from hotplate import LocalCache, memoize

@memoize(ttl="5m")
def exchange_rate(currency: str) -> float: ...

cache: LocalCache[str, bytes] = LocalCache(max_bytes="64MiB", maxsize=None, weigh=len)

Nothing here is sent anywhere, or invalidated by what another process does. The entries and their bounds are the
engine's; here is how tasks of an event loop wait for one load.
"""

import asyncio
import functools
import inspect
from collections.abc import Awaitable, Callable, Hashable
from contextvars import ContextVar
from typing import Any, Concatenate, NamedTuple, ParamSpec, Protocol, TypeVar, cast, overload

from hotplate._core import MISSING, Claim, LocalCache, ManualClock, Memo
from hotplate.errors import ConfigError
from hotplate.rules import Duration

__all__ = ["CacheInfo", "LocalCache", "LocalCacheInfo", "Memoized", "memoize"]

P = ParamSpec("P")
Q = ParamSpec("Q")
R_co = TypeVar("R_co", covariant=True)
S = TypeVar("S")
T = TypeVar("T")


class CacheInfo(NamedTuple):
    """The numbers of a memoized function, as ``functools.lru_cache`` names them."""

    hits: int
    misses: int
    maxsize: int | None
    currsize: int


class LocalCacheInfo(NamedTuple):
    """The numbers of a ``LocalCache``."""

    hits: int
    """Answered from what is stored, or from another one's load."""
    misses: int
    """Not found, or loaded."""
    evictions: int
    """Gone for room."""
    size: int
    """Entries, with those whose end has come and that nobody asked for since."""
    bytes: int
    """What the values take by ``weigh``; 0 without it."""


class Memoized(Protocol[P, R_co]):
    """A function whose results are kept. Called as the function is, also as a method."""

    __name__: str
    __qualname__: str

    @property
    def __wrapped__(self) -> Callable[P, R_co]:
        """The function itself."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """The result that is kept, or the function's, which then is."""

    @overload
    def __get__(self, instance: None, owner: type | None = None, /) -> "Memoized[P, R_co]": ...
    @overload
    def __get__(
        self: "Memoized[Concatenate[S, Q], T]", instance: S, owner: type | None = None, /
    ) -> "MemoizedMethod[Q, T]": ...

    def cache_info(self) -> CacheInfo:
        """Hits, misses (the function ran), the most entries, and how many there are."""

    def cache_clear(self) -> None:
        """Forgets every result, and counts from zero. What is being computed is given to who waits, and not kept."""

    def cache_discard(self, *args: Any, **kwargs: Any) -> bool:
        """Forgets the result for these arguments. Whether there was one. Of a method, the first is the object."""

    def cache_parameters(self) -> dict[str, Any]:
        """The settings: ``maxsize``, ``typed``, ``ttl`` in seconds, ``max_bytes``."""


class MemoizedMethod(Protocol[P, R_co]):
    """A memoized function as the method of an object. Its cache is the function's, of all objects together."""

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """The result that is kept for this object."""

    def cache_info(self) -> CacheInfo:
        """As of the function."""

    def cache_clear(self) -> None:
        """As of the function: for all objects."""

    def cache_discard(self, *args: Any, **kwargs: Any) -> bool:
        """As of the function: the first argument is the object."""

    def cache_parameters(self) -> dict[str, Any]:
        """As of the function."""


class _Decorator(Protocol):
    def __call__(self, function: Callable[P, T], /) -> Memoized[P, T]: ...


@overload
def memoize(maxsize: Callable[P, T], /) -> Memoized[P, T]: ...
@overload
def memoize(
    maxsize: int | None = 1024,
    ttl: Duration | None = None,
    *,
    weigh: Callable[[Any], int] | None = None,
    max_bytes: int | str | None = None,
    typed: bool = False,
    key: Callable[..., Hashable] | None = None,
    clock: ManualClock | None = None,
) -> _Decorator: ...
def memoize(
    maxsize: Any = 1024,
    ttl: Duration | None = None,
    *,
    weigh: Callable[[Any], int] | None = None,
    max_bytes: int | str | None = None,
    typed: bool = False,
    key: Callable[..., Hashable] | None = None,
    clock: ManualClock | None = None,
) -> Any:
    """A decorator that keeps a function's results: ``functools.lru_cache`` with a ``ttl``, for ``async def`` too.

    With parentheses or without, for functions and methods; ``@classmethod`` and ``@staticmethod`` stand above it. Of
    several threads, or tasks of one event loop, that ask for one result, one runs the function and the others wait. An
    exception reaches each of them and is not kept. A task that is cancelled cuts nobody else short.
    Type checkers know functions and methods; below ``@classmethod`` and ``@staticmethod`` they are at a loss.

    Arguments are hashable. Those given by name are put where they would stand by position, so ``f(1, b=2)`` and
    ``f(1, 2)`` share a result; ``f(1)`` and ``f(1, 2)`` do not, even if 2 is the default. As with ``lru_cache``, equal
    arguments share a result, though a lone ``3`` and ``3.0`` may have one each. A method's object is an argument: it is
    hashed, and kept alive as long as the result is.

    ``maxsize``: the most results, or ``None`` with ``max_bytes`` only. ``ttl``: how long a result is kept, in seconds,
    as a timedelta, or text such as ``"5m"``; ``None`` for as long as there is room. ``max_bytes``: what the results may
    take together, by ``weigh(result)``. ``typed``: equal arguments of different types have results of their own.
    ``key``: a function of the arguments that gives what the result is kept under, where they are not hashable, or not
    all of them matter. ``clock``: for tests, a ``hotplate.testing.ManualClock``. A setting that cannot be meant raises
    ``ConfigError``.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        _check(function, key)
        entries = 1024 if callable(maxsize) else maxsize
        memo = Memo(
            function,
            _positional(function),
            maxsize=entries,
            ttl=ttl,
            weigh=weigh,
            max_bytes=max_bytes,
            typed=typed,
            key=key,
            clock=clock,
        )
        return _awaited(function, memo) if _is_async(function) else functools.update_wrapper(memo, function)

    return decorate(maxsize) if callable(maxsize) else decorate


def _check(function: object, key: object) -> None:
    if isinstance(function, classmethod | staticmethod):
        kind = type(function).__name__
        raise ConfigError(f"@memoize cannot stand above @{kind}: write @{kind} first, and @memoize below it")
    if not callable(function):
        raise ConfigError(f"function={function!r} cannot be memoized: write a function, as in @memoize(ttl=30)")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise ConfigError(
            f"function={function!r} cannot be memoized: what a generator gives can be read once; return a list"
        )
    if key is not None and not callable(key):
        raise ConfigError(f"key={key!r} cannot be used: write a function of the arguments that gives a hashable object")


def _is_async(function: object) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004


def _positional(function: Callable[..., Any]) -> list[tuple[str | None, tuple[Any, ...]]]:
    """The parameters that can be given by position: a name or ``None``, and the default if there is one."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return []  # some built-in functions say nothing: what is given by name stays so
    return [
        (
            parameter.name if parameter.kind is parameter.POSITIONAL_OR_KEYWORD else None,
            () if parameter.default is parameter.empty else (parameter.default,),
        )
        for parameter in parameters
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.POSITIONAL_ONLY)
    ]


def _awaited(function: Callable[..., Awaitable[Any]], memo: Memo) -> Any:
    """A coroutine function around the results: a real one, for everybody who asks whether it is."""
    memoized = functools.update_wrapper(_by_arguments(function, memo), function)
    for name in ("cache_info", "cache_clear", "cache_discard", "cache_parameters"):
        setattr(memoized, name, getattr(memo, name))
    return memoized


def _by_arguments(function: Callable[..., Awaitable[Any]], memo: Memo) -> Callable[..., Awaitable[Any]]:
    find, find_one, missing = memo.find, memo.find_one, MISSING

    async def of_any(*args: Any, **kwargs: Any) -> Any:
        value = find(args, kwargs)
        return await _call(function, memo, args, kwargs) if value is missing else value

    # To take one or two parameters as such costs less than to take any arguments.
    async def of_one(only: Any) -> Any:
        value = find_one(only)
        return await _call(function, memo, (only,), {}) if value is missing else value

    async def of_two(first: Any, second: Any) -> Any:
        value = find((first, second))
        return await _call(function, memo, (first, second), {}) if value is missing else value

    names = _plain_parameters(function)
    by_number: dict[int, Any] = {1: of_one, 2: of_two}
    memoized = by_number.get(len(names))
    if memoized is None:
        return of_any
    # They can be given by name too: by the names that the function has for them.
    code = memoized.__code__
    memoized.__code__ = code.replace(co_varnames=(*names, *code.co_varnames[len(names) :]))
    return cast("Callable[..., Awaitable[Any]]", memoized)


def _plain_parameters(function: Callable[..., Any]) -> list[str]:
    """The names of all its parameters, or nothing if one has a default or is not by position or name."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return []
    plain = all(one.kind is one.POSITIONAL_OR_KEYWORD and one.default is one.empty for one in parameters)
    return [one.name for one in parameters] if plain else []


def _call(
    function: Callable[..., Awaitable[Any]], memo: Memo, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Awaitable[Any]:
    return _load(functools.partial(memo.claim, args, kwargs), functools.partial(function, *args, **kwargs))


async def aget_or_set(
    cache: LocalCache[Any, T], key: Hashable, loader: Callable[[], Awaitable[T]], ttl: Duration | None
) -> T:
    """``LocalCache.aget_or_set``."""
    value = cache.get(key, MISSING)
    if value is not MISSING:
        return cast("T", value)
    return cast("T", await _load(lambda load: cache._claim(key, load, ttl), loader))  # noqa: SLF001


async def _load(claim: Callable[["_Load"], Claim], run: Callable[[], Awaitable[Any]]) -> Any:
    own = _Load()
    claimed = claim(own)
    while isinstance(claimed.other, _Load) and claimed.other.is_orphan():
        claimed.outdate()
        claimed = claim(own)
    if claimed.value is not MISSING:
        return claimed.value
    if claimed.leads:
        own.start(claimed, run)
        return await own.wait()
    if isinstance(claimed.other, _Load) and claimed.other.can_be_awaited():
        value = await claimed.other.wait()
        claimed.joined()
        return value
    value = await run()
    claimed.store(value)
    return value


_within: ContextVar["_Load | None"] = ContextVar("hotplate.objects.load", default=None)
"""The load that this code runs in."""


class _Load:
    """One load, run by a task of its own, that any number of tasks of its event loop wait for."""

    __slots__ = ("_loop", "_task", "_waiters", "awaits")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._task: asyncio.Task[Any] | None = None
        self._waiters: list[asyncio.Future[Any]] = []
        self.awaits: list[_Load] = []
        """The loads that it waits for."""

    def start(self, claim: Claim, run: Callable[[], Awaitable[Any]]) -> None:
        self._task = self._loop.create_task(self._run(claim, run))
        self._task.add_done_callback(self._tell)

    def is_orphan(self) -> bool:
        """Its event loop was closed before it ended."""
        return self._loop.is_closed()

    def can_be_awaited(self) -> bool:
        """From here, and without waiting for what waits for it."""
        within = _within.get()
        if self._loop is not asyncio.get_running_loop():
            return False
        return within is None or not self._leads_to(within)

    def _leads_to(self, other: "_Load") -> bool:
        seen: list[_Load] = []
        ahead = [self]
        while ahead:
            load = ahead.pop()
            if load is other:
                return True
            if load not in seen:
                seen.append(load)
                ahead.extend(load.awaits)
        return False

    async def wait(self) -> Any:
        """The value, or the exception."""
        if self._task is not None and self._task.done():
            return self._task.result()
        within = _within.get()
        waiter = self._loop.create_future()
        self._waiters.append(waiter)
        if within is not None:
            within.awaits.append(self)
        try:
            return await waiter
        finally:
            if within is not None:
                within.awaits.remove(self)

    async def _run(self, claim: Claim, run: Callable[[], Awaitable[Any]]) -> Any:
        _within.set(self)
        try:
            value = await run()
            claim.store(value)
        finally:
            claim.release()
        return value

    def _tell(self, task: "asyncio.Task[Any]") -> None:
        error = None if task.cancelled() else task.exception()
        for waiter in self._waiters:
            if waiter.done():
                continue
            if task.cancelled():
                waiter.cancel()
            elif error is not None:
                waiter.set_exception(error)
            else:
                waiter.set_result(task.result())
        self._waiters.clear()
