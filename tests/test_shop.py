"""The shop, whole, over HTTP: the same on a cache in memory and on Redis."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from hotplate.testing import assert_cache_status
from tests.redis_servers import RedisServer, free_port
from tests.servers import serving_process
from tests.shop_process import Shop, at_commit, shop_process

pytestmark = pytest.mark.asyncio

ADA, GRACE = {"Authorization": "Bearer ada-token"}, {"Authorization": "Bearer grace-token"}
WOK = {"name": "Wok", "category": "pans", "price_cents": 3900, "stock": 3}


def environment(cache_url: str, directory: Path) -> dict[str, str]:
    return {"CACHE_URL": cache_url, "DATABASE_URL": f"sqlite+aiosqlite:///{directory / 'shop.db'}"}


def shared_url(redis: RedisServer) -> str:
    # Longer than any pause of a test machine: how faults are met is tested elsewhere.
    return f"{redis.url}?prefix=shop&command_timeout=10s"


@pytest_asyncio.fixture(params=["memory", "redis"])
async def shop(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Shop]:
    url = "memory://" if request.param == "memory" else shared_url(request.getfixturevalue("redis"))
    async with shop_process(environment(url, tmp_path)) as shop:
        yield shop


@pytest_asyncio.fixture
async def shops(redis: RedisServer, tmp_path: Path) -> AsyncIterator[list[Shop]]:
    """Two processes over one Redis and one database."""
    async with AsyncExitStack() as stack:
        given = environment(shared_url(redis), tmp_path)
        yield [await stack.enter_async_context(shop_process(given)) for _ in range(2)]


async def soon(read: Callable[[], Awaitable[Any]], wanted: Any) -> None:
    """Reads until it gives what is wanted; fails if it never does."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + 10
    while (found := await read()) != wanted:
        assert loop.time() < deadline, found
        await asyncio.sleep(0.002)


# Items.


async def test_an_item_is_read_from_the_database_once(shop: Shop) -> None:
    with shop.asks(1):
        answers = [await shop.get("/products/1") for _ in range(3)]
    assert [answer.json()["name"] for answer in answers] == ["Moka pot"] * 3
    assert_cache_status(answers[0], hit=False, stored=True)
    assert_cache_status(answers[2], hit=True)


async def test_the_service_finds_what_a_request_has_loaded(shop: Shop) -> None:
    loaded = await shop.json("/products/1")
    with shop.asks(0):
        assert (await shop.service.find_product(1)).model_dump() == loaded


async def test_an_item_that_is_not_there_is_asked_for_once(shop: Shop) -> None:
    with shop.asks(1):
        assert [(await shop.get("/products/99")).status_code for _ in range(3)] == [404] * 3
        assert await shop.service.find_product(99) is None


async def test_a_known_item_is_not_sent_again(shop: Shop) -> None:
    etag = (await shop.get("/products/1")).headers["etag"]
    unchanged = await shop.get("/products/1", If_None_Match=etag)
    assert (unchanged.status_code, unchanged.content, unchanged.headers["etag"]) == (304, b"", etag)


async def test_a_changed_item_is_sent_to_who_knows_the_old_one(shop: Shop) -> None:
    etag = (await shop.get("/products/1")).headers["etag"]
    await shop.request("PATCH", "/products/1", {"price_cents": 2500})
    changed = await shop.get("/products/1", If_None_Match=etag)
    assert (changed.status_code, changed.json()["price_cents"]) == (200, 2500)
    assert changed.headers["etag"] != etag


# Lists.


@pytest.mark.parametrize(
    "targets",
    [
        ["/products", "/products?page=1&size=20", "/products?size=20", "/products?size=20&page=1"],
        [
            "/products?category=pans&category=knives&size=3&max_price_cents=5000",
            "/products?max_price_cents=5000&size=3&category=knives&category=pans",
            "/products?size=3&category=pans&category=knives&category=pans&max_price_cents=5000&page=1",
        ],
    ],
    ids=["defaults", "filters"],
)
async def test_a_list_is_one_key_in_whatever_order_it_is_asked_for(shop: Shop, targets: list[str]) -> None:
    with shop.asks(1):
        answers = [(await shop.get(target)).content for target in targets]
    assert len(set(answers)) == 1
    assert shop.service.list_products.cache_info().loads == 1


