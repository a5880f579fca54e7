"""The objects behind values: shared, copied or frozen, what they weigh, and how long they live."""

import asyncio
import gc
import weakref
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import pytest

from hotplate import Cache
from hotplate.weights import weight
from tests.value_fleet import Place, Runs, collected

pytestmark = pytest.mark.asyncio


class Kept:
    """Something that is not bytes, whose end can be seen."""


def freed(place: Place, reference: "weakref.ref[Any]") -> bool:
    """Whether an object is gone, after a call that has nothing to do with it."""
    place.cache.sync.get("nobody")
    place.cache.sync.delete("nobody")
    return collected(lambda: reference() is None)


# Objects: shared, copied, frozen.


async def test_a_result_is_one_object_for_all_in_the_process(place: Place) -> None:
    @place.cache.cached("1m")
    async def numbers() -> list[int]:
        return [1]

    await numbers()
    if place.keeps_objects:
        assert await numbers() is await numbers()


async def test_a_deep_copy_is_each_callers_own(place: Place) -> None:
    runs = Runs()

    @place.cache.cached("1m", copy="deep")
    async def numbers() -> dict[str, list[int]]:
        await runs()
        return {"numbers": [1]}

    for _ in range(3):
        mine = await numbers()
        assert mine == {"numbers": [1]}
        mine["numbers"].append(2)
        place.settle()
    several = await asyncio.gather(*(numbers() for _ in range(3)))
    assert len({id(one["numbers"]) for one in several}) == 3
    assert runs.count == 1


async def test_those_who_wait_for_one_load_get_copies_too(place: Place) -> None:
    runs = Runs(is_open=False)

    @place.cache.cached("1m", copy="deep")
    async def numbers() -> list[int]:
        return [await runs()]

    callers = [asyncio.create_task(numbers()) for _ in range(5)]
    await runs.begun()
    runs.open()
    several = await asyncio.gather(*callers)
    assert len({id(one) for one in several}) == 5


async def test_a_frozen_result_cannot_be_changed(place: Place) -> None:
    @place.cache.cached("1m", freeze=True)
    async def data() -> dict[str, list[int]]:
        return {"numbers": [1, 2]}

    for _ in range(2):
        found: Any = await data()
        assert found["numbers"] == (1, 2)
        with pytest.raises(TypeError):
            found["other"] = 1
        assert type(found) is MappingProxyType
        place.settle()


async def test_octets_are_taken_as_they_are_now(place: Place) -> None:
    octets = bytearray(b"value")
    await place.cache.set("name", octets, ttl=60)
    octets[0] = 0
    assert await place.cache.get("name") == b"value"


# How long objects live.


async def stored(cache: Cache, name: str = "name", **settings: Any) -> "weakref.ref[Kept]":
    value = Kept()
    await cache.set(name, value, ttl=60, **settings)
    return weakref.ref(value)


@pytest.mark.parametrize("way", ["set", "delete", "clear", "expire", "invalidate key", "invalidate tag", "reload"])
async def test_an_object_is_freed_when_it_is_not_stored_any_more(way: str) -> None:
    from hotplate.testing import MemoryCache

    cache = MemoryCache()
    place = Place("memory", cache, cache.clock)
    gone = await stored(cache, tags=["tag"])
    assert not freed(place, gone)
    if way == "set":
        await cache.set("name", 1, ttl=60)
    elif way == "delete":
        await cache.delete("name")
    elif way == "clear":
        cache.clear()
    elif way == "expire":
        cache.clock.advance(61)
        assert await cache.get("name") is None
    elif way == "invalidate key":
        await cache.invalidate(keys=["name"])
        assert await cache.get("name") is None
    elif way == "invalidate tag":
        await cache.invalidate(tags=["tag"])
        assert await cache.get("name") is None
    else:
        await cache.invalidate(tags=["tag"])
        await cache.get_or_set("name", lambda: 2, ttl=60)
    assert freed(place, gone)


async def test_clear_frees_at_once() -> None:
    cache = Cache()
    gone = await stored(cache)
    cache.clear()
    assert collected(lambda: gone() is None)


async def test_a_cache_that_goes_takes_its_objects_along() -> None:
    cache = Cache()
    gone = await stored(cache)
    del cache
    gc.collect()
    Cache().sync.delete("nobody")
    assert collected(lambda: gone() is None)


async def test_what_a_load_failed_with_is_not_kept() -> None:
    cache = Cache()

    class FailedError(Exception):
        pass

    @cache.cached("1m")
    async def fail() -> int:
        raise FailedError

    async def failed() -> "weakref.ref[FailedError]":
        with pytest.raises(FailedError) as raised:
            await fail()
        return weakref.ref(raised.value)

    references = [await failed() for _ in range(3)]
    await asyncio.sleep(0)
    assert collected(lambda: [one() for one in references] == [None] * 3)


async def test_objects_are_evicted_for_room() -> None:
    cache = Cache(max_bytes="1MiB")
    gone = await stored(cache, "first")
    for number in range(200):
        await cache.set(f"name {number}", "x" * 20_000 + str(number), ttl=60)
    stats = cache.stats()
    assert stats.bytes <= stats.max_bytes
    assert stats.evictions > 0
    await cache.delete("nobody")
    held = sum([await cache.get(f"name {number}") is not None for number in range(200)])
    assert held < 60
    assert gone is not None


class WithSlots:
    __slots__ = ("data",)

    def __init__(self, data: Any) -> None:
        self.data = data


@dataclass
class Holder:
    data: Any


class ListOf(list[Any]):
    pass


class DictOf(dict[str, Any]):
    pass


class Point(tuple[Any, ...]):
    __slots__ = ()


@pytest.mark.parametrize(
    "hold",
    [
        Holder,
        WithSlots,
        lambda data: ListOf([data]),
        lambda data: DictOf(a=data),
        lambda data: Point([data]),
        lambda data: {"a": [(data,)]},
        lambda data: MappingProxyType({"a": data}),
    ],
    ids=["dataclass", "slots", "list subclass", "dict subclass", "tuple subclass", "nested", "frozen mapping"],
)
async def test_a_value_weighs_what_it_holds(hold: Any) -> None:
    assert weight(hold(b"x" * 100_000)) > 100_000


async def test_weighing_runs_none_of_the_objects_code() -> None:
    class Odd:
        def __sizeof__(self) -> int:
            raise AssertionError

        def __getattr__(self, name: str) -> Any:
            raise AssertionError(name)

        def __iter__(self) -> Any:
            raise AssertionError

    assert weight([Odd()]) > 0


async def test_an_object_that_calls_the_cache_when_it_goes_does_no_harm(place: Place) -> None:
    calls = []

    class Last:
        def __init__(self, number: int) -> None:
            self.number = number

        def __del__(self) -> None:
            place.cache.sync.set("from the grave", self.number, ttl=60)
            place.cache.sync.delete("name")
            place.cache.sync.get("name")
            calls.append(self.number)

    @place.cache.cached("1m", key="object:{number}", local_only=True, tags=["tag"])
    async def last(number: int) -> Last:
        return Last(number)

    for number in range(10):
        await last(number)
        await last.refresh(number)
    await place.cache.invalidate(tags=["tag"])
    for number in range(10):
        await last(number)
    place.cache.clear()
    await asyncio.sleep(0)
    place.cache.sync.delete("nobody")
    gc.collect()
    assert len(calls) == 30
    assert await place.cache.get("from the grave") in range(10)
