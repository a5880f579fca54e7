"""The decorators of a cache: ``cached``, ``write_through`` and ``invalidates``, for sync and async functions alike.

What is decorated stays a function of its own kind: a method binds, ``inspect`` sees signature, annotations and
``__wrapped__``, and FastAPI finds the parameters. A decorator stands under ``@classmethod``, ``@staticmethod`` and the
route decorators, next to the function.
"""

import functools
import inspect
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from typing import TYPE_CHECKING, Any, Concatenate, Generic, Literal, NamedTuple, ParamSpec, Protocol, TypeVar, overload

from hotplate._core import MISSING, ValuePlan, seconds
from hotplate.codecs import Codec
from hotplate.errors import ConfigError
from hotplate.functions import Call, Results
from hotplate.keys import key_function, text_function

if TYPE_CHECKING:
    from hotplate.cache import Cache
    from hotplate.rules import Duration

__all__ = ["AsyncCached", "CacheInfo", "Cached", "Invalidates", "Lifetime", "SyncCached", "Tags", "WriteThrough"]

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
S = TypeVar("S")
T = TypeVar("T")

Lifetime = "Duration | Callable[[Any], Duration | None]"
"""A lifetime, or what gives one for a result; ``None`` from it: the result is not stored."""

Tags = "Sequence[str] | Callable[[Any], Iterable[str]]"
"""Templates, or what gives tags for a result."""


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


