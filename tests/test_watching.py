"""What people see of a cache that runs: numbers, decisions, what is stored; of one process and of several."""

import base64
import json
import time
from typing import Any

import pytest

from hotplate import Cache, ConfigError, Rule
from hotplate.watching import BOUNDS, EntryView, Report
from hotplate.watching import _readable as readable
from tests.driver import Reply, Site
from tests.fleet import Fleet, Node
from tests.redis_servers import RedisServer
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio

HOST = "http://example.test"
PRODUCTS = Rule("/products/{id}", ttl=60, tags=["products", "product:{id}"])


def keys_of(type_: Any) -> set[str]:
    return set(type_.__annotations__)


@pytest.fixture
def site() -> Site:
    return Site(rules=[PRODUCTS])


async def test_a_report_is_what_its_type_says(site: Site) -> None:
    await site.get("/products/1")
    await site.cache.invalidate(tags=["products"])
    report = site.cache.watch.report()
    assert report.keys() == keys_of(Report)
    json.dumps(report)
    assert len(report["latency"]["hit"]["buckets"]) == len(BOUNDS) + 1
    (view,) = await site.cache.watch.entry(url=f"{HOST}/products/1")
    assert view.keys() == keys_of(EntryView)


async def test_the_counts_are_those_of_stats(site: Site) -> None:
    for target in ("/products/1", "/products/1", "/other", "/products/2"):
        await site.get(target)
    await site.request("POST", "/products/1")
    report, stats = site.cache.watch.report(), site.cache.stats()
    for name, number in report["counts"].items():
        assert number == getattr(stats, name), name
    assert report["bypass"] == stats.bypass == {"method": 1}
    assert (report["entries"], report["bytes"]) == (stats.entries, stats.bytes)
    assert sum(rule["hit"] for rule in report["rules"]) == stats.hits == 1
    assert sum(rule["miss"] for rule in report["rules"]) == stats.misses == 3


async def test_each_answer_is_timed_once(site: Site) -> None:
    for target in ("/products/1", "/products/1", "/products/1", "/products/2"):
        await site.get(target)
    await site.request("POST", "/products/1")
    latency = site.cache.watch.report()["latency"]
    assert {kind: spans["count"] for kind, spans in latency.items()} == {"hit": 2, "miss": 2, "load": 2}
    assert all(sum(spans["buckets"]) == spans["count"] for spans in latency.values())
    assert latency["hit"]["sum"] > 0


async def test_values_and_functions_are_counted_beside_the_rules(cache: Cache) -> None:
    @cache.cached("1m", key="double:{number}")
    async def double(number: int) -> int:
        return 2 * number

    for _ in range(3):
        await double(1)
    report = cache.watch.report()
    assert report["rules"] == [{"rule": "values", "hit": 2, "stale": 0, "validated": 0, "miss": 1, "bypass": 0}]
    assert report["latency"]["load"]["count"] == 1
    assert [top["name"] for top in report["top"]["keys_by_hits"]] == ["double:1"]
    (view,) = await cache.watch.entry(key="double:1")
    assert (view["kind"], view["name"], view["hits"], view["status"]) == ("value", "double:1", 2, None)


async def test_a_decision_is_told_with_its_reason(site: Site) -> None:
    site.cache.watch.decisions()
    await site.get("/products/1?x=1")
    await site.get("/products/1?x=1")
    await site.request("DELETE", "/products/1")
    bypass, hit, miss = site.cache.watch.decisions()
    assert [one["outcome"] for one in (bypass, hit, miss)] == ["bypass", "hit", "miss"]
    assert hit["url"] == "example.test/products/1?x=1"
    assert hit["sentence"].startswith("Served from the cache: the stored response is fresh")
    assert (bypass["method"], bypass["reason"]) == ("DELETE", "method")
    assert len(site.cache.watch.decisions(2)) == 2


async def test_a_response_is_shown_with_its_body_only_where_that_is_asked_for() -> None:
    site = Site(Reply(b"secret"), rules=[PRODUCTS])
    await site.get("/products/1")
    (view,) = await site.cache.watch.entry(url=f"{HOST}/products/1")
    assert view["body"] is None
    (view,) = await site.cache.watch.entry(url=f"{HOST}/products/1", body=True)
    assert base64.b64decode(view["body"] or "") == b"secret"
    assert (view["status"], view["tags"], view["tier"]) == (200, ["product:1", "products"], "local")
    by_key = await site.cache.watch.entry(key=view["key"], body=True)
    assert by_key == [view]


