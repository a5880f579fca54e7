"""``cache.cached``: what a caller gets, and how often the function runs, wherever results are kept."""

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel

from hotplate import Cache, ConfigError
from hotplate.errors import EncodeError, UnkeyableError
from tests.value_fleet import Pair, Place, Product, Runs
from tests.waiting import turns

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.asyncio

FALSY: list[Any] = [None, 0, 0.0, "", b"", False, [], {}, ()]


async def test_a_second_call_gets_the_result_of_the_first(place: Place) -> None:
    runs = Runs()

    @place.cache.cached("1m", key="square:{number}")
    async def square(number: int) -> int:
        return number * number * await runs()

    assert await square(3) == 9
    place.settle()
    assert await square(3) == 9
    assert await square(4) == 32
    assert (runs.count, square.key(3)) == (2, "square:3")


@pytest.mark.parametrize("result", FALSY, ids=repr)
async def test_a_falsy_result_is_a_result(place: Place, result: Any) -> None:
    runs = Runs()

    @place.cache.cached("1m", key="falsy")
    async def falsy():  # type: ignore[no-untyped-def]  # noqa: ANN202
        await runs()
        return result

    for _ in range(3):
        found = await falsy()
        place.settle()
        assert found == result
        assert type(found) is type(result)
    assert runs.count == 1


async def test_one_call_in_any_form_is_one_result(place: Place) -> None:
    runs = Runs()

    @place.cache.cached("1m")
    async def page(number: int = 1, size: int = 20, *, filters: dict[str, str] | None = None) -> int:
        return await runs()

    forms: list[Callable[[], Any]] = [
        lambda: page(1, filters={"a": "x", "b": "y"}),
        lambda: page(number=1, filters={"b": "y", "a": "x"}),
        lambda: page(1, 20, filters={"a": "x", "b": "y"}),
        lambda: page(size=20, filters={"a": "x", "b": "y"}, number=1),
    ]
    for form in forms:
        assert await form() == 1
        place.settle()


async def test_arguments_of_other_types_are_other_calls(place: Place) -> None:
    @place.cache.cached("1m")
    async def kind(argument: object) -> str:
        return type(argument).__name__

    for argument in (1, True, 1.0, "1", None, (1,), [1], b"1"):
        assert await kind(argument) == type(argument).__name__


async def test_two_functions_have_results_of_their_own(place: Place) -> None:
    @place.cache.cached("1m")
    async def one(number: int) -> str:
        return "one"

    @place.cache.cached("1m")
    async def other(number: int) -> str:
        return "other"

    assert (await one(1), await other(1)) == ("one", "other")


async def test_a_result_expires(place: Place) -> None:
    runs = Runs()

    @place.cache.cached("1m")
    async def number() -> int:
        return await runs()

    assert await number() == 1
    place.settle()
    place.clock.advance(59.9)
    assert await number() == 1
    place.clock.advance(0.1)
    assert await number() == 2


@pytest.mark.parametrize("none", [None, 0, 0.0])
async def test_a_ttl_of_the_result_may_say_that_it_is_not_stored(place: Place, none: Any) -> None:
    runs = Runs()

    @place.cache.cached(lambda result: 60 if result > 1 else none)
    async def number() -> int:
        return await runs()

    for expected in (1, 2, 2):
        assert await number() == expected
        place.settle()


async def test_a_condition_says_what_is_stored(place: Place) -> None:
    runs = Runs()

    @place.cache.cached("1m", condition=lambda result: result is not None)
    async def number() -> int | None:
        return None if await runs() == 1 else 7

    for expected in (None, 7, 7):
        assert await number() == expected
        place.settle()
    assert runs.count == 2


async def test_invalidate_is_for_one_call(place: Place) -> None:
    runs = Runs()

    @place.cache.cached("1m", key="n:{number}")
    async def run_of(number: int) -> int:
        return await runs()

    assert (await run_of(1), await run_of(2)) == (1, 2)
    place.settle()
    await run_of.invalidate(1)
    assert (await run_of(1), await run_of(2)) == (3, 2)


async def test_tags_are_of_arguments_and_result(place: Place) -> None:
    runs = Runs()

    @place.cache.cached("1m", tags=["products", "product:{number}", "named:{result.name}"])
    async def product(number: int) -> Product:
        await runs()
        return Product(id=number, name=f"chair {number}")

    for count, tag in enumerate(["products", "product:1", "named:chair 1"], 2):
        await product(1)
        place.settle()
        await place.cache.invalidate(tags=[tag])
        await product(1)
        place.settle()
        assert runs.count == count
    await place.cache.invalidate(tags=["product:2", "named:chair"])
    await product(1)
    assert runs.count == 4


