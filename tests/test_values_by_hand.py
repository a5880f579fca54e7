"""Values set and read by hand: what comes back, what is refused, and how long an object lives."""

import asyncio
import enum
import math
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from hotplate import Cache, ConfigError
from hotplate.errors import EncodeError
from tests.value_fleet import Pair, Place, Product, Runs, Settings

pytestmark = pytest.mark.asyncio

PLAIN: list[Any] = [
    None,
    True,
    0,
    -(2**80),
    0.0,
    -0.0,
    math.inf,
    "",
    "ключ 🔑 \x00",
    b"",
    b"\xff\x00",
    [],
    (),
    {},
    set(),
    [1, [2, (3, {"a": {4}})]],
    {1: "one", "1": "text", (1, 2): None},
    frozenset({1, 2}),
    datetime(2026, 1, 2, 3, 4, 5, 6, timezone(timedelta(hours=2))),
    timedelta(microseconds=1),
    Decimal("1.10"),
    UUID(int=5),
]


class Color(enum.Enum):
    RED = "red"


class Kept:
    """Something that is not bytes, whose end can be seen."""


# What comes back.


@pytest.mark.parametrize("value", PLAIN, ids=repr)
async def test_a_value_comes_back_as_it_was(place: Place, value: Any) -> None:
    await place.cache.set("name", value, ttl=60)
    found = await place.cache.get("name", "nothing")
    assert found == value
    assert type(found) is type(value)
    assert repr(found) == repr(value) or isinstance(value, set | frozenset)


@pytest.mark.parametrize("value", PLAIN, ids=repr)
async def test_another_process_gets_it_as_it_was(pair: Pair, value: Any) -> None:
    assert await pair.one.cache.set("name", value, ttl=60)
    for _ in range(2):
        found = await pair.other.cache.get("name", "nothing")
        assert (found, type(found)) == (value, type(value))


TYPED: list[tuple[Any, Any]] = [
    (Product(id=1), Product),
    ([Product(id=1)], list[Product]),
    (None, Product | None),
    (Settings("dark"), Settings),
    (Color.RED, Color),
    ({"a": Settings("x")}, dict[str, Settings]),
]


@pytest.mark.parametrize(("value", "kind"), TYPED, ids=repr)
async def test_a_typed_value_comes_back(pair: Pair, value: Any, kind: Any) -> None:
    assert await pair.one.cache.set("name", value, ttl=60, type=kind)
    found = await pair.other.cache.get("name", "nothing", type=kind)
    assert (found, type(found)) == (value, type(value))


async def test_a_model_needs_no_type_where_it_is_set(pair: Pair) -> None:
    await pair.one.cache.set("name", Product(id=1), ttl=60)
    assert await pair.other.cache.get("name", type=Product) == Product(id=1)


async def test_a_value_of_another_type_is_the_default(pair: Pair) -> None:
    await pair.one.cache.set("name", Product(id=1), ttl=60)
    assert await pair.other.cache.get("name", "nothing", type=Settings) == "nothing"
    assert await pair.other.cache.get("name", "nothing") == "nothing"
    assert await pair.other.cache.get("name", type=Product) == Product(id=1)


async def test_nothing_is_the_default(place: Place) -> None:
    assert await place.cache.get("name") is None
    assert await place.cache.get("name", 5) == 5


async def test_in_memory_a_value_is_the_object_it_is() -> None:
    cache = Cache()
    for value in (object(), Kept(), lambda: 1, Cache):
        await cache.set("name", value, ttl=60)
        assert await cache.get("name") is value


@pytest.mark.parametrize(
    ("value", "path"),
    [(object(), "$"), ({"a": [1, Kept()]}, "$.a[1]"), ([{1: {"b": len}}], "b")],
    ids=["object", "in a list", "in a dict"],
)
async def test_what_would_not_come_back_is_refused_by_its_path(pair: Pair, value: Any, path: str) -> None:
    await pair.one.cache.set("name", "before", ttl=60)
    with pytest.raises((EncodeError, ConfigError)) as refused:
        await pair.one.cache.set("name", value, ttl=60)
    assert path in str(refused.value)
    assert await pair.one.cache.get("name") == "before"


# Calls.


async def test_a_deleted_value_is_gone_for_all(pair: Pair) -> None:
    await pair.one.cache.set("name", 1, ttl=60)
    assert await pair.other.cache.get("name") == 1
    assert await pair.other.cache.delete("name") is True
    pair.settle()
    assert [await place.cache.get("name") for place in pair] == [None, None]
    assert await pair.one.cache.delete("nobody") is True


async def test_a_touched_value_lives_on(place: Place) -> None:
    await place.cache.set("name", [1], ttl=60)
    place.clock.advance(50)
    assert await place.cache.touch("name", ttl=60) is True
    place.clock.advance(50)
    assert await place.cache.get("name") == [1]
    place.clock.advance(10)
    assert await place.cache.get("name") is None
    assert await place.cache.touch("name", ttl=60) is False


