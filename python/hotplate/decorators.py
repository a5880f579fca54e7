"""The decorators of a cache: ``cached``, ``write_through`` and ``invalidates``, for sync and async functions alike.

What is decorated stays a function of its own kind: a method binds, ``inspect`` sees signature, annotations and
``__wrapped__``, and FastAPI finds the parameters. A decorator stands under ``@classmethod``, ``@staticmethod`` and the
route decorators, next to the function.
"""

import functools
import inspect
import types
from collections.abc import Callable, Coroutine, Iterable
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, ParamSpec, TypeVar, cast, overload

from hotplate._core import MISSING, ValuePlan, seconds
from hotplate.codecs import Codec
from hotplate.errors import ConfigError, UnkeyableError
from hotplate.functions import Call, Results
from hotplate.keys import text_function
from hotplate.keys.functions import KeyCode, key_code
from hotplate.protocols import AsyncCached, CacheInfo, SyncCached
from hotplate.texts import several

if TYPE_CHECKING:
    from hotplate.cache import Cache
    from hotplate.rules import Duration

__all__ = ["Cached", "Invalidates", "WriteThrough"]

P = ParamSpec("P")
R = TypeVar("R")
Function = TypeVar("Function", bound=Callable[..., Any])
"""What is decorated and stays what it is, with all that it has beside its call."""


class Cached:
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
        cache.stored.check(codec)
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
        ValuePlan(**self._plan)  # what cannot be meant is refused where it is written

    def within(self, space: str) -> "Cached":
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
        code = self._key_code(function)
        key = code.key() if isinstance(code, KeyCode) else code
        tags = _tags(function, self._tags)
        cache = self._cache
        results = Results(
            cache,
            ValuePlan(**self._plan),
            functools.partial(cache.codec_of, function, self._codec),
            self._ttl,
            function=function,
            condition=self._condition,
            copies=self._copy,
            freezes=self._freeze,
            soft_timeout=self._soft_timeout,
            local_only=bool(self._plan["local_only"]),
        )
        call = _call(function, tags)
        made = (_async_functions if is_async else _sync_functions)(cache, results, key, call)
        cached: Any = made.cached
        if isinstance(code, KeyCode) and _is_plain(function):
            cached = _compiled(code, results, call, is_async=is_async)
        functools.update_wrapper(cached, function)
        cached.key, cached.invalidate, cached.refresh, cached.bypass = key, made.invalidate, made.refresh, function
        cached.cache_info = lambda: CacheInfo(*results.plan.counts())
        return cached

    def _key_code(self, function: Callable[..., Any]) -> KeyCode | Callable[..., str]:
        key, prefix = self._key, self._prefix
        if self._space and key is None and prefix is None:
            prefix = f"{self._space}{function.__module__}.{_name(function)}"
        if not callable(key):
            return key_code(function, key=key, prefix=prefix, exclude=self._exclude)
        if prefix is not None:
            raise ConfigError(
                f"prefix={prefix!r} has no meaning beside a callable key: write it into what that returns"
            )
        return key


class _Functions(NamedTuple):
    """What is made for one cached function."""

    cached: Callable[..., Any]
    invalidate: Callable[..., Any]
    refresh: Callable[..., Any]


MakeCall = Callable[[tuple[Any, ...], dict[str, Any]], Call]