async def test_lists_that_differ_in_anything_are_apart(shop: Shop) -> None:
    targets = ["", "?page=2", "?size=3", "?category=pans", "?max_price_cents=5000", "?search=pan", "?search=PAN"]
    with shop.asks(len(targets)):
        for _ in range(2):
            for target in targets:
                assert (await shop.get(f"/products{target}")).status_code == 200


async def test_a_list_has_what_passes_its_filters_page_by_page(shop: Shop) -> None:
    assert await shop.names("/products?category=pans&category=knives&max_price_cents=5000") == [
        "Crêpe pan",
        "Bread knife",
        "Paring knife",
    ]
    assert await shop.names("/products?search=PAN") == ["Cast-iron pan", "Crêpe pan", "Copper saucepan"]
    assert await shop.names("/products?search=%25") == []
    pages = [await shop.json(f"/products?size=3&page={page}") for page in (1, 2, 3, 4)]
    assert [[product["id"] for product in page["items"]] for page in pages] == [[1, 2, 3], [4, 5, 6], [7, 8], []]
    assert [page["has_more"] for page in pages] == [True, True, False, False]


# Writes.


async def test_after_an_update_the_item_and_the_lists_are_fresh_at_once(shop: Shop) -> None:
    for number in range(20):
        await shop.get("/products/4")
        await shop.names("/products?category=pans")
        name = f"Cast-iron pan, number {number}"
        assert (await shop.request("PATCH", "/products/4", {"name": name})).json()["name"] == name
        assert (await shop.json("/products/4"))["name"] == name
        assert name in await shop.names("/products?category=pans")


async def test_an_update_leaves_other_items_alone(shop: Shop) -> None:
    await shop.get("/products/4")
    await shop.get("/products/5")
    await shop.request("PATCH", "/products/4", {"stock": 0})
    with shop.asks(0):
        assert_cache_status(await shop.get("/products/5"), hit=True)


async def test_a_created_product_is_no_longer_missing(shop: Shop) -> None:
    assert (await shop.get("/products/9")).status_code == 404
    assert "Wok" not in await shop.names()
    created = await shop.request("POST", "/products", WOK)
    assert (created.status_code, created.headers["location"]) == (201, "/products/9")
    assert await shop.json("/products/9") == WOK | {"id": 9}
    assert "Wok" in await shop.names()