async def test_a_touched_value_may_end_sooner(place: Place) -> None:
    await place.cache.set("name", 1, ttl=3600)
    assert await place.cache.touch("name", ttl=60) is True
    place.clock.advance(61)
    assert await place.cache.get("name") is None


async def test_a_touched_value_keeps_its_tags(place: Place) -> None:
    await place.cache.set("name", 1, ttl=60, tags=["tag"])
    await place.cache.touch("name", ttl=3600)
    await place.cache.invalidate(tags=["tag"])
    assert await place.cache.get("name") is None
    assert await place.cache.touch("name", ttl=60) is False


async def test_a_value_touched_by_another_process_lives_on(pair: Pair) -> None:
    await pair.one.cache.set("name", 1, ttl=60)
    assert await pair.other.cache.get("name") == 1
    assert await pair.other.cache.touch("name", ttl=3600) is True
    pair.clock.advance(61)
    assert [await place.cache.get("name") for place in pair] == [1, 1]


async def test_counters_count_for_all(pair: Pair) -> None:
    one, other = pair.one.cache, pair.other.cache
    assert [await one.incr("n", ttl=60), await other.incr("n", 5, ttl=60), await one.incr("n", -2, ttl=60)] == [1, 6, 4]
    assert await one.get("n") is None


async def test_additions_at_once_are_all_counted(pair: Pair) -> None:
    await asyncio.gather(*(place.cache.incr("n", ttl=60) for place in pair for _ in range(100)))
    assert await pair.one.cache.incr("n", 0, ttl=60) == 200


async def test_a_counter_in_memory_ends_with_its_time() -> None:
    from hotplate.testing import MemoryCache

    cache = MemoryCache()
    assert [await cache.incr("n", ttl=60), await cache.incr("n", ttl=60)] == [1, 2]
    cache.clock.advance(60)
    assert await cache.incr("n", 10, ttl=60) == 10


async def test_many_at_once(place: Place) -> None:
    values = {f"name {number}": {"number": number} for number in range(100)}
    assert await place.cache.set_many(values, ttl=60, tags=["many"]) is (place.name != "redis down")
    assert await place.cache.get_many([*values, "nobody", "nobody"], 0) == {**values, "nobody": 0}
    await place.cache.invalidate(tags=["many"])
    assert set((await place.cache.get_many(values)).values()) == {None}


async def test_many_of_a_type(pair: Pair) -> None:
    values = {str(number): Product(id=number) for number in range(5)}
    await pair.one.cache.set_many(values, ttl=60, type=Product)
    assert await pair.other.cache.get_many(values, type=Product) == values


async def test_get_or_set_loads_once(place: Place) -> None:
    runs = Runs(is_open=False)

    async def load() -> Product:
        return Product(id=await runs())

    callers = [
        asyncio.create_task(place.cache.get_or_set("name", load, ttl=60, tags=["tag"], type=Product)) for _ in range(50)
    ]
    await runs.begun()
    runs.open()
    assert await asyncio.gather(*callers) == [Product(id=1)] * 50
    place.settle()
    assert await place.cache.get_or_set("name", load, ttl=60, type=Product) == Product(id=1)
    await place.cache.invalidate(tags=["tag"])
    assert await place.cache.get_or_set("name", load, ttl=60, type=Product) == Product(id=2)


@pytest.mark.parametrize("value", [None, 0, "", [], False], ids=repr)
async def test_get_or_set_keeps_what_is_falsy(place: Place, value: Any) -> None:
    runs = 0

    def load() -> Any:
        nonlocal runs
        runs += 1
        return value

    for _ in range(3):
        assert await place.cache.get_or_set("name", load, ttl=60) == value
        place.settle()
    assert runs == 1


async def test_get_or_set_raises_what_the_loader_raises(place: Place) -> None:
    def load() -> int:
        raise LookupError

    for _ in range(2):
        with pytest.raises(LookupError):
            await place.cache.get_or_set("name", load, ttl=60)


async def test_a_cancelled_get_leaves_the_cache_in_order(pair: Pair) -> None:
    await pair.one.cache.set("name", 1, ttl=60)
    for _ in range(20):
        # Awaited: what is on its way may come after what is set next.
        await pair.other.cache.invalidate(prefixes=["/"])
        await pair.one.cache.set("name", 1, ttl=60)
        asking = asyncio.create_task(pair.other.cache.get("name"))
        await asyncio.sleep(0)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
    pair.settle()
    assert await pair.other.cache.get("name") == 1


@pytest.mark.timeout(20)
async def test_a_server_that_is_down_costs_nobody_time() -> None:
    from tests.redis_servers import free_port

    cache = Cache(f"redis://127.0.0.1:{free_port()}/0", prefix="nobody", command_timeout="30s", connect_timeout="30s")
    values = await asyncio.wait_for(
        asyncio.gather(
            cache.get("name"),
            cache.set("name", 1, ttl=60),
            cache.get_or_set("other", lambda: 2, ttl=60),
            cache.delete("name"),
            cache.touch("nobody", ttl=60),
            cache.incr("n", ttl=60),
            cache.invalidate(tags=["tag"]),
        ),
        10,
    )
    assert values == [None, False, 2, False, False, None, 0]


