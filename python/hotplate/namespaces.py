"""A part of a cache: names of its own, a lifetime of its own, and one call that invalidates all of it."""

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar, overload

from hotplate.errors import ConfigError
from hotplate.texts import several

if TYPE_CHECKING:
    from hotplate.cache import Cache
    from hotplate.codecs import Codec
    from hotplate.decorators import Cached, Invalidates, WriteThrough
    from hotplate.rules import Duration

__all__ = ["Namespace", "SyncNamespace"]

T = TypeVar("T")


class _Scope:
    """What a part of a cache calls its keys and tags, and how long they live."""

    def __init__(self, cache: "Cache", name: str, ttl: "Duration | None") -> None:
        if not name or any(letter in name for letter in "{}:"):
            raise ConfigError(f'name={name!r} is no name: write a text without braces and colons, such as "products"')
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

    def _targets(self, tags: Iterable[str] | None, keys: Iterable[str] | None) -> dict[str, list[str]]:
        """What an invalidation names; with neither, everything of this part."""
        if tags is None and keys is None:
            return {"tags": [self.name]}
        return {"tags": self._named("tags", tags or ()), "keys": self._named("keys", keys or ())}

    def _lifetime(self, ttl: "Duration | None") -> "Duration":
        lifetime = self._ttl if ttl is None else ttl
        if lifetime is None:
            raise ConfigError(
                f"the namespace {self.name!r} has no ttl: give one here, or in cache.namespace(..., ttl=...)"
            )
        return lifetime


class Namespace(_Scope):
    """Made by ``Cache.namespace``. Keys and tags begin with ``name:``; what is stored also has the tag ``name``.

    ``ttl`` holds where a call gives none.
    """

    @property
    def sync(self) -> "SyncNamespace":
        """The same for code that has no event loop: every method waits with its thread."""
        return SyncNamespace(self._cache, self.name, self._ttl)

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
        return await self._cache.invalidate(**self._targets(tags, keys), soft=soft)

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

    def write_through(
        self,
        ttl: "Duration | None" = None,
        *,
        key: str,
        tags: "Sequence[str] | Callable[[Any], Iterable[str]]" = (),
        codec: "str | Codec | None" = None,
    ) -> "WriteThrough":
        """As ``Cache.write_through``; key and tags begin with ``name:``."""
        scoped = (lambda result: self.tags(tags(result))) if callable(tags) else self.tags(tags)
        return self._cache.write_through(self._lifetime(ttl), key=self.key(key), tags=scoped, codec=codec)

    def invalidates(
        self, *, tags: Iterable[str] | None = None, keys: Iterable[str] | None = None, soft: bool = False
    ) -> "Invalidates":
        """As ``Cache.invalidates``; with neither ``tags`` nor ``keys``, everything of this part."""
        return self._cache.invalidates(**self._targets(tags, keys), soft=soft)


class SyncNamespace(_Scope):
    """``namespace.sync``: the methods of ``Namespace`` that are async there."""

    def get(self, key: str, default: Any = None, *, type: Any = None) -> Any:
        """As ``Cache.get``."""
        return self._cache.sync.get(self.key(key), default, type=type)

    def set(
        self, key: str, value: Any, *, ttl: "Duration | None" = None, tags: Iterable[str] = (), type: Any = None
    ) -> bool:
        """As ``Cache.set``."""
        return self._cache.sync.set(self.key(key), value, ttl=self._lifetime(ttl), tags=self.tags(tags), type=type)

    def delete(self, key: str) -> bool:
        """As ``Cache.delete``."""
        return self._cache.sync.delete(self.key(key))

    def get_or_set(
        self,
        key: str,
        loader: Callable[[], T],
        *,
        ttl: "Duration | None" = None,
        tags: Iterable[str] = (),
        type: Any = None,
    ) -> T:
        """As ``Cache.get_or_set``, with a sync loader."""
        lifetime, named = self._lifetime(ttl), self.tags(tags)
        return self._cache.sync.get_or_set(self.key(key), loader, ttl=lifetime, tags=named, type=type)

    def get_many(self, keys: Iterable[str], default: Any = None, *, type: Any = None) -> dict[str, Any]:
        """As ``Cache.get_many``."""
        return {key: self.get(key, default, type=type) for key in dict.fromkeys(keys)}

    def set_many(
        self, values: Mapping[str, Any], *, ttl: "Duration | None" = None, tags: Iterable[str] = (), type: Any = None
    ) -> bool:
        """As ``Cache.set_many``."""
        named = {self.key(key): value for key, value in values.items()}
        return self._cache.sync.set_many(named, ttl=self._lifetime(ttl), tags=self.tags(tags), type=type)

    def touch(self, key: str, *, ttl: "Duration | None" = None) -> bool:
        """As ``Cache.touch``."""
        return self._cache.sync.touch(self.key(key), ttl=self._lifetime(ttl))

    def incr(self, key: str, amount: int = 1, *, ttl: "Duration | None" = None) -> int | None:
        """As ``Cache.incr``."""
        return self._cache.sync.incr(self.key(key), amount, ttl=self._lifetime(ttl))

    def invalidate(
        self, *, tags: Iterable[str] | None = None, keys: Iterable[str] | None = None, soft: bool = False
    ) -> int:
        """As ``Namespace.invalidate``."""
        return self._cache.sync.invalidate(**self._targets(tags, keys), soft=soft)
