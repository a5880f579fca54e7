"""The numbers of a cache: each request is counted once, under what it got; memory stays within its bound."""

import asyncio
from dataclasses import FrozenInstanceError

import pytest

from hotplate import Cache, Rule, Stats
from hotplate.asgi import Scope
from tests.driver import Reply, Site

pytestmark = pytest.mark.asyncio


def counted(site: Site) -> dict[str, int]:
    """The numbers of requests that are not zero."""
    stats = site.cache.stats()
    names = ("hits", "misses", "stale", "validated", "collapsed", "stored", "failed_loads", "invalidations")
    return {name: getattr(stats, name) for name in names if getattr(stats, name)} | dict(stats.bypass)


async def test_a_new_cache_has_counted_nothing(cache: Cache) -> None:
    stats = cache.stats()
    assert (stats.hits, stats.misses, stats.entries, stats.bytes, dict(stats.bypass)) == (0, 0, 0, 0, {})


async def test_a_miss_and_two_hits(site: Site) -> None:
    for _ in range(3):
        await site.get("/")
    assert counted(site) == {"misses": 1, "stored": 1, "hits": 2}


async def test_a_304_and_a_206_from_the_cache_are_hits(site: Site) -> None:
    await site.get("/")
    await site.get("/", headers=[("if-none-match", "*")])
    await site.get("/", headers=[("range", "bytes=0-1")])
    assert site.cache.stats().hits == 2


async def test_an_answer_that_is_not_stored_is_a_miss() -> None:
    site = Site(Reply(headers=[("cache-control", "no-store")]))
    for _ in range(3):
        await site.get("/")
    assert site.cache.stats().misses == 3


@pytest.mark.parametrize(
    ("method", "target", "headers", "reason"),
    [
        ("POST", "/", [], "method"),
        ("GET", "/admin", [], "excluded"),
        ("GET", "/no", [], "rule-no-store"),
        ("GET", "/", [("upgrade", "x")], "upgrade"),
        ("GET", "/", [("content-length", "1")], "request-body"),
        ("GET", "/", [("range", "bytes=0-1")], "range"),
        ("GET", "/", [("cache-control", "no-store")], "request-no-store"),
        ("GET", "/nobody", [], "partition-refused"),
    ],
)
async def test_a_forward_is_counted_under_its_reason(
    method: str, target: str, headers: list[tuple[str, str]], reason: str
) -> None:
    site = Site(exclude=["/admin"], rules=[Rule("/no", cache=False), Rule("/nobody", partition=lambda head: None)])
    await site.request(method, target, headers=headers)
    assert dict(site.cache.stats().bypass) == {reason: 1}


async def test_a_stale_answer_and_its_refresh_are_one_request() -> None:
    site = Site(rules=[Rule("*", stale_while_revalidate=30)])
    await site.get("/")
    site.clock.advance(61)
    await site.get("/")
    await site.settle()
    assert counted(site) == {"misses": 1, "stale": 1, "stored": 2}


async def test_an_error_answered_from_the_store_is_stale() -> None:
    site = Site(rules=[Rule("*", stale_if_error=30)])
    await site.get("/")
    site.clock.advance(61)
    site.origin.answer = Reply(status=503)
    await site.get("/")
    assert counted(site) == {"misses": 1, "stored": 1, "stale": 1, "failed_loads": 1}


async def test_a_confirmed_answer_is_validated() -> None:
    site = Site(Reply(headers=[("etag", '"v1"')]))
    await site.get("/")
    site.clock.advance(61)
    site.origin.answer = Reply(b"", 304, [("etag", '"v1"')])
    await site.get("/")
    assert counted(site)["validated"] == 1


async def test_an_exception_is_a_failed_load(site: Site) -> None:
    site.origin.answer = Reply(error_before=RuntimeError("down"))
    with pytest.raises(RuntimeError):
        await site.get("/")
    assert counted(site) == {"misses": 1, "failed_loads": 1}


