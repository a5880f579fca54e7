"""A part of a cache: names of its own, a lifetime of its own, and one call that invalidates all of it."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar, overload

from hotplate.errors import ConfigError
from hotplate.texts import several

if TYPE_CHECKING:
    from hotplate.cache import Cache
    from hotplate.decorators import Cached
    from hotplate.rules import Duration

__all__ = ["Namespace"]

T = TypeVar("T")


class Namespace:
    """Made by ``Cache.namespace``. Keys and tags begin with ``name:``; what is stored also has the tag ``name``.

    ``ttl`` holds where a call gives none.
    """

    def __init__(self, cache: "Cache", name: str, ttl: "Duration | None") -> None:
        if not name or any(letter in name for letter in "{}"):
            raise ConfigError(f'name={name!r} is no name: write a text without braces, such as "products"')
        self.name = name
        self._cache = cache
        self._ttl = ttl

    def key(self, key: str) -> str:
        """The name in the cache of a key of this part."""
        return f"{self.name}:{key}"

    def tags(self, tags: Iterable[str]) -> list[str]:
        """The tags in the cache of what is stored here."""
        return [self.name, *self._named("tags", tags)]

    def _named(self, setting: str, texts: Iterable[str]) -> list[str]:
        return [self.key(text) for text in several(setting, texts)]

    def _lifetime(self, ttl: "Duration | None") -> "Duration":
        lifetime = self._ttl if ttl is None else ttl
        if lifetime is None:
            raise ConfigError(
                f"the namespace {self.name!r} has no ttl: give one here, or in cache.namespace(..., ttl=...)"
            )
        return lifetime

    async def get(self, key: str, default: Any = None, *, type: Any = None) -> Any:
        """As ``Cache.get``."""
        return await self._cache.get(self.key(key), default, type=type)

    async def set(
        self, key: str, value: Any, *, ttl: "Duration | None" = None, tags: Iterable[str] = (), type: Any = None
    ) -> bool:
        """As ``Cache.set``."""
        return await self._cache.set(self.key(key), value, ttl=self._lifetime(ttl), tags=self.tags(tags), type=type)

    async def delete(self, key: str) -> bool:
        """As ``Cache.delete``."""
        return await self._cache.delete(self.key(key))

    @overload
    async def get_or_set(
        self,
        key: str,
        loader: Callable[[], Awaitable[T]],
        *,
        ttl: "Duration | None" = None,
        tags: Iterable[str] = (),
        type: Any = None,
    ) -> T: ...
    @overload
    async def get_or_set(
        self,
        key: str,
        loader: Callable[[], T],
        *,
        ttl: "Duration | None" = None,
        tags: Iterable[str] = (),
        type: Any = None,
    ) -> T: ...
    async def get_or_set(
        self,
        key: str,
        loader: Callable[[], Any],
        *,
        ttl: "Duration | None" = None,
        tags: Iterable[str] = (),
        type: Any = None,
    ) -> Any:
        """As ``Cache.get_or_set``."""
        return await self._cache.get_or_set(
            self.key(key), loader, ttl=self._lifetime(ttl), tags=self.tags(tags), type=type
        )

    async def get_many(self, keys: Iterable[str], default: Any = None, *, type: Any = None) -> dict[str, Any]:
        """As ``Cache.get_many``."""
        names = {self.key(key): key for key in keys}
        found = await self._cache.get_many(names, default, type=type)
        return {key: found[name] for name, key in names.items()}

    async def set_many(
        self, values: Mapping[str, Any], *, ttl: "Duration | None" = None, tags: Iterable[str] = (), type: Any = None
    ) -> bool:
        """As ``Cache.set_many``."""
        named = {self.key(key): value for key, value in values.items()}
        return await self._cache.set_many(named, ttl=self._lifetime(ttl), tags=self.tags(tags), type=type)

    async def touch(self, key: str, *, ttl: "Duration | None" = None) -> bool:
        """As ``Cache.touch``."""
        return await self._cache.touch(self.key(key), ttl=self._lifetime(ttl))

    async def incr(self, key: str, amount: int = 1, *, ttl: "Duration | None" = None) -> int | None:
        """As ``Cache.incr``."""
        return await self._cache.incr(self.key(key), amount, ttl=self._lifetime(ttl))

    async def invalidate(
        self, *, tags: Iterable[str] | None = None, keys: Iterable[str] | None = None, soft: bool = False
    ) -> int:
        """Invalidates what is named; with neither ``tags`` nor ``keys``, everything of this part."""
        if tags is None and keys is None:
            return await self._cache.invalidate(tags=[self.name], soft=soft)
        named = self._named("tags", tags or ())
        return await self._cache.invalidate(tags=named, keys=self._named("keys", keys or ()), soft=soft)

    def cached(
        self,
        ttl: "Duration | Callable[[Any], Duration | None] | None" = None,
        *,
        key: str | Callable[..., str] | None = None,
        prefix: str | None = None,
        tags: "Iterable[str] | Callable[[Any], Iterable[str]]" = (),
        **settings: Any,
    ) -> "Cached":
        """As ``Cache.cached``; keys and tags begin with ``name:``."""
        settings["key"] = self._scoped(key)
        settings["prefix"] = None if prefix is None else self.key(prefix)
        settings["tags"] = (lambda result: self.tags(tags(result))) if callable(tags) else self.tags(tags)
        lifetime = ttl if callable(ttl) else self._lifetime(ttl)
        return self._cache.cached(lifetime, **settings).within(self.name)

    def _scoped(self, key: str | Callable[..., str] | None) -> str | Callable[..., str] | None:
        if callable(key):
            return lambda *args, **kwargs: self.key(key(*args, **kwargs))
        return None if key is None else self.key(key)