async def test_a_deleted_product_is_gone_and_its_deletion_is_noted(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    await shop.get("/products/4")
    assert "Cast-iron pan" in await shop.names()
    with caplog.at_level(logging.INFO, "shop"):
        assert (await shop.request("DELETE", "/products/4")).status_code == 204
    assert [record.getMessage() for record in caplog.records if record.name == "shop"] == [
        "product 4 is no longer on sale"
    ]
    assert (await shop.get("/products/4")).status_code == 404
    assert "Cast-iron pan" not in await shop.names()
    assert (await shop.request("DELETE", "/products/4")).status_code == 404


async def test_a_write_that_finds_nothing_tells_nothing(shop: Shop) -> None:
    await shop.names()
    assert (await shop.request("PATCH", "/products/99", {"stock": 1})).status_code == 404
    assert (await shop.request("DELETE", "/products/99")).status_code == 404
    assert (await shop.request("PATCH", "/products/1", {"stock": -1})).status_code == 422
    with shop.asks(0):
        await shop.names()


async def test_a_handler_that_fails_does_not_fail_the_request(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    events = shop.service.ProductEvent

    @shop.cache.on(events.UPDATED)
    def fail(product_id: int) -> None:
        raise RuntimeError("no")

    await shop.names()
    assert (await shop.request("PATCH", "/products/4", {"name": "Skillet"})).status_code == 200
    assert "Skillet" in await shop.names()
    assert "fail" in caplog.text


# The unit of work.


async def test_an_order_takes_from_the_stock(shop: Shop) -> None:
    for product_id in (1, 2):
        assert (await shop.json(f"/products/{product_id}"))["stock"] == 10
    lines = [{"product_id": 1, "quantity": 2}, {"product_id": 2, "quantity": 1}]
    placed = await shop.request("POST", "/orders", {"lines": lines})
    assert (placed.status_code, placed.json()) == (201, {"total_cents": 13700})
    assert [(await shop.json(f"/products/{product_id}"))["stock"] for product_id in (1, 2)] == [8, 9]


async def test_a_rollback_invalidates_nothing(shop: Shop) -> None:
    item, products = await shop.json("/products/1"), await shop.json("/products")
    before = shop.cache.stats().invalidations
    lines = [{"product_id": 1, "quantity": 2}, {"product_id": 2, "quantity": 11}]
    with shop.asks(2):
        refused = await shop.request("POST", "/orders", {"lines": lines})
    assert (refused.status_code, refused.json()["product_id"]) == (409, 2)
    assert shop.cache.stats().invalidations == before
    with shop.asks(0):
        kept = await shop.get("/products/1")
        assert_cache_status(kept, hit=True)
        assert (kept.json(), await shop.json("/products")) == (item, products)
    assert (await shop.service.find_product.bypass(1)).stock == 10


async def test_a_commit_that_fails_invalidates_nothing(shop: Shop) -> None:
    item = await shop.json("/products/1")
    before = shop.cache.stats().invalidations

    def fail() -> None:
        raise OSError("the disk is full")

    with at_commit(fail), pytest.raises(OSError, match="the disk is full"):
        await shop.request("PATCH", "/products/1", {"name": "Never"})
    assert shop.cache.stats().invalidations == before
    with shop.asks(0):
        assert await shop.json("/products/1") == item
    assert (await shop.service.find_product.bypass(1)).name == "Moka pot"


async def test_nothing_is_invalidated_before_the_commit(shop: Shop) -> None:
    await shop.get("/products/1")
    at_commits: list[int] = []
    before = shop.cache.stats().invalidations
    with at_commit(lambda: at_commits.append(shop.cache.stats().invalidations)):
        await shop.request("PATCH", "/products/1", {"name": "Later"})
    assert at_commits == [before]
    assert shop.cache.stats().invalidations > before


async def test_what_is_read_while_a_transaction_is_open_is_not_kept_beyond_its_commit(shop: Shop) -> None:
    async with shop.module.service.unit_of_work() as work:
        row = await work.session.get(shop.service.ProductRow, 1)
        row.name = "New"
        await work.session.flush()
        work.tell(shop.service.ProductEvent.UPDATED, product_id=1)
        assert (await shop.json("/products/1"))["name"] == "Moka pot"
        assert (await shop.names())[0] == "Moka pot"
    assert (await shop.json("/products/1"))["name"] == "New"
    assert (await shop.names())[0] == "New"


# Settings.


async def test_saved_settings_are_read_without_a_query(shop: Shop) -> None:
    assert await shop.json("/me/settings", **ADA) == {"language": "en", "page_size": 20}
    chosen = {"language": "fr", "page_size": 50}
    assert (await shop.request("PUT", "/me/settings", chosen, **ADA)).json() == chosen
    with shop.asks(0):
        assert await shop.json("/me/settings", **ADA) == chosen
    assert (await shop.service.find_settings.bypass("ada")).model_dump() == chosen


async def test_settings_of_who_never_read_them_are_there_after_a_save(shop: Shop) -> None:
    await shop.request("PUT", "/me/settings", {"language": "de"}, **GRACE)
    with shop.asks(0):
        assert (await shop.json("/me/settings", **GRACE))["language"] == "de"


async def test_settings_of_several_users_are_never_mixed(shop: Shop) -> None:
    async def use(headers: dict[str, str], language: str) -> None:
        for size in range(1, 11):
            chosen = {"language": language, "page_size": size}
            await shop.request("PUT", "/me/settings", chosen, **headers)
            for _ in range(3):
                answer = await shop.get("/me/settings", **headers)
                assert answer.json() == chosen
                assert_cache_status(answer, hit=False)

    await asyncio.gather(use(ADA, "fr"), use(GRACE, "de"))


async def test_settings_that_were_not_committed_are_not_in_the_cache(shop: Shop) -> None:
    await shop.request("PUT", "/me/settings", {"language": "fr"}, **ADA)

    def fail() -> None:
        raise OSError("the disk is full")

    with at_commit(fail), pytest.raises(OSError, match="the disk is full"):
        await shop.request("PUT", "/me/settings", {"language": "de"}, **ADA)
    assert (await shop.json("/me/settings", **ADA))["language"] == "fr"


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer guess"}, {"Authorization": "ada-token"}], ids=str)
async def test_nobody_sees_settings_without_a_token(shop: Shop, headers: dict[str, str]) -> None:
    await shop.get("/me/settings", **ADA)
    assert (await shop.get("/me/settings", **headers)).status_code == 401


# Several at once.


@pytest.mark.parametrize("target", ["/products/2", "/products/99", "/products?category=pans"])
async def test_a_cold_crowd_is_one_query(shop: Shop, target: str) -> None:
    with shop.asks(1):
        answers = await asyncio.gather(*(shop.get(target) for _ in range(50)))
    assert len({(answer.status_code, answer.content) for answer in answers}) == 1


async def test_a_cold_crowd_of_callers_without_http_is_one_query(shop: Shop) -> None:
    with shop.asks(1):
        found = await asyncio.gather(*(shop.service.find_product(2) for _ in range(50)))
    assert {product.name for product in found} == {"Hand grinder"}


async def test_the_numbers_of_each_function_are_told(shop: Shop) -> None:
    for target in ("/products", "/products", "/products/1", "/products/1"):
        await shop.get(target)
    numbers = await shop.json("/debug/cache")
    assert [(name, told["hits"], told["loads"]) for name, told in numbers.items()] == [
        ("find_product", 0, 1),  # the second time the response was there
        ("list_products", 1, 1),
        ("find_settings", 0, 0),
    ]


# Two processes over one Redis.


async def test_what_one_process_loads_the_other_finds(shops: list[Shop]) -> None:
    one, other = shops
    item, products = await one.json("/products/1"), await one.json("/products")
    with other.asks(0):
        assert (await other.json("/products/1"), await other.json("/products")) == (item, products)


async def test_an_update_in_one_process_is_seen_in_the_other(shops: list[Shop]) -> None:
    for number in range(5):
        for shop in shops:
            await shop.get("/products/4")
            await shop.names()
        writer, reader = shops[number % 2], shops[1 - number % 2]
        name = f"Pan {number}"
        await writer.request("PATCH", "/products/4", {"name": name})
        assert (await writer.json("/products/4"))["name"] == name
        await soon(partial(reader.json, "/products/4"), await writer.json("/products/4"))
        await soon(reader.names, await writer.names())
        assert name in await reader.names()


async def test_settings_saved_in_one_process_are_read_in_the_other_without_a_query(shops: list[Shop]) -> None:
    one, other = shops
    assert (await other.json("/me/settings", **ADA))["language"] == "en"
    for writer, reader, language in ((one, other, "fr"), (other, one, "de")):
        saved = (await writer.request("PUT", "/me/settings", {"language": language}, **ADA)).json()
        with reader.asks(0):
            await soon(partial(reader.json, "/me/settings", **ADA), saved)


async def test_a_rollback_in_one_process_leaves_the_other_alone(shops: list[Shop]) -> None:
    one, other = shops
    await other.get("/products/1")
    lines = [{"product_id": 1, "quantity": 2}, {"product_id": 2, "quantity": 11}]
    assert (await one.request("POST", "/orders", {"lines": lines})).status_code == 409
    # What is told after it is seen: so would have been what was told before.
    await one.request("PATCH", "/products/5", {"name": "Told"})
    await soon(partial(_name, other, 5), "Told")
    with other.asks(0):
        assert_cache_status(await other.get("/products/1"), hit=True)


async def _name(shop: Shop, product_id: int) -> str:
    name: str = (await shop.json(f"/products/{product_id}"))["name"]
    return name


async def test_a_cold_crowd_at_both_processes_is_one_query(shops: list[Shop]) -> None:
    asked = [shop.get("/products/3") for shop in shops for _ in range(25)]
    answers = await asyncio.gather(*asked)
    assert len({answer.content for answer in answers}) == 1
    assert sum(len(shop.queries) for shop in shops) == 1


async def test_two_processes_start_on_a_new_database_at_once(redis: RedisServer, tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        given = environment(shared_url(redis), tmp_path)
        entering = (stack.enter_async_context(shop_process(given)) for _ in range(2))
        one, other = await asyncio.gather(*entering)
        assert len(await one.names()) == len(await other.names()) == 8


async def test_a_new_database_does_not_inherit_what_is_cached_of_another(redis: RedisServer, tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        async with shop_process(environment(shared_url(redis), tmp_path / name)) as shop:
            assert await _name(shop, 1) == "Moka pot"
            await shop.request("PATCH", "/products/1", {"name": "Changed"})
            assert await _name(shop, 1) == "Changed"


# Without Redis.


async def test_everything_works_while_redis_is_down(tmp_path: Path) -> None:
    given = environment(f"redis://127.0.0.1:{free_port()}/0?prefix=shop", tmp_path)
    async with shop_process(given, connect=False) as shop:
        for _ in range(2):
            assert (await shop.get("/products/1")).status_code == 200
            assert (await shop.get("/products/99")).status_code == 404
            assert len(await shop.names()) == 8
        for number in range(5):
            name = f"Pan {number}"
            assert (await shop.request("PATCH", "/products/4", {"name": name})).status_code == 200
            assert await _name(shop, 4) == name
            assert name in await shop.names()
            chosen = {"language": "fr", "page_size": number + 1}
            assert (await shop.request("PUT", "/me/settings", chosen, **ADA)).status_code == 200
            assert await shop.json("/me/settings", **ADA) == chosen
        assert (await shop.request("POST", "/products", WOK)).status_code == 201
        assert "Wok" in await shop.names()
        lines = [{"product_id": 1, "quantity": 2}, {"product_id": 2, "quantity": 11}]
        assert (await shop.request("POST", "/orders", {"lines": lines})).status_code == 409
        assert (await shop.json("/products/1"))["stock"] == 10
        answers = await asyncio.gather(*(shop.get("/products/5") for _ in range(50)))
        assert {answer.json()["name"] for answer in answers} == {"Crêpe pan"}
        seen = shop.cache.shared_stats()
        assert seen is not None
        assert not seen.up


async def test_redis_goes_and_comes_back(redis_server: RedisServer, tmp_path: Path) -> None:
    async with shop_process(environment(f"{redis_server.url}?prefix=shop", tmp_path)) as shop:
        assert await _name(shop, 4) == "Cast-iron pan"
        redis_server.kill()
        assert (await shop.request("PATCH", "/products/4", {"name": "Skillet"})).status_code == 200
        assert await _name(shop, 4) == "Skillet"
        redis_server.start()
        await shop.connected()
        assert await _name(shop, 4) == "Skillet"


# As people run it.


async def test_it_runs_as_a_program_with_nothing_set() -> None:
    async with serving_process("examples.shop.app:app", {"CACHE_URL": "memory://"}) as server:
        cold, warm = await server.get("/products/1"), await server.get("/products/1")
        assert (cold.status, cold.hit, warm.hit) == (200, False, True)
        changed = await server.request("PATCH", "/products/1", [("Content-Type", "application/json")], b'{"stock": 1}')
        assert changed.status == 200
        targets = [f"/products?page={page}&size=1" for page in range(1, 9)] * 3
        answers = await asyncio.gather(*(server.get(target) for target in targets))
        assert {answer.status for answer in answers} == {200}
        assert b'"stock":1' in answers[0].body
