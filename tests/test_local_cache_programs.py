"""Keys and values of a `LocalCache` that are programs: they may use it, raise, hold it, and go while it runs."""

import asyncio
import gc
import weakref
from typing import TYPE_CHECKING, Any

import pytest

from hotplate import LocalCache
from hotplate.testing import ManualClock
from tests.watched import Key

if TYPE_CHECKING:
    from collections.abc import Callable

Cache = LocalCache[Any, Any]


# --- Used while it runs ----------------------------------------------------------------------------------------------


def test_of_two_keys_with_one_hash_the_last_is_there() -> None:
    cache: Cache = LocalCache()
    cache[Key("a")] = 1
    cache[Key("b")] = 2
    assert (cache.get(Key("a")), cache.get(Key("b")), len(cache)) == (None, 2, 1)
    assert Key("a") not in cache
    assert cache.pop(Key("a"), None) is None
    assert cache.setdefault(Key("c"), 3) == 3
    assert cache.get(Key("b")) is None
    info = cache.info()
    assert (info.hits, info.misses) == (1, 2)


def test_an_eq_that_raises_reaches_the_caller_and_breaks_nothing() -> None:
    def fail() -> None:
        raise LookupError("no")

    cache: Cache = LocalCache()
    key = Key("a", eq=fail)
    cache[key] = 1
    uses: list[Callable[[], object]] = [
        lambda: cache.get(Key("a")),
        lambda: Key("a") in cache,
        lambda: cache.pop(Key("a")),
        lambda: cache.setdefault(Key("a"), 2),
        lambda: cache.get_or_set(Key("a"), int),
    ]
    for use in uses:
        with pytest.raises(LookupError):
            use()
    assert cache[key] == 1  # the very object is not compared
    cache.clear()


def test_an_eq_may_use_the_cache() -> None:
    cache: Cache = LocalCache(2)
    seen: list[object] = []

    def use() -> None:
        seen.append(cache.info().size)
        cache["other"] = 1
        cache.pop("other")
        cache.get("other")
        cache.clear()

    for ask in (
        cache.get,
        lambda key: key in cache,
        lambda key: cache.pop(key, 0),
        lambda key: cache.setdefault(key, 1),
    ):
        cache[Key("a", eq=use)] = 1
        ask(Key("a"))
    assert len(seen) >= 4


def test_a_hash_may_use_the_cache_and_may_raise() -> None:
    cache: Cache = LocalCache()

    class Hashed:
        def __hash__(self) -> int:
            cache["inside"] = 1
            cache.clear()
            raise LookupError("no")

    for use in (cache.get, lambda key: cache.set(key, 1), lambda key: key in cache, lambda key: cache.get((1, key))):
        with pytest.raises(LookupError):
            use(Hashed())


def test_a_value_may_use_the_cache_when_it_goes() -> None:
    cache: Cache = LocalCache(2)
    gone: list[str] = []

    class Value:
        def __init__(self, name: str) -> None:
            self.name = name

        def __del__(self) -> None:
            gone.append(self.name)
            cache.get("anything")
            cache.info()
            cache.pop("anything", None)

    cache["a"] = Value("replaced")
    cache["a"] = Value("popped")
    cache.pop("a")
    cache["a"] = Value("deleted")
    del cache["a"]
    for number in range(3):
        cache[number] = Value("evicted or cleared")
    cache.clear()
    assert sorted(set(gone)) == ["deleted", "evicted or cleared", "popped", "replaced"]
    assert gone.count("evicted or cleared") == 3


def test_a_value_that_has_ended_may_use_the_cache_when_it_goes(clock: ManualClock) -> None:
    cache: Cache = LocalCache(clock=clock)
    sizes: list[int] = []

    class Value:
        def __del__(self) -> None:
            sizes.append(cache.info().size)

    cache.set("a", Value(), ttl=1)
    clock.advance(1)
    assert cache.get("a") is None
    assert sizes == [0]


def test_a_key_may_use_the_cache_when_it_goes() -> None:
    cache: Cache = LocalCache(1)
    sizes: list[int] = []

    class Going(Key):
        def __del__(self) -> None:
            sizes.append(cache.info().size)

        __hash__ = Key.__hash__

    cache[Going("a")] = 1
    cache["b"] = 2
    assert sizes == [1]


def test_a_weigh_may_use_the_cache_and_may_raise() -> None:
    cache: Cache = LocalCache(None, max_bytes=100, weigh=lambda value: cache.info().size + len(value))
    cache["a"] = "text"
    with pytest.raises(TypeError):
        cache["b"] = 5
    assert cache.get_or_set("c", lambda: "text") == "text"
    with pytest.raises(TypeError):
        cache.get_or_set("d", lambda: 5)
    assert cache.get_or_set("d", lambda: "after") == "after"


# --- Garbage ---------------------------------------------------------------------------------------------------------


def test_a_cache_that_holds_itself_is_collected() -> None:
    cache: Cache = LocalCache()
    cache["self"] = [cache]
    gone = weakref.ref(cache)
    del cache
    gc.collect()
    assert gone() is None


def test_a_cache_in_its_own_key_or_weigh_is_collected() -> None:
    class Holder:
        cache: Cache

    holder = Holder()
    holder.cache = LocalCache(None, max_bytes=100, weigh=lambda _, holder=holder: 1)  # type: ignore[misc]
    holder.cache[holder] = 1
    gone = weakref.ref(holder.cache)
    del holder
    gc.collect()
    assert gone() is None


def test_values_that_only_a_cache_holds_are_not_collected() -> None:
    cache: Cache = LocalCache()
    cache["a"] = [1, 2, 3]
    gc.collect()
    assert cache["a"] == [1, 2, 3]


def test_a_cache_whose_load_never_ended_is_collected() -> None:
    loop = asyncio.new_event_loop()
    cache: Cache = LocalCache()
    task = loop.create_task(cache.aget_or_set("key", asyncio.Event().wait))
    for _ in range(3):
        loop.run_until_complete(asyncio.sleep(0))
    for left in asyncio.all_tasks(loop):
        left._log_destroy_pending = False  # type: ignore[attr-defined]
    loop.close()
    gone = weakref.ref(cache)
    del cache, task, left, loop
    gc.collect()
    assert gone() is None