async def test_those_who_waited_for_a_load_are_hits_and_collapsed(site: Site) -> None:
    async def slow(scope: Scope) -> bytes:
        await asyncio.sleep(0)
        return b"slow"

    site.origin.answer = slow
    await asyncio.gather(*(site.get("/") for _ in range(10)))
    stats = site.cache.stats()
    assert (site.runs, stats.misses, stats.hits, stats.collapsed) == (1, 1, 9, 9)


async def test_invalidations_are_counted(site: Site) -> None:
    await site.cache.invalidate(tags=["a", "b"], paths=["/"])
    assert site.cache.stats().invalidations == 3


async def test_the_hit_rate_is_the_share_of_answers_from_the_cache(site: Site) -> None:
    for _ in range(4):
        await site.get("/")
    assert site.cache.stats().hit_rate == 0.75


async def test_the_hit_rate_of_nothing_is_zero(cache: Cache) -> None:
    assert cache.stats().hit_rate == 0.0


async def test_forwards_do_not_lower_the_hit_rate(site: Site) -> None:
    for method in ("GET", "GET", "POST", "POST"):
        await site.request(method, "/" if method == "GET" else "/other")
    assert site.cache.stats().hit_rate == 0.5


async def test_clear_keeps_the_numbers(site: Site) -> None:
    await site.get("/")
    site.cache.clear()
    assert site.cache.stats().misses == 1


async def test_stats_cannot_be_changed(cache: Cache) -> None:
    with pytest.raises(FrozenInstanceError):
        cache.stats().hits = 5  # type: ignore[misc]


async def test_stats_are_those_of_their_moment(site: Site) -> None:
    before: Stats = site.cache.stats()
    await site.get("/")
    assert before.misses == 0


# Memory.


async def test_bytes_grow_with_what_is_stored(site: Site) -> None:
    site.origin.answer = b"x" * 10_000
    await site.get("/")
    assert 10_000 < site.cache.stats().bytes < 12_000


async def test_many_urls_stay_within_max_bytes() -> None:
    site = Site(b"x" * 1_000, max_bytes=1_000_000)
    for number in range(3_000):
        await site.get(f"/{number}")
    assert 500_000 < site.cache.stats().bytes <= 1_100_000


async def test_what_is_dropped_for_room_is_counted() -> None:
    site = Site(b"x" * 1_000, max_bytes=1_000_000)
    for number in range(3_000):
        await site.get(f"/{number}")
    stats = site.cache.stats()
    assert stats.evictions >= 3_000 - stats.entries


async def test_what_is_asked_for_again_and_again_survives_a_scan() -> None:
    site = Site(b"x" * 1_000, max_bytes=1_000_000)
    for number in range(3_000):
        await site.get("/popular")
        await site.get(f"/{number}")
    assert (await site.get("/popular")).hit


async def test_a_response_larger_than_the_whole_cache_is_served() -> None:
    site = Site(b"x" * 3_000_000, max_bytes=1_000_000)
    await site.get("/")
    assert len((await site.get("/")).body) == 3_000_000


@pytest.mark.parametrize("max_bytes", [1, 100, 1_000])
async def test_a_cache_too_small_for_anything_serves_everything(max_bytes: int) -> None:
    site = Site(b"x" * 2_000, max_bytes=max_bytes)
    await site.get("/")
    assert len((await site.get("/")).body) == 2_000


async def test_a_response_larger_than_the_whole_cache_takes_no_room() -> None:
    site = Site(b"x" * 3_000_000, max_bytes=1_000_000)
    await site.get("/")
    assert site.cache.stats().bytes < 1_100_000


async def test_keys_remembered_as_not_storable_stay_within_max_bytes_too() -> None:
    site = Site(Reply(headers=[("cache-control", "no-store")]), max_bytes=1_000_000)
    for number in range(5_000):
        await site.get(f"/{number}")
    assert site.cache.stats().bytes <= 1_100_000