async def test_tags_may_be_a_function_of_the_result(place: Place) -> None:
    runs = Runs()

    @place.cache.cached("1m", tags=lambda products: [f"product:{one.id}" for one in products])
    async def products() -> list[Product]:
        await runs()
        return [Product(id=1), Product(id=2)]

    await products()
    place.settle()
    await place.cache.invalidate(tags=["product:2"])
    await products()
    assert runs.count == 2


async def test_pages_of_a_list_are_invalidated_together(place: Place) -> None:
    runs = Runs()

    @place.cache.cached("1m", tags=["products:list"])
    async def listed(page: int = 1, size: int = 20, filters: dict[str, str] | None = None) -> list[Product]:
        return [Product(id=await runs())]

    before = [await listed(), await listed(2), await listed(filters={"a": "b"})]
    place.settle()
    assert [await listed(1, 20), await listed(page=2), await listed(filters={"a": "b"})] == before
    await place.cache.invalidate(tags=["products:list"])
    after = [await listed(), await listed(2), await listed(filters={"a": "b"})]
    assert [one[0].id for one in after] == [4, 5, 6]


async def test_refresh_runs_the_function_and_stores_its_result(place: Place) -> None:
    runs = Runs()

    @place.cache.cached("1m", key="number")
    async def number() -> int:
        return await runs()

    assert await number() == 1
    place.settle()
    assert await number.refresh() == 2
    assert await place.cache.get("number") == 2


async def test_a_refresh_that_fails_leaves_what_is_stored(place: Place) -> None:
    runs = Runs()

    @place.cache.cached("1m")
    async def number() -> int:
        if await runs() == 2:
            raise LookupError
        return runs.count

    assert await number() == 1
    place.settle()
    with pytest.raises(LookupError):
        await number.refresh()
    assert await number() == 1


async def test_bypass_reads_and_stores_nothing(place: Place) -> None:
    runs = Runs()

    @place.cache.cached("1m", key="number")
    async def number() -> int:
        return await runs()

    assert await number.bypass() == 1
    assert await place.cache.get("number") is None
    assert await number() == 2
    assert await number.bypass() == 3


async def test_cache_info_counts_each_call_once(place: Place) -> None:
    runs = Runs()

    @place.cache.cached("1m")
    async def number() -> int:
        if await runs() == 1:
            raise LookupError
        return runs.count

    with pytest.raises(LookupError):
        await number()
    for _ in range(4):
        await number()
        place.settle()
    assert number.cache_info() == (3, 0, 2, 1)


async def test_a_result_is_read_by_hand_under_its_key(place: Place) -> None:
    @place.cache.cached("1m", key="product:{number}")
    async def product(number: int) -> Product:
        return Product(id=number)

    await product(1)
    place.settle()
    assert await place.cache.get(product.key(1), type=Product) == Product(id=1)


@pytest.mark.parametrize("codec", ["auto", "json", None])
async def test_a_codec_gives_back_what_was_returned(pair: Pair, codec: str | None) -> None:
    for place in pair:

        @place.cache.cached("1m", key="data", codec=codec)
        async def data() -> dict[str, list[int]]:
            return {"numbers": [1, 2, 3]}

        assert await data() == {"numbers": [1, 2, 3]}
        pair.settle()
        assert data.cache_info().loads == (1 if place is pair.one else 0)


async def test_another_process_gets_models_of_its_type(pair: Pair) -> None:
    found: list[Any] = []
    for place in pair:

        @place.cache.cached("1m", key="products")
        async def products() -> list[Product]:
            return [Product(id=1), Product(id=2, price=1e100)]

        found.append(await products())
        pair.settle()
        found.append(await products())
        assert products.cache_info().loads == (1 if place is pair.one else 0)
    assert all(one == [Product(id=1), Product(id=2, price=1e100)] for one in found)


async def test_a_result_that_would_not_come_back_is_an_error(pair: Pair) -> None:
    class Special(Product):
        discount: int = 1

    @pair.one.cache.cached("1m")
    async def product() -> Product:
        return Special(id=1)

    with pytest.raises(EncodeError, match="Special"):
        await product()


async def test_local_only_results_stay_in_the_process(pair: Pair) -> None:
    calls = []
    for place in pair:

        @place.cache.cached("1m", key="object", tags=["object"], local_only=True)
        async def thing() -> object:
            return object()

        calls.append(thing)
    one, other = calls
    mine = await one()
    assert await one() is mine
    assert await other() is not mine
    await pair.other.cache.invalidate(tags=["object"])
    pair.settle()
    assert await one() is not mine