class AsyncCached(Protocol[P, T]):
    """A cached async function. For a method, what is beside the call takes the instance first."""

    __wrapped__: Callable[P, Coroutine[Any, Any, T]]
    __name__: str
    __qualname__: str

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """The stored result, or that of calling the function."""
        ...

    @overload
    def __get__(self, instance: None, owner: Any) -> "AsyncCached[P, T]": ...
    @overload
    def __get__(
        self: "AsyncCached[Concatenate[S, Q], R]", instance: S, owner: Any
    ) -> Callable[Q, Coroutine[Any, Any, R]]: ...

    def key(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """The name under which the result of this call is stored."""
        ...

    async def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> int:
        """Makes the stored result of this call untrue, for every process. Returns the position in the log."""
        ...

    async def refresh(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Calls the function, whatever is stored, and stores its result."""
        ...

    async def bypass(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Calls the function, without the cache."""
        ...

    def cache_info(self) -> CacheInfo:
        """The numbers of this process."""
        ...


class SyncCached(Protocol[P, T]):
    """A cached function. For a method, what is beside the call takes the instance first."""

    __wrapped__: Callable[P, T]
    __name__: str
    __qualname__: str

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """The stored result, or that of calling the function."""
        ...

    @overload
    def __get__(self, instance: None, owner: Any) -> "SyncCached[P, T]": ...
    @overload
    def __get__(self: "SyncCached[Concatenate[S, Q], R]", instance: S, owner: Any) -> Callable[Q, R]: ...

    def key(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """The name under which the result of this call is stored."""
        ...

    def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> int:
        """Makes the stored result of this call untrue, for every process. Returns the position in the log."""
        ...

    def refresh(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Calls the function, whatever is stored, and stores its result."""
        ...

    def bypass(self, *args: P.args, **kwargs: P.kwargs) -> T:
        """Calls the function, without the cache."""
        ...

    def cache_info(self) -> CacheInfo:
        """The numbers of this process."""
        ...


class Cached(Generic[T]):
    """The decorator that ``Cache.cached`` gives; see there."""

    def __init__(
        self,
        cache: "Cache",
        ttl: Any,
        *,
        key: str | Callable[..., str] | None,
        prefix: str | None,
        tags: Any,
        exclude: Iterable[str],
        stale_while_revalidate: "Duration | None",
        stale_if_error: "Duration | None",
        refresh_ahead: float | None,
        soft_timeout: "Duration | None",
        condition: Callable[[Any], object] | None,
        codec: str | Codec | None,
        local_only: bool,
        lock: bool,
        copy: Literal["deep"] | None,
        freeze: bool,
    ) -> None:
        if not callable(ttl):
            seconds("ttl", ttl)
        if copy not in (None, "deep"):
            raise ConfigError(f'copy={copy!r} is no way to copy: write copy="deep", or leave it out')
        self._cache = cache
        self._ttl = ttl
        self._key = key
        self._prefix = prefix
        self._tags = tags
        self._exclude = exclude
        self._plan: dict[str, Any] = {
            "stale_while_revalidate": stale_while_revalidate,
            "stale_if_error": stale_if_error,
            "refresh_ahead": refresh_ahead,
            "local_only": local_only,
            "lock": lock,
        }
        self._soft_timeout = None if soft_timeout is None else seconds("soft_timeout", soft_timeout)
        self._space = ""
        self._condition = condition
        self._codec = codec
        self._copy = copy
        self._freeze = freeze
        # What cannot be meant is refused where it is written.
        ValuePlan(**self._plan)
        cache.stored.check(codec)

    def within(self, space: str) -> "Cached[T]":
        """Has keys that are made of module and name begin with ``space:``."""
        self._space = f"{space}:"
        return self

    @overload
    def __call__(self, function: Callable[P, Coroutine[Any, Any, R]]) -> AsyncCached[P, R]: ...  # type: ignore[overload-overlap]
    @overload
    def __call__(self, function: Callable[P, R]) -> SyncCached[P, R]: ...
    def __call__(self, function: Any) -> Any:
        """The function, cached."""
        is_async = _kind(function, "cached")
        if self._soft_timeout is not None and not is_async:
            raise ConfigError(
                f"soft_timeout= needs an async function, and {_name(function)} is none: a thread cannot be left waiting"
            )
        prefix = self._prefix
        if self._space and self._key is None and prefix is None:
            prefix = f"{self._space}{function.__module__}.{_name(function)}"
        key = _key(function, self._key, prefix, self._exclude)
        tags = _tags(function, self._tags)
        cache = self._cache
        results = Results(
            cache,
            ValuePlan(**self._plan),
            functools.partial(cache.codec_of, function, self._codec),
            self._ttl,
            condition=self._condition,
            copies=self._copy,
            freezes=self._freeze,
            soft_timeout=self._soft_timeout,
            local_only=bool(self._plan["local_only"]),
        )
        wrapper = (_async_wrapper if is_async else _sync_wrapper)(cache, function, results, key, tags)
        wrapper.key = key
        wrapper.bypass = function
        wrapper.cache_info = lambda: CacheInfo(*results.plan.counts())
        return wrapper


def _async_wrapper(
    cache: "Cache",
    function: Callable[..., Awaitable[Any]],
    results: Results,
    key: Callable[..., str],
    tags: Callable[..., list[str]],
) -> Any:
    recall, plan, copies = results.core.recall, results.plan, results.copies

    def call(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
        return Call(lambda: function(*args, **kwargs), lambda result: tags(result, args, kwargs))

    @functools.wraps(function)
    async def cached(*args: Any, **kwargs: Any) -> Any:
        text = key(*args, **kwargs)
        value = recall(plan, text)
        if value is MISSING:
            return await results.find(text, call(args, kwargs))
        return results.copied(value) if copies else value

    async def invalidate(*args: Any, **kwargs: Any) -> int:
        return await cache.invalidate(keys=[key(*args, **kwargs)])

    async def refresh(*args: Any, **kwargs: Any) -> Any:
        return await results.load(key(*args, **kwargs), call(args, kwargs))

    wrapper: Any = cached
    wrapper.invalidate, wrapper.refresh = invalidate, refresh
    return wrapper


def _sync_wrapper(
    cache: "Cache",
    function: Callable[..., Any],
    results: Results,
    key: Callable[..., str],
    tags: Callable[..., list[str]],
) -> Any:
    recall, plan, copies = results.core.recall, results.plan, results.copies

    def call(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
        return Call(lambda: function(*args, **kwargs), lambda result: tags(result, args, kwargs))

    @functools.wraps(function)
    def cached(*args: Any, **kwargs: Any) -> Any:
        text = key(*args, **kwargs)
        value = recall(plan, text)
        if value is MISSING:
            return results.find_now(text, call(args, kwargs))
        return results.copied(value) if copies else value

    def invalidate(*args: Any, **kwargs: Any) -> int:
        return cache.sync.invalidate(keys=[key(*args, **kwargs)])

    def refresh(*args: Any, **kwargs: Any) -> Any:
        return results.load_now(key(*args, **kwargs), call(args, kwargs))

    wrapper: Any = cached
    wrapper.invalidate, wrapper.refresh = invalidate, refresh
    return wrapper


class WriteThrough:
    """The decorator that ``Cache.write_through`` gives; see there."""

    def __init__(self, cache: "Cache", ttl: "Duration", *, key: str, tags: Any, codec: str | Codec | None) -> None:
        seconds("ttl", ttl)
        cache.stored.check(codec)
        self._cache = cache
        self._ttl = ttl
        self._key = key
        self._tags = tags
        self._codec = codec

    def __call__(self, function: Callable[P, R]) -> Callable[P, R]:
        """The function, whose results are stored."""
        is_async = _kind(function, "write_through")
        cache, ttl = self._cache, self._ttl
        key = text_function(function, self._key, with_result=True, setting="key", percent_encode=True)
        tags = _tags(function, self._tags)
        made: list[Codec] = []

        def codec() -> Codec:
            if not made:
                made.append(cache.codec_of(function, self._codec))
            return made[0]

        if is_async:

            @functools.wraps(function)
            async def written(*args: Any, **kwargs: Any) -> Any:
                result = await function(*args, **kwargs)  # type: ignore[misc]
                text = key(result, *args, **kwargs)
                try:
                    await cache.put(text, result, ttl=ttl, tags=tags(result, args, kwargs), codec=codec())
                except Exception:
                    # The function has succeeded: what is stored is not true any more.
                    await cache.delete(text)
                    raise
                return result

        else:

            @functools.wraps(function)
            def written(*args: Any, **kwargs: Any) -> Any:
                result = function(*args, **kwargs)
                text = key(result, *args, **kwargs)
                try:
                    cache.sync.put(text, result, ttl=ttl, tags=tags(result, args, kwargs), codec=codec())
                except Exception:
                    cache.sync.delete(text)
                    raise
                return result

        wrapper: Any = written
        return wrapper  # type: ignore[no-any-return]


class Invalidates:
    """What ``Cache.invalidates`` gives: a decorator, and a FastAPI dependency; see there."""

    def __init__(self, cache: "Cache", soft: bool, **templates: Iterable[str]) -> None:
        for setting, texts in templates.items():
            if isinstance(texts, str):
                raise ConfigError(
                    f"{setting}={texts!r} is one text where several are meant: write {setting}=[{texts!r}]"
                )
        self._cache = cache
        self._soft = soft
        self._templates = {setting: list(texts) for setting, texts in templates.items() if texts}
        if not self._templates:
            raise ConfigError('invalidates() names nothing: write tags=["..."], keys=["..."] or prefixes=["/..."]')

    @overload
    def __call__(self, function: Callable[P, R]) -> Callable[P, R]: ...
    @overload
    def __call__(self, function: None = None, **given: None) -> None: ...
    def __call__(self, function: Any = None, **given: None) -> Any:
        """The function, after whose success what is named is invalidated."""
        if function is None:  # FastAPI: its part is the dependency in the signature
            return None
        is_async = _kind(function, "invalidates")
        cache, soft = self._cache, self._soft
        fill = {
            setting: [
                text_function(function, text, with_result=True, setting=setting, percent_encode=setting == "keys")
                for text in texts
            ]
            for setting, texts in self._templates.items()
        }

        def targets(result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, list[str]]:
            return {setting: [text(result, *args, **kwargs) for text in texts] for setting, texts in fill.items()}

        if is_async:

            @functools.wraps(function)
            async def invalidating(*args: Any, **kwargs: Any) -> Any:
                result = await function(*args, **kwargs)
                await cache.invalidate(**targets(result, args, kwargs), soft=soft)
                return result

        else:

            @functools.wraps(function)
            def invalidating(*args: Any, **kwargs: Any) -> Any:
                result = function(*args, **kwargs)
                cache.sync.invalidate(**targets(result, args, kwargs), soft=soft)
                return result

        return invalidating

    def __getattr__(self, name: str) -> Any:
        # What FastAPI sees of it: one dependency, which does the work after the endpoint.
        if name == "__signature__":
            from hotplate.fastapi import after_endpoint

            return after_endpoint(self._cache, self._templates, self._soft)
        raise AttributeError(name)


def _kind(function: Any, decorator: str) -> bool:
    """Whether a function is async; refuses what cannot be decorated."""
    if isinstance(function, classmethod | staticmethod):
        kind = type(function).__name__
        raise ConfigError(
            f"@{decorator} stands above @{kind}: write @{kind} first, and @{decorator} next to the function"
        )
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise ConfigError(
            f"{_name(function)} is a generator, which can be used once: decorate a function that returns a list"
        )
    return inspect.iscoroutinefunction(function)


def _name(function: Any) -> str:
    return getattr(function, "__qualname__", repr(function))


def _key(
    function: Callable[..., Any], key: str | Callable[..., str] | None, prefix: str | None, exclude: Iterable[str]
) -> Callable[..., str]:
    if callable(key):
        if prefix is not None:
            raise ConfigError(
                f"prefix={prefix!r} has no meaning beside a callable key: write it into what that returns"
            )
        return key
    return key_function(function, key=key, prefix=prefix, exclude=exclude)


def _tags(function: Callable[..., Any], tags: Any) -> Callable[[Any, tuple[Any, ...], dict[str, Any]], list[str]]:
    if callable(tags):
        return lambda result, args, kwargs: list(tags(result))
    if isinstance(tags, str):
        raise ConfigError(f"tags={tags!r} is one text where several are meant: write tags=[{tags!r}]")
    fill = [text_function(function, text, with_result=True, setting="tags") for text in tags]
    return lambda result, args, kwargs: [text(result, *args, **kwargs) for text in fill]