# Namespaces.


async def test_a_namespace_has_names_of_its_own(place: Place) -> None:
    products, users = place.cache.namespace("products", ttl="1m"), place.cache.namespace("users")
    await products.set("1", "chair")
    await users.set("1", "alice", ttl=60)
    assert [await products.get("1"), await users.get("1"), await place.cache.get("1")] == ["chair", "alice", None]
    assert await place.cache.get("products:1") == "chair"
    assert await products.get_many(["1", "2"]) == {"1": "chair", "2": None}
    await products.set_many({"2": "table"}, tags=["wood"])
    assert await products.touch("2", ttl=3600) is True
    await place.cache.invalidate(tags=["wood"])
    assert await products.get("2") == "table"
    await products.invalidate(tags=["wood"])
    assert await products.get("2") is None
    assert await products.get_or_set("3", lambda: 3) == 3
    await products.delete("3")
    assert await products.get("3") is None
    await products.invalidate()
    assert [await products.get("1"), await users.get("1")] == [None, "alice"]


async def test_a_function_in_two_namespaces_has_results_of_two(place: Place) -> None:
    async def name(number: int) -> str:
        return f"{await runs()}"

    runs = Runs()
    one, other = (place.cache.namespace(space).cached("1m")(name) for space in ("one", "other"))
    assert [await one(1), await other(1)] == ["1", "2"]
    assert one.key(1).startswith("one:")


async def test_a_namespace_takes_what_the_cache_takes(place: Place) -> None:
    products, runs = place.cache.namespace("products", ttl="1m"), Runs()

    @products.cached(key=lambda number: f"n{number}", tags=lambda result: [f"result:{result}"])
    async def product(number: int) -> int:
        await runs()
        return number

    assert [await product(1), await product(2)] == [1, 2]
    assert product.key(1) == "products:n1"
    place.settle()
    await products.invalidate(tags=["result:1"])
    assert [await product(1), await product(2), runs.count] == [1, 2, 3]
    place.settle()
    await products.invalidate()
    await product(1)
    assert runs.count == 4


async def test_a_namespace_writes_through_and_invalidates(place: Place) -> None:
    products = place.cache.namespace("products", ttl="1m")

    @products.write_through(key="{number}", tags=["wood"])
    async def save(number: int, name: str) -> str:
        return name

    @products.invalidates(tags=["wood"])
    async def burn() -> None: ...

    @products.invalidates()
    async def clear() -> None: ...

    await place.cache.set("1", "other", ttl=60, tags=["wood"])
    await save(1, "chair")
    assert await products.get("1") == "chair"
    await burn()
    assert [await products.get("1"), await place.cache.get("1")] == [None, "other"]
    await products.set("2", "table")
    await clear()
    assert await products.get("2") is None


async def test_a_namespace_without_an_event_loop(place: Place) -> None:
    products = place.cache.namespace("products", ttl="1m")

    def by_hand() -> list[object]:
        sync = products.sync
        sync.set("1", "chair", tags=["wood"])
        sync.set_many({"2": "table", "3": "stool"})
        seen: list[object] = [sync.get("1"), sync.get_or_set("4", lambda: "bench"), sync.touch("2", ttl=600)]
        sync.invalidate(tags=["wood"])
        sync.delete("3")
        seen += [sync.get_many(["1", "2", "3"]), sync.incr("visits")]
        sync.invalidate()
        return [*seen, sync.get("2")]

    found = await asyncio.to_thread(by_hand)
    counted = found.pop(4)
    assert counted == await place.cache.incr("products:visits", 0, ttl=60)  # None while Redis is down
    assert found == ["chair", "bench", True, {"1": None, "2": "table", "3": None}, None]


@pytest.mark.parametrize("name", ["", "a:b", "{a}"])
async def test_a_namespace_has_a_name_that_no_other_begins_with(place: Place, name: str) -> None:
    with pytest.raises(ConfigError, match="name="):
        place.cache.namespace(name)


async def test_one_text_where_several_are_meant_is_refused(place: Place) -> None:
    products = place.cache.namespace("products", ttl="1m")
    for names in ({"tags": "wood"}, {"keys": "1"}):
        with pytest.raises(ConfigError, match="several"):
            await products.invalidate(**names)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="several"):
        await products.set("1", 1, tags="wood")
    with pytest.raises(ConfigError, match="ttl"):
        await place.cache.namespace("users").set("1", 1)


async def test_no_names_at_all_are_not_all(place: Place) -> None:
    """A list that turns out empty must not empty the whole part."""
    products = place.cache.namespace("products", ttl="1m")
    await products.set("1", "chair")
    await products.invalidate(tags=[], keys=[])
    assert await products.get("1") == "chair"


async def test_one_text_as_the_tags_of_many_is_refused(place: Place) -> None:
    with pytest.raises(ConfigError, match=r"write tags=\['list'\]"):
        await place.cache.set_many({"a": 1}, ttl=60, tags="list")
    with pytest.raises(ConfigError, match=r"write tags=\['list'\]"):
        place.cache.sync.set_many({"a": 1}, ttl=60, tags="list")
