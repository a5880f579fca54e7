"""``cache.invalidates``, as a decorator and as a dependency: after success, and before anybody can read again."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from fastapi import BackgroundTasks, Depends, FastAPI, HTTPException

from hotplate import Cache, ConfigError, UnkeyableError
from tests.value_fleet import Pair, Place, Product, Runs

pytestmark = pytest.mark.asyncio


class Shop:
    """Products in a table, read through a cache."""

    def __init__(self, cache: Cache) -> None:
        self.rows = {1: Product(id=1), 2: Product(id=2)}
        self.runs = runs = Runs()
        rows = self.rows

        @cache.cached("1m", key="product:{number}", tags=["products", "product:{number}"])
        async def product(number: int) -> Product:
            row = rows[number]
            await runs()
            return row

        self.product: Any = product


@pytest.mark.parametrize(
    "names",
    [{"tags": ["product:{number}"]}, {"keys": ["product:{number}"]}, {"tags": ["product:{result.id}"]}],
    ids=repr,
)
async def test_a_success_invalidates_what_is_named(place: Place, names: dict[str, list[str]]) -> None:
    shop = Shop(place.cache)

    @place.cache.invalidates(**names)  # type: ignore[arg-type]
    async def rename(number: int, name: str) -> Product:
        shop.rows[number] = Product(id=number, name=name)
        return shop.rows[number]

    assert [await shop.product(1), await shop.product(2)] == [Product(id=1), Product(id=2)]
    place.settle()
    assert await rename(1, name="table") == Product(id=1, name="table")
    assert [await shop.product(1), await shop.product(2)] == [Product(id=1, name="table"), Product(id=2)]
    assert shop.runs.count == 3


async def test_a_failure_invalidates_nothing(place: Place) -> None:
    shop = Shop(place.cache)

    @place.cache.invalidates(tags=["product:{number}"], keys=["product:{number}"], prefixes=["/"])
    async def rename(number: int) -> None:
        shop.rows[number] = Product(id=9)
        raise LookupError(number)

    await shop.product(1)
    place.settle()
    with pytest.raises(LookupError):
        await rename(1)
    assert await shop.product(1) == Product(id=1)


async def test_every_result_of_a_prefix_is_invalidated(place: Place) -> None:
    shop = Shop(place.cache)

    @place.cache.invalidates(prefixes=["/"])
    async def everything() -> None: ...

    await shop.product(1)
    place.settle()
    await everything()
    await shop.product(1)
    assert shop.runs.count == 2


async def test_softly_invalidated_results_are_used_once_more(place: Place) -> None:
    shop = Shop(place.cache)

    @place.cache.invalidates(tags=["product:{number}"], soft=True)
    async def rename(number: int) -> None:
        shop.rows[number] = Product(id=number, name="table")

    await shop.product(1)
    place.settle()
    await rename(1)
    shop.runs.close()
    assert await shop.product(1) == Product(id=1)
    shop.runs.open()


async def test_methods_invalidate_by_what_they_have(place: Place) -> None:
    class Service:
        tenant = "one"

        @place.cache.invalidates(keys=["{self.tenant}:{number}"])
        async def rename(self, number: int) -> None: ...

    await place.cache.set("one:1", 1, ttl=60)
    await place.cache.set("two:1", 1, ttl=60)
    await Service().rename(1)
    assert [await place.cache.get("one:1"), await place.cache.get("two:1")] == [None, 1]


async def test_a_key_is_the_one_under_which_results_are_stored(place: Place) -> None:
    """Texts in a key of several fields are encoded: the same in both places."""
    runs = Runs()

    @place.cache.cached("1m", key="{shop}:{name}")
    async def product(shop: str, name: str) -> int:
        return await runs()

    @place.cache.invalidates(keys=["{shop}:{name}"])
    async def rename(shop: str, name: str) -> None: ...

    await product("a:b", "c%d")
    place.settle()
    await rename("a:b", "c%d")
    assert await product("a:b", "c%d") == 2


async def test_an_invalidation_reaches_other_processes(pair: Pair) -> None:
    shops = [Shop(place.cache) for place in pair]
    for shop in shops:
        await shop.product(1)
        pair.settle()

    @pair.one.cache.invalidates(tags=["products"])
    async def rename() -> None:
        for shop in shops:
            shop.rows[1] = Product(id=1, name="table")

    await rename()
    pair.settle()
    for shop in shops:
        assert await shop.product(1) == Product(id=1, name="table")
        pair.settle()


@pytest.mark.parametrize(
    "names", [{}, {"tags": "tag"}, {"tags": ["{nobody}"]}, {"keys": ["{number.__class__}"]}], ids=repr
)
async def test_what_cannot_be_meant_is_refused(place: Place, names: dict[str, Any]) -> None:
    async def rename(number: int) -> None: ...

    with pytest.raises(ConfigError):
        place.cache.invalidates(**names)(rename)


# As a dependency of an endpoint.


def shop_app(cache: Cache, shop: Shop) -> FastAPI:
    """Reads and writes of one product."""
    app = FastAPI()
    changed = Depends(cache.invalidates(tags=["product:{number}", "products"], keys=["product:{number}"]))

    @app.get("/products/{number}")
    async def read(number: int) -> Product:
        found: Product = await shop.product(number)
        return found

    @app.put("/products/{number}", dependencies=[changed])
    async def write(number: int, name: str) -> Product:
        if name == "refused":
            raise HTTPException(409, "no")
        if name == "broken":
            raise LookupError(name)
        shop.rows[number] = Product(id=number, name=name)
        return shop.rows[number]

    @app.put("/sync/{number}", dependencies=[changed])
    def write_sync(number: int, name: str, tasks: BackgroundTasks) -> None:
        shop.rows[number] = Product(id=number, name=name)

    return app


def client(app: FastAPI) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app, raise_app_exceptions=False), base_url="http://test")


async def name_of(http: httpx.AsyncClient, number: int = 1) -> str:
    name: str = (await http.get(f"/products/{number}")).json()["name"]
    return name


@pytest.mark.parametrize("path", ["/products/1", "/sync/1"])
async def test_a_client_that_reads_after_its_write_gets_what_it_wrote(place: Place, path: str) -> None:
    shop = Shop(place.cache)
    async with client(shop_app(place.cache, shop)) as http:
        for name in ("table", "lamp", "sofa"):
            await name_of(http)
            place.settle()
            assert (await http.put(path, params={"name": name})).status_code == 200
            assert await name_of(http) == name


async def test_a_write_during_a_slow_read_is_seen_by_who_reads_after_it(place: Place) -> None:
    shop = Shop(place.cache)
    async with client(shop_app(place.cache, shop)) as http:
        shop.runs.close()
        before = asyncio.create_task(name_of(http))
        await shop.runs.begun()
        assert (await http.put("/products/1", params={"name": "table"})).status_code == 200
        after = asyncio.create_task(name_of(http))
        await asyncio.sleep(0.01)
        shop.runs.open()
        assert await after == "table"
        await before


@pytest.mark.parametrize(("name", "status"), [("refused", 409), ("broken", 500)])
async def test_an_endpoint_that_raises_invalidates_nothing(place: Place, name: str, status: int) -> None:
    shop = Shop(place.cache)
    async with client(shop_app(place.cache, shop)) as http:
        await name_of(http)
        place.settle()
        shop.rows[1] = Product(id=1, name="table")
        assert (await http.put("/products/1", params={"name": name})).status_code == status
        assert await name_of(http) == "chair"


async def test_a_request_that_is_not_valid_invalidates_nothing(place: Place) -> None:
    shop = Shop(place.cache)
    async with client(shop_app(place.cache, shop)) as http:
        await name_of(http)
        place.settle()
        shop.rows[1] = Product(id=1, name="table")
        assert (await http.put("/products/1")).status_code == 422
        assert await name_of(http) == "chair"


async def test_the_dependency_is_not_in_the_documentation(place: Place) -> None:
    schema = shop_app(place.cache, Shop(place.cache)).openapi()
    names = [one["name"] for one in schema["paths"]["/products/{number}"]["put"]["parameters"]]
    assert names == ["number", "name"]


async def test_the_decorator_stands_under_a_route_too(place: Place) -> None:
    shop, app = Shop(place.cache), FastAPI()

    @app.put("/products/{number}")
    @place.cache.invalidates(tags=["product:{number}"])
    async def write(number: int, name: str) -> Product:
        shop.rows[number] = Product(id=number, name=name)
        return shop.rows[number]

    await shop.product(1)
    place.settle()
    async with client(app) as http:
        assert (await http.put("/products/1?name=table")).json()["name"] == "table"
    assert await shop.product(1) == Product(id=1, name="table")


async def test_what_can_be_named_is_invalidated_although_something_cannot(place: Place) -> None:
    await place.cache.set("list", "old", ttl=60, tags=["products:list"])

    @place.cache.invalidates(tags=["product:{result.id}", "products:list"])
    async def update() -> None:
        return None

    with pytest.raises(UnkeyableError, match="result"):
        await update()
    assert await place.cache.get("list") is None
