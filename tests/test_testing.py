"""``hotplate.testing``: what applications use in their own tests."""

import httpx
import pytest
from fastapi import FastAPI

from hotplate import CacheMiddleware
from hotplate.testing import ManualClock, MemoryCache, assert_cache_status, cache_status

pytestmark = pytest.mark.asyncio


def client(cache: MemoryCache) -> httpx.AsyncClient:
    app = FastAPI()
    app.add_middleware(CacheMiddleware, cache=cache, ttl=30)

    @app.get("/products")
    async def products() -> list[str]:
        return ["pan"]

    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")


async def test_the_example_of_the_module_is_true() -> None:
    cache = MemoryCache()
    async with client(cache) as http:
        assert_cache_status(await http.get("/products"), hit=False, stored=True, fwd="uri-miss")
        assert_cache_status(await http.get("/products"), hit=True, ttl=30)
        cache.clock.advance(12)
        assert_cache_status(await http.get("/products"), hit=True, ttl=18)
        cache.clock.advance(18)
        assert_cache_status(await http.get("/products"), hit=False, fwd="stale")


async def test_caches_share_a_clock_where_they_are_given_one() -> None:
    clock = ManualClock()
    one, other = MemoryCache(clock=clock), MemoryCache(clock=clock)
    await one.set("key", b"value", ttl=10)
    await other.set("key", b"value", ttl=20)
    clock.advance(10)
    assert (await one.get("key"), await other.get("key")) == (None, b"value")


def response(*lines: str) -> httpx.Response:
    return httpx.Response(200, headers=[("Cache-Status", line) for line in lines])


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([], {}),
        (["hotplate; hit; ttl=29"], {"hit": True, "ttl": 29}),
        (["hotplate; hit; ttl=-3; detail=stale-if-error"], {"hit": True, "ttl": -3, "detail": "stale-if-error"}),
        (["OriginCache; hit, hotplate; fwd=uri-miss; stored, CDN; fwd=miss"], {"fwd": "uri-miss", "stored": True}),
        (["CDN; hit", 'hotplate; fwd=stale; detail="two words"'], {"fwd": "stale", "detail": "two words"}),
        (["CDN; hit"], {}),
    ],
)
async def test_what_hotplate_said_is_read_from_among_what_others_said(
    lines: list[str], said: dict[str, object]
) -> None:
    assert cache_status(response(*lines)) == said


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"hit": False}, "hit is True, not False"),
        ({"ttl": 30}, "ttl is 29, not 30"),
        ({"stored": True}, "stored is False, not True"),
        ({"fwd": "stale"}, "fwd is None, not 'stale'"),
    ],
)
async def test_a_failure_says_what_was_wanted_and_what_was_said(wanted: dict[str, object], words: str) -> None:
    with pytest.raises(AssertionError, match=words) as failed:
        assert_cache_status(response("hotplate; hit; ttl=29"), **wanted)  # type: ignore[arg-type]
    assert "hotplate; hit; ttl=29" in str(failed.value)