async def test_a_deployment_that_changes_a_model_reads_old_results_as_none(pair: Pair) -> None:
    class Old(BaseModel):
        id: int

    class New(BaseModel):
        id: int
        name: str = "new"

    New.__name__ = New.__qualname__ = "Old"

    @pair.one.cache.cached("1m", key="model")
    async def old() -> Old:
        return Old(id=1)

    @pair.other.cache.cached("1m", key="model")
    async def new() -> New:
        return New(id=2)

    await old()
    pair.settle()
    assert await new() == New(id=2)


@pytest.mark.parametrize(
    "settings",
    [
        {"ttl": 0},
        {"ttl": -1},
        {"ttl": "soon"},
        {"ttl": None},
        {"ttl": 60, "refresh_ahead": 1.5},
        {"ttl": 60, "refresh_ahead": 0},
        {"ttl": 60, "copy": "shallow"},
        {"ttl": 60, "stale_if_error": "x"},
        {"ttl": 60, "stale_while_revalidate": -1},
        {"ttl": 60, "soft_timeout": "x"},
        {"ttl": 60, "tags": "products"},
        {"ttl": 60, "tags": ["product:{nobody}"]},
        {"ttl": 60, "key": "product:{nobody}"},
        {"ttl": 60, "exclude": ["nobody"]},
        {"ttl": 60, "codec": "jsn"},
    ],
    ids=repr,
)
async def test_what_cannot_be_meant_is_refused_where_it_is_written(place: Place, settings: dict[str, Any]) -> None:
    given = dict(settings)

    async def product(number: int) -> Product:
        return Product(id=number)

    with pytest.raises(ConfigError):
        place.cache.cached(given.pop("ttl"), **given)(product)


async def test_pickle_without_a_key_is_refused_where_others_could_write(pair: Pair) -> None:
    with pytest.raises(ConfigError, match="signing_key"):
        pair.one.cache.cached("1m", codec="pickle")


async def test_a_function_that_returns_a_coroutine_is_refused(place: Place) -> None:
    """A coroutine is awaited once: the second caller would get one that is over."""

    async def product() -> int:
        return 1

    @place.cache.cached("1m")
    def wrapped():  # type: ignore[no-untyped-def]  # noqa: ANN202
        return product()

    for _ in range(2):
        with pytest.raises(EncodeError, match="coroutine"):
            wrapped()


async def test_an_iterator_as_a_result_is_refused(place: Place) -> None:
    """The second caller would find it used up."""

    @place.cache.cached("1m")
    async def numbers():  # type: ignore[no-untyped-def]  # noqa: ANN202
        return (number for number in range(3))

    with pytest.raises(EncodeError, match="generator"):
        await numbers()
    with pytest.raises(EncodeError, match="iterator"):
        await place.cache.set("numbers", iter([1, 2]), ttl=60)


async def test_an_argument_that_cannot_be_keyed_is_refused_at_the_call(place: Place) -> None:
    @place.cache.cached("1m")
    async def product(number: Any) -> int:
        return 1

    with pytest.raises(UnkeyableError, match="exclude"):
        await product(object())


async def test_two_caches_in_memory_have_nothing_in_common() -> None:
    one, other = Cache(), Cache()
    await one.set("name", 1, ttl=60)
    assert await other.get("name") is None


async def test_without_a_lock_every_call_that_finds_nothing_runs(place: Place) -> None:
    runs = Runs()

    @place.cache.cached("1m", lock=False)
    async def number() -> int:
        await turns(3)  # so that each begins before one has ended, however tasks are started
        return await runs()

    assert sorted(await asyncio.gather(number(), number(), number())) == [1, 2, 3]


@pytest.mark.parametrize("url", ["memory://", "redis://127.0.0.1:1/0"])
@pytest.mark.parametrize("decorator", ["cached", "write_through"])
async def test_a_codec_that_does_not_exist_is_refused_where_it_is_written(url: str, decorator: str) -> None:
    with pytest.raises(ConfigError, match="'yaml' is none of 'auto'"):
        getattr(Cache(url), decorator)("1m", key="name", codec="yaml")


@pytest.mark.parametrize("decorator", ["cached", "write_through"])
async def test_pickle_without_a_key_is_refused_where_it_is_written(decorator: str) -> None:
    with pytest.raises(ConfigError, match="signing_key"):
        getattr(Cache("redis://127.0.0.1:1/0"), decorator)("1m", key="name", codec="pickle")
    getattr(Cache(), decorator)("1m", key="name", codec="pickle")  # in memory nothing is pickled
