"""A cache for code that has no event loop: what the shared tier is asked, the calling thread waits for."""

from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from hotplate._core import MISSING, Stored
from hotplate.functions import Call
from hotplate.stored import as_tags
from hotplate.targets import as_targets
from hotplate.texts import several

if TYPE_CHECKING:
    from hotplate.cache import Cache
    from hotplate.codecs import Codec
    from hotplate.rules import Duration

__all__ = ["SyncCache"]

T = TypeVar("T")


class SyncCache:
    """``cache.sync``: the methods of ``Cache`` that are async there. On an event loop's thread they hold it up."""

    def __init__(self, cache: "Cache") -> None:
        self._cache = cache
        self._values = cache.values
        self._stored = cache.stored

    def get(self, key: str, default: Any = None, *, type: Any = None) -> Any:
        """As ``Cache.get``."""
        value = self._values.get(key)
        if value is MISSING:
            return default
        return self._stored.decoded(value, type, default) if value.__class__ is Stored else value

    def set(
        self, key: str, value: Any, *, ttl: "Duration", tags: Iterable[str] = (), type: Any = None, codec: Any = None
    ) -> bool:
        """As ``Cache.set``."""
        return self.put(key, value, ttl=ttl, tags=tags, codec=self._stored.codec(value, type, codec))

    def put(self, key: str, value: Any, *, ttl: "Duration", tags: Iterable[str], codec: "Codec | None") -> bool:
        """As ``Cache.put``."""
        return bool(self._values.set(*self._stored.given(key, value, ttl, tags, codec)))

    def delete(self, key: str) -> bool:
        """As ``Cache.delete``."""
        return bool(self._values.delete(key))

    def get_or_set(
        self,
        key: str,
        loader: Callable[[], T],
        *,
        ttl: "Duration",
        tags: Iterable[str] = (),
        type: Any = None,
        codec: Any = None,
    ) -> T:
        """As ``Cache.get_or_set``, with a sync loader."""
        results = self._stored.results(ttl, type, codec, loader)
        value: T = results.core.recall(results.plan, key)
        if value is MISSING:
            value = results.find_now(key, Call(loader, as_tags(tags)))
        return value

    def get_many(self, keys: Iterable[str], default: Any = None, *, type: Any = None) -> dict[str, Any]:
        """As ``Cache.get_many``; one after the other."""
        return {key: self.get(key, default, type=type) for key in dict.fromkeys(keys)}

    def set_many(
        self, values: Mapping[str, Any], *, ttl: "Duration", tags: Iterable[str] = (), type: Any = None
    ) -> bool:
        """As ``Cache.set_many``; one after the other."""
        tags = several("tags", tags)
        stored = [self.set(key, value, ttl=ttl, tags=tags, type=type) for key, value in values.items()]
        return all(stored)

    def touch(self, key: str, *, ttl: "Duration") -> bool:
        """As ``Cache.touch``."""
        return bool(self._values.touch(key, ttl))

    def incr(self, key: str, amount: int = 1, *, ttl: "Duration") -> int | None:
        """As ``Cache.incr``."""
        count: int | None = self._values.tally(key, amount, ttl)
        return count

    def invalidate(
        self,
        *,
        tags: Iterable[str] = (),
        paths: Iterable[str] = (),
        prefixes: Iterable[str] = (),
        keys: Iterable[str] = (),
        soft: bool = False,
    ) -> int:
        """As ``Cache.invalidate``."""
        named = as_targets(tags, paths, prefixes, keys, soft)
        with self._cache.observing.invalidating(named):
            return self._cache.core.invalidate(*named) or 0

    def emit(self, event: Hashable, /, **names: object) -> tuple[Exception, ...]:
        """As ``Cache.emit``. Async handlers run on an event loop of their own."""
        return self._cache.events.emit_now(event, names)