def _call(function: Callable[..., Any], tags: Callable[[Any, tuple[Any, ...], dict[str, Any]], list[str]]) -> MakeCall:
    def call(args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call:
        return Call(lambda: function(*args, **kwargs), lambda result: tags(result, args, kwargs))

    return call


def _async_functions(cache: "Cache", results: Results, key: Callable[..., str], call: MakeCall) -> _Functions:
    recall, plan = results.core.recall, results.plan

    async def cached(*args: Any, **kwargs: Any) -> Any:
        text = key(*args, **kwargs)
        value = recall(plan, text)
        return await results.find(text, call(args, kwargs)) if value is MISSING else results.copied(value)

    async def invalidate(*args: Any, **kwargs: Any) -> int:
        return await cache.invalidate(keys=[key(*args, **kwargs)])

    async def refresh(*args: Any, **kwargs: Any) -> Any:
        return await results.load(key(*args, **kwargs), call(args, kwargs))

    return _Functions(cached, invalidate, refresh)


def _sync_functions(cache: "Cache", results: Results, key: Callable[..., str], call: MakeCall) -> _Functions:
    recall, plan = results.core.recall, results.plan

    def cached(*args: Any, **kwargs: Any) -> Any:
        text = key(*args, **kwargs)
        value = recall(plan, text)
        return results.find_now(text, call(args, kwargs)) if value is MISSING else results.copied(value)

    def invalidate(*args: Any, **kwargs: Any) -> int:
        return cache.sync.invalidate(keys=[key(*args, **kwargs)])

    def refresh(*args: Any, **kwargs: Any) -> Any:
        return results.load_now(key(*args, **kwargs), call(args, kwargs))

    return _Functions(cached, invalidate, refresh)


def _is_plain(function: Any) -> bool:
    """Whether what a call means is known: what wraps another function may tell its parameters and take others."""
    return (
        isinstance(function, types.FunctionType)
        and not hasattr(function, "__wrapped__")
        and not hasattr(function, "__signature__")
    )


def _compiled(code: KeyCode, results: Results, call: MakeCall, *, is_async: bool) -> Callable[..., Any]:
    """``cached``, with the parameters of the function: to take them as such costs less than to take any arguments."""
    find = results.find if is_async else results.find_now

    def otherwise(text: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return find(text, call(args, kwargs))

    copied = results.copied if results.copies else None
    return code.lookup(results.core.recall, results.plan, MISSING, otherwise, copied=copied, is_async=is_async)


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

    def __call__(self, function: Function) -> Function:
        """The function, whose results are stored."""
        is_async = _kind(function, "write_through")
        cache, ttl = self._cache, self._ttl
        key = text_function(function, self._key, with_result=True, setting="key", percent_encode=True)
        tags = _tags(function, self._tags)
        # When it is first needed: annotations may name what is defined later.
        codec = functools.cache(functools.partial(cache.codec_of, function, self._codec))

        if is_async:

            @functools.wraps(function)
            async def written(*args: Any, **kwargs: Any) -> Any:
                result = await function(*args, **kwargs)
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

        return cast("Function", written)


class Invalidates:
    """What ``Cache.invalidates`` gives: a decorator, and a FastAPI dependency; see there."""

    def __init__(self, cache: "Cache", soft: bool, **templates: Iterable[str]) -> None:
        self._cache = cache
        self._soft = soft
        named = {setting: several(setting, texts) for setting, texts in templates.items()}
        self._templates = {setting: texts for setting, texts in named.items() if texts}
        if not self._templates:
            raise ConfigError('invalidates() names nothing: write tags=["..."], keys=["..."] or prefixes=["/..."]')

    @overload
    def __call__(self, function: Function) -> Function: ...
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

        def targets(
            result: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
        ) -> tuple[dict[str, list[str]], list[UnkeyableError]]:
            named: dict[str, list[str]] = {}
            errors = []
            for setting, text in ((setting, text) for setting, texts in fill.items() for text in texts):
                try:
                    named.setdefault(setting, []).append(text(result, *args, **kwargs))
                except UnkeyableError as error:  # noqa: PERF203 - a handful of templates
                    # The function has succeeded: what can be named is untrue now, whatever else cannot.
                    errors.append(error)
            return named, errors

        if is_async:

            @functools.wraps(function)
            async def invalidating(*args: Any, **kwargs: Any) -> Any:
                result = await function(*args, **kwargs)
                named, errors = targets(result, args, kwargs)
                await cache.invalidate(**named, soft=soft)
                for error in errors:
                    raise error
                return result

        else:

            @functools.wraps(function)
            def invalidating(*args: Any, **kwargs: Any) -> Any:
                result = function(*args, **kwargs)
                named, errors = targets(result, args, kwargs)
                cache.sync.invalidate(**named, soft=soft)
                for error in errors:
                    raise error
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


def _tags(function: Callable[..., Any], tags: Any) -> Callable[[Any, tuple[Any, ...], dict[str, Any]], list[str]]:
    if callable(tags):
        return lambda result, args, kwargs: list(tags(result))
    fill = [text_function(function, text, with_result=True, setting="tags") for text in several("tags", tags)]
    return lambda result, args, kwargs: [text(result, *args, **kwargs) for text in fill]