async def test_the_body_of_a_partitioned_response_is_shown_to_who_names_the_partition() -> None:
    site = Site(Reply(b"secret"), ttl=60, partition=lambda request: request.field("x-user"))
    await site.get("/", headers=[("x-user", "ada")])
    assert await site.cache.watch.entry(url=f"{HOST}/", body=True) == []
    (view,) = await site.cache.watch.entry(url=f"{HOST}/", partition="ada", body=True)
    assert base64.b64decode(view["body"] or "") == b"secret"
    (hidden,) = await site.cache.watch.entry(key=view["key"], body=True)
    assert (hidden["partitioned"], hidden["body"]) == (True, None)
    assert await site.cache.watch.entry(url=f"{HOST}/", partition="eve") == []


async def test_what_a_request_would_get_is_explained(site: Site) -> None:
    explain = site.cache.watch.explain
    assert "nothing is stored" in await explain(f"{HOST}/products/1")
    await site.get("/products/1")
    assert (await explain(f"{HOST}/products/1")).startswith("Served from the cache")
    guarded = await explain(f"{HOST}/products/1", headers={"Authorization": "Bearer secret"})
    assert guarded.startswith("Forwarded")
    assert "secret" not in guarded
    assert site.cache.stats().hits == 0


@pytest.mark.parametrize("url", ["/products/1", "example.test/a", "ftp://example.test/", "http://", ""])
async def test_what_is_no_url_is_refused(site: Site, url: str) -> None:
    with pytest.raises(ConfigError, match="url="):
        await site.cache.watch.entry(url=url)


async def test_one_of_url_and_key_is_named(site: Site) -> None:
    with pytest.raises(ConfigError, match="name one of the two"):
        await site.cache.watch.entry()
    with pytest.raises(ConfigError, match="name one of the two"):
        await site.cache.watch.entry(url=f"{HOST}/", key="a")


async def test_a_preview_names_what_would_go(site: Site) -> None:
    for target in ("/products/1", "/products/2"):
        await site.get(target)
    watch = site.cache.watch
    assert watch.preview(tags=["product:1"])["names"] == ["GET example.test/products/1"]
    assert watch.preview(prefixes=["/products"])["entries"] == 2
    assert watch.preview(everything=True, most=1)["entries"] == 2
    assert len(watch.preview(everything=True, most=1)["names"]) == 1
    assert watch.preview(paths=["/nothing"]) == {"entries": 0, "bytes": 0, "names": []}
    with pytest.raises(ConfigError, match="paths"):
        watch.preview(paths=["products"])
    await site.hit("/products/1")


async def test_names_that_look_like_markup_stay_text(site: Site) -> None:
    await site.get("/products/%3Cscript%3E?<b>=\x1b[31m")
    top = site.cache.watch.report()["top"]["keys_by_bytes"]
    assert top[0]["name"] == "GET example.test/products/%3Cscript%3E?<b>=\x1b[31m"


# Several processes.


async def nodes(redis: RedisServer, number: int) -> list[Node]:
    return await Fleet(redis).nodes(number, rules=[PRODUCTS])


async def test_the_sum_is_that_of_every_process(redis: RedisServer) -> None:
    fleet = await nodes(redis, 3)
    for place, node in enumerate(fleet):
        for _ in range(place + 1):
            await node.get("/products/1")
    stats = [node.cache.stats() for node in fleet]
    asked = sum(one.hits + one.misses for one in stats)
    assert asked == 6

    async def adds_up() -> bool:
        total = await fleet[0].cache.watch.summary()
        counts = total["counts"]
        return total["processes"] == 3 and counts["hits"] + counts["misses"] == asked

    await eventually(adds_up, "the numbers of three processes")
    total = await fleet[1].cache.watch.summary()
    assert total["counts"]["hits"] == sum(one.hits for one in stats)
    assert total["shared"] is not None
    assert total["shared"]["breaker"] == "closed"
    assert total["rules"][0]["rule"] == "/products/{id}"


