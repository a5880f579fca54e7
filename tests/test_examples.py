"""The product API, end to end over HTTP, and its demonstration as a program."""

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.servers import ROOT, Answer, Server, serving_process

pytestmark = pytest.mark.asyncio

MEMBER = [("Authorization", "Bearer ada-token")]
WOK = {"name": "Wok", "category": "pans", "price_cents": 3900}


class Shop:
    """The product API without its delay, and how often its handlers ran."""

    def __init__(self, server: Server) -> None:
        self.server = server

    async def get(self, target: str, headers: list[tuple[str, str]] | None = None) -> Answer:
        return await self.server.get(target, headers or [])

    async def send(self, method: str, target: str, value: object = None) -> Answer:
        body = b"" if value is None else json.dumps(value).encode()
        return await self.server.request(method, target, [("Content-Type", "application/json")], body)

    async def json(self, target: str) -> Any:
        return json.loads((await self.get(target)).body)

    async def words(self, *targets: str) -> list[str]:
        """The cache's word for each request."""
        return [(await self.get(target))["x-cache"] for target in targets]


@pytest_asyncio.fixture
async def shop() -> AsyncIterator[Shop]:
    async with serving_process("examples.products.app:app", {"PRODUCTS_DELAY": "0"}) as server:
        yield Shop(server)


async def test_lists_and_items_are_kept(shop: Shop) -> None:
    for target in ("/products", "/products?category=pans", "/products/1", "/products/99"):
        assert await shop.words(target, target) == ["MISS", "HIT"]
    assert await shop.json("/debug/loads") == {"list": 2, "item": 2}


async def test_a_hit_is_the_same_answer(shop: Shop) -> None:
    cold, warm = await shop.get("/products"), await shop.get("/products")
    assert (warm.status, warm.body, warm["etag"]) == (cold.status, cold.body, cold["etag"])
    assert [product["id"] for product in json.loads(warm.body)] == list(range(1, 9))


async def test_a_known_list_is_not_sent_again(shop: Shop) -> None:
    etag = (await shop.get("/products"))["etag"]
    unchanged = await shop.get("/products", [("If-None-Match", etag)])
    assert (unchanged.status, unchanged.body) == (304, b"")


async def test_a_created_product_is_in_the_lists_and_no_longer_missing(shop: Shop) -> None:
    assert (await shop.get("/products/9")).status == 404
    await shop.get("/products?category=pans")
    created = await shop.send("POST", "/products", WOK)
    assert (created.status, created["location"]) == (201, "/products/9")
    assert await shop.json("/products/9") == WOK | {"id": 9}
    for target in ("/products", "/products?category=pans"):
        assert "Wok" in [product["name"] for product in await shop.json(target)]


async def test_an_updated_product_is_fresh_everywhere_and_others_stay(shop: Shop) -> None:
    await shop.words("/products", "/products/4", "/products/5", "/products/4/price")
    assert (await shop.send("PUT", "/products/4", WOK)).status == 200
    assert await shop.words("/products", "/products/4", "/products/4/price", "/products/5") == ["MISS"] * 3 + ["HIT"]
    assert (await shop.json("/products/4"))["name"] == "Wok"
    assert (await shop.json("/products/4/price"))["price_cents"] == 3900


async def test_a_deleted_product_is_gone(shop: Shop) -> None:
    await shop.words("/products", "/products/4")
    assert (await shop.send("DELETE", "/products/4")).status == 204
    assert (await shop.get("/products/4")).status == 404
    assert 4 not in [product["id"] for product in await shop.json("/products")]


async def test_a_refused_update_changes_nothing(shop: Shop) -> None:
    await shop.words("/products/4")
    assert (await shop.send("PUT", "/products/4", {"name": ""})).status == 422
    assert (await shop.send("PUT", "/products/99", WOK)).status == 404
    assert await shop.words("/products/4") == ["HIT"]


async def test_the_public_and_members_never_see_each_others_price(shop: Shop) -> None:
    for word in ("MISS", "HIT"):
        public, member = await shop.get("/products/1/price"), await shop.get("/products/1/price", MEMBER)
        assert (public["x-cache"], member["x-cache"]) == (word, word)
        assert json.loads(public.body) == {"for": "anonymous", "price_cents": 2900}
        assert json.loads(member.body) == {"for": "member", "price_cents": 2610}


async def test_a_wrong_token_is_refused_and_nothing_is_kept_of_it(shop: Shop) -> None:
    await shop.get("/products/1/price", MEMBER)
    for _ in range(2):
        wrong = await shop.get("/products/1/price", [("Authorization", "Bearer guess")])
        assert (wrong.status, wrong["x-cache"]) == (401, "BYPASS")


async def test_excluded_paths_always_run(shop: Shop) -> None:
    assert await shop.words("/admin/report", "/admin/report") == ["BYPASS", "BYPASS"]
    assert (await shop.json("/debug/loads"))["report"] == 2


async def test_the_numbers_of_the_cache_are_told(shop: Shop) -> None:
    await shop.words("/products", "/products", "/products", "/products")
    stats = await shop.json("/debug/stats")
    assert (stats["hits"], stats["misses"], stats["hit_rate"], stats["entries"]) == (3, 1, 0.75, 1)


async def test_the_demonstration_comes_out_as_expected() -> None:
    demo = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "examples.products.demo",
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    printed, _ = await asyncio.wait_for(demo.communicate(), 60)
    text = printed.decode()
    assert demo.returncode == 0, text
    assert "✗" not in text
    for expected in ("MISS", "HIT", "304", "the handler ran once", "BYPASS", "as a member", "PUT", "hit rate"):
        assert expected in text
    assert re.search(r"\d+ times faster", text)
