"""Events: what they make untrue in every process, and who handles them in this one."""

import asyncio
import enum
import logging
from typing import Any

import pytest

from hotplate import Cache, ConfigError
from hotplate.errors import UnkeyableError
from tests.value_fleet import Pair, Place

pytestmark = pytest.mark.asyncio


class ProductEvent(enum.Enum):
    UPDATED = "updated"
    DELETED = "deleted"


async def values(cache: Cache, *names: str) -> list[Any]:
    return [await cache.get(name) for name in names]


async def filled(cache: Cache) -> None:
    for number in (1, 2):
        await cache.set(f"product:{number}", number, ttl=60, tags=[f"product:{number}", "products"])
    await cache.set("list", [1, 2], ttl=60, tags=["products:list"])


async def test_an_event_invalidates_what_was_named_for_it(place: Place) -> None:
    cache = place.cache
    cache.on(ProductEvent.UPDATED, invalidate_tags=["product:{product_id}", "products:list"])
    await filled(cache)
    assert await cache.emit(ProductEvent.UPDATED, product_id=1) == ()
    assert await values(cache, "product:1", "product:2", "list") == [None, 2, None]


async def test_keys_and_prefixes_are_named_too(place: Place) -> None:
    cache = place.cache
    cache.on("renamed", invalidate_keys=["product:{number}"])
    cache.on("all", invalidate_prefixes=["/"])
    await filled(cache)
    await cache.emit("renamed", number=2)
    assert await values(cache, "product:1", "product:2") == [1, None]
    await cache.emit("all")
    assert await values(cache, "product:1", "list") == [None, None]


async def test_an_event_reaches_other_processes(pair: Pair) -> None:
    pair.one.cache.on(ProductEvent.UPDATED, invalidate_tags=["product:{product_id}"])
    await filled(pair.one.cache)
    assert await values(pair.other.cache, "product:1", "product:2") == [1, 2]
    await pair.one.cache.emit(ProductEvent.UPDATED, product_id=1)
    pair.settle()
    assert await values(pair.other.cache, "product:1", "product:2") == [None, 2]


async def test_another_event_invalidates_nothing(place: Place) -> None:
    cache = place.cache
    cache.on(ProductEvent.UPDATED, invalidate_tags=["products"])
    await filled(cache)
    assert await cache.emit(ProductEvent.DELETED, product_id=1) == ()
    assert await cache.emit("unknown") == ()
    assert await values(cache, "product:1") == [1]


async def test_what_was_named_more_than_once_is_all_invalidated(place: Place) -> None:
    cache = place.cache
    cache.on("event", invalidate_tags=["product:1"])
    cache.on("event", invalidate_tags=["products:list"], invalidate_keys=["product:2"])
    await filled(cache)
    await cache.emit("event")
    assert await values(cache, "product:1", "product:2", "list") == [None, None, None]


async def test_handlers_run_after_the_invalidation_in_their_order(place: Place) -> None:
    cache, seen = place.cache, list[Any]()
    cache.on("event", invalidate_tags=["products"])
    await filled(cache)

    @cache.on("event")
    async def first(product_id: int) -> None:
        seen.append(("first", product_id, await cache.get("product:1")))

    @cache.on("event")
    def second(**names: object) -> None:
        seen.append(("second", names))

    @cache.on("event")
    def third() -> None:
        seen.append("third")

    assert await cache.emit("event", product_id=1, user="alice") == ()
    assert seen == [("first", 1, None), ("second", {"product_id": 1, "user": "alice"}), "third"]
    assert first.__name__ == "first"


async def test_an_error_in_one_handler_does_not_silence_the_others(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    cache, seen = place.cache, list[str]()

    @cache.on("event")
    async def broken() -> None:
        raise LookupError("async")

    @cache.on("event")
    def broken_too(missing: int) -> None:
        seen.append("not called")

    @cache.on("event")
    async def good() -> None:
        seen.append("good")

    with caplog.at_level(logging.ERROR, "hotplate"):
        errors = await cache.emit("event")
    assert [type(error) for error in errors] == [LookupError, TypeError]
    assert seen == ["good"]
    assert "broken" in caplog.text


async def test_one_function_handles_two_events(place: Place) -> None:
    seen = []

    @place.cache.on(ProductEvent.UPDATED)
    @place.cache.on(ProductEvent.DELETED)
    def reindex(product_id: int) -> None:
        seen.append(product_id)

    await place.cache.emit(ProductEvent.UPDATED, product_id=1)
    await place.cache.emit(ProductEvent.DELETED, product_id=2)
    assert seen == [1, 2]


async def test_a_decorator_may_invalidate_and_handle(place: Place) -> None:
    seen = []

    @place.cache.on("event", invalidate_tags=["products"])
    def handler() -> None:
        seen.append(1)

    await filled(place.cache)
    await place.cache.emit("event")
    assert (seen, await values(place.cache, "product:1")) == ([1], [None])


async def test_a_handler_may_emit(place: Place) -> None:
    seen = []

    @place.cache.on("first")
    async def first() -> None:
        await place.cache.emit("second", number=2)

    @place.cache.on("second")
    def second(number: int) -> None:
        seen.append(number)

    assert await place.cache.emit("first") == ()
    assert seen == [2]


async def test_a_handler_of_positional_parameters_gets_them(place: Place) -> None:
    seen = []

    @place.cache.on("event")
    def handler(number: int, /, *, name: str = "") -> None:
        seen.append((number, name))

    assert await place.cache.emit("event", number=1, name="a") == ()
    assert seen == [(1, "a")]


async def test_what_is_emitted_is_cancelled_with_its_task(place: Place) -> None:
    stopped = []

    @place.cache.on("event")
    async def slow() -> None:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            stopped.append(1)
            raise

    task = asyncio.create_task(place.cache.emit("event"))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert stopped == [1]


async def test_a_name_that_is_missing_is_an_error_that_names_it(place: Place) -> None:
    place.cache.on("event", invalidate_tags=["product:{product_id}"])
    with pytest.raises(UnkeyableError, match="product_id"):
        await place.cache.emit("event", product=1)


@pytest.mark.parametrize(
    "names",
    [{"invalidate_tags": "tag"}, {"invalidate_keys": "key"}, {"invalidate_tags": ["{a.__class__}"]}],
    ids=repr,
)
async def test_what_cannot_be_meant_is_refused(place: Place, names: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        place.cache.on("event", **names)


async def test_events_of_two_caches_are_their_own() -> None:
    one, other, seen = Cache(), Cache(), []
    one.on("event")(lambda: seen.append("one"))
    await other.emit("event")
    assert seen == []


async def test_sync_code_on_an_event_loop_emits(place: Place) -> None:
    cache, seen = place.cache, list[Any]()

    @cache.on("event")
    def sync(number: int) -> None:
        seen.append(number)

    @cache.on("event")
    async def asynchronous(number: int) -> None:
        await asyncio.sleep(0)
        seen.append(-number)

    assert cache.sync.emit("event", number=3) == ()
    assert seen == [3, -3]