async def test_invalidations_of_every_process_are_in_the_sum(redis: RedisServer) -> None:
    one, other = await nodes(redis, 2)
    await one.cache.invalidate(tags=["first"])
    await other.cache.invalidate(tags=["second"], soft=True)

    async def both() -> bool:
        told = (await one.cache.watch.summary())["invalidations"]
        return {(record["target"], record["soft"]) for record in told} == {("tag first", False), ("tag second", True)}

    await eventually(both, "the invalidations of both processes")


async def test_what_another_process_stored_is_seen_in_the_shared_tier(redis: RedisServer) -> None:
    one, other = await nodes(redis, 2)
    await one.get("/products/1")
    await one.shares(1)
    await one.cache.set("name", b"value", ttl=60)
    (view,) = await other.cache.watch.entry(url=f"{HOST}/products/1", body=True)
    assert (view["tier"], view["tags"], view["kind"]) == ("shared", ["product:1", "products"], "response")
    assert base64.b64decode(view["body"] or "") == b"node 0, run 1"
    (value,) = await other.cache.watch.entry(key="name")
    assert (value["tier"], value["kind"]) == ("shared", "value")
    assert other.cache.stats().hits == 0


async def test_without_the_shared_tier_a_process_sees_itself(redis_server: RedisServer) -> None:
    one, _ = await nodes(redis_server, 2)
    await one.get("/products/1")
    redis_server.kill()
    await eventually(lambda: not one.seen.up, "down")
    total = await one.cache.watch.summary()
    assert (total["processes"], total["counts"]["misses"]) == (1, 1)
    assert total["shared"] is not None
    assert total["shared"]["breaker"] == "open"
    assert await one.cache.watch.entry(key="nothing") == []


async def test_who_only_looks_is_no_process(redis: RedisServer) -> None:
    fleet = Fleet(redis)
    (node,) = await fleet.nodes(1, rules=[PRODUCTS])
    looker = fleet.cache()
    looker.core.only_look()
    await Node(cache=looker, clock=fleet.clock).ready()
    process = node.cache.watch.report()["process"]
    told: set[str] = set()

    async def tells_thrice() -> bool:
        told.add(str(redis.command("HGET", f"{fleet.prefix}:{{reports}}:told", process)))
        return len(told) > 3

    await eventually(tells_thrice, "three reports of the process")
    assert redis.command("HKEYS", f"{fleet.prefix}:{{reports}}:told") == [process]
    assert [report["process"] for report in (await looker.watch.reports())[1:]] == [process]


SECRET = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"


async def test_with_encryption_reports_are_read_by_who_has_the_key(redis: RedisServer) -> None:
    fleet = Fleet(redis, encryption_keys=[SECRET])
    one, other = await fleet.nodes(2, rules=[PRODUCTS])
    await one.get("/products/1?name=alice")
    await one.cache.invalidate(tags=["alice"])

    async def told() -> bool:
        return (await other.cache.watch.summary())["counts"]["invalidations"] == 1

    await eventually(told, "the report of the other process")
    with redis.connect() as connection:
        stored = str(connection.command("HGETALL", f"{fleet.prefix}:{{reports}}:told"))
    assert "alice" not in stored
    assert "products" not in stored


FOREIGN = ["", "{}", "[]", "null", "\x00", "1" * 5000, json.dumps({"process": "x", "counts": 1})]


async def test_what_is_no_report_is_left_out(redis: RedisServer) -> None:
    fleet = Fleet(redis)
    one, other = await fleet.nodes(2, rules=[PRODUCTS])
    now = int(time.time() * 1000) + 3_600_000
    for place, text in enumerate(FOREIGN):
        redis.command("HSET", f"{fleet.prefix}:{{reports}}:told", f"stranger:{place}", f"{now}:{text}")

    async def both() -> bool:
        return (await one.cache.watch.summary())["processes"] == 2

    await eventually(both, "the other process, and no stranger")
    assert {report["process"] for report in await one.cache.watch.reports()} == {
        node.cache.watch.report()["process"] for node in (one, other)
    }


async def test_a_report_of_another_shape_is_none(cache: Cache) -> None:
    own = cache.watch.report()
    other: dict[str, Any] = {**own, "process": "elsewhere:1:0"}
    read: Any = readable(json.dumps(other).encode(), own)
    assert read == other
    for name, value in [
        ("counts", {"hits": "many"}),
        ("rules", [{}]),
        ("latency", {"hit": 1}),
        ("top", {}),
        ("at", "x"),
    ]:
        assert readable(json.dumps({**other, name: value}).encode(), own) is None, name
