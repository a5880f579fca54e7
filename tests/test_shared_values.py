"""Values under names, shared: what one process sets every other gets, and never what was there before."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from hotplate import Cache, ConfigError, Rule
from hotplate.errors import EncodeError
from tests.fleet import Fleet, Node
from tests.redis_servers import RedisServer
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio


@pytest.fixture(params=[True, False], ids=["local", "no-local"])
def fleet(redis: RedisServer, request: pytest.FixtureRequest) -> Fleet:
    return Fleet(redis, local=request.param)


async def caches(fleet: Fleet, number: int) -> list[Cache]:
    return [node.cache for node in await fleet.nodes(number)]


# Set and get.


async def test_what_one_process_sets_another_gets(fleet: Fleet) -> None:
    one, other = await caches(fleet, 2)
    assert await one.set("name", b"value", ttl=60) is True
    assert await other.get("name") == b"value"
    assert await one.get("name") == b"value"


async def test_what_is_asked_for_at_once_is_each_its_own(fleet: Fleet) -> None:
    one, other = await caches(fleet, 2)
    await asyncio.gather(*(one.set(f"name-{number}", b"%d" % number, ttl=60) for number in range(0, 200, 2)))
    for _ in range(2):  # the second time they come together from the start
        found = await asyncio.gather(*(other.get(f"name-{number}") for number in range(200)))
        assert found == [None if number % 2 else b"%d" % number for number in range(200)]


async def test_two_shared_caches_are_asked_at_once(redis: RedisServer) -> None:
    one, two = (Fleet(redis, local=False) for _ in range(2))
    (first,), (second,) = await caches(one, 1), await caches(two, 1)
    await asyncio.gather(first.set("name", b"first", ttl=60), second.set("name", b"second", ttl=60))
    for _ in range(2):
        found = await asyncio.gather(*(cache.get("name") for _ in range(50) for cache in (first, second)))
        assert found == [b"first", b"second"] * 50


async def test_what_nobody_has_set_is_none(fleet: Fleet) -> None:
    (one,) = await caches(fleet, 1)
    assert await one.get("name") is None


VALUES = [b"", b"\x00", b"\xff\xfe", b"None", b"x" * 2**20, bytes(range(256)) * 64]


@pytest.mark.parametrize("value", VALUES, ids=["empty", "zero", "no utf-8", "None", "1MiB", "all octets"])
async def test_any_octets_come_back_as_they_were(fleet: Fleet, value: bytes) -> None:
    one, other = await caches(fleet, 2)
    await one.set("name", value, ttl=60)
    for cache in (one, other, other):
        found = await cache.get("name")
        assert found == value
        assert type(found) is bytes


KEYS = ["", " ", "a b", "ключ", "🔑", "a\nb", "a\x00b", "{braces}", "*", "x" * 10_000, "a:b", "a::b"]


async def test_any_text_is_a_key_of_its_own(fleet: Fleet) -> None:
    one, other = await caches(fleet, 2)
    for number, key in enumerate(KEYS):
        await one.set(key, str(number).encode(), ttl=60)
    for number, key in enumerate(KEYS):
        assert await other.get(key) == str(number).encode(), key
    assert await other.get("a") is None
    assert await other.get("A:B") is None


async def test_no_key_stands_in_the_server_in_clear(fleet: Fleet) -> None:
    (one,) = await caches(fleet, 1)
    await one.set("user:alice:secret", b"", ttl=60, tags=["tag-of-alice"])
    await one.delete("session-of-alice")
    assert b"alice" not in b"\n".join(name.encode() for name in fleet.names())


async def test_a_value_and_a_response_never_meet(fleet: Fleet) -> None:
    one, other = await fleet.nodes(2)
    await one.cache.set("/", b"value", ttl=60)
    assert (await other.get("/")).body == b"node 1, run 1"
    await other.shares(1)
    assert await other.cache.get("/") == b"value"


async def test_a_value_that_was_found_is_kept_in_memory(redis: RedisServer) -> None:
    fleet = Fleet(redis)
    one, other = await caches(fleet, 2)
    await one.set("name", b"value", ttl=60)
    await other.get("name")
    async with fleet.asks(0):
        for cache in (one, other):
            assert await cache.get("name") == b"value"


async def test_without_memory_each_get_is_one_command(redis: RedisServer) -> None:
    fleet = Fleet(redis, local=False)
    one, other = await caches(fleet, 2)
    await one.set("name", b"value", ttl=60)
    async with fleet.asks(4):
        for cache in (one, other, one, other):
            assert await cache.get("name") == b"value"


async def test_many_gets_at_once_each_get_their_own_value(fleet: Fleet) -> None:
    one, other = await caches(fleet, 2)
    names = [f"name {number}" for number in range(200)]
    assert all(await asyncio.gather(*[one.set(name, name.encode(), ttl=60) for name in names]))
    assert await asyncio.gather(*[other.get(name) for name in names]) == [name.encode() for name in names]


# Set again, delete.


async def test_after_a_set_has_returned_nobody_without_memory_gets_the_value_before(redis: RedisServer) -> None:
    one, other = await caches(Fleet(redis, local=False), 2)
    for number in range(100):
        value = str(number).encode()
        await one.set("name", value, ttl=60)
        assert await other.get("name") == value
        one, other = other, one


async def test_the_process_that_sets_has_the_value_while_it_awaits(redis: RedisServer) -> None:
    one, _ = await caches(Fleet(redis), 2)
    await one.set("name", b"old", ttl=60)
    setting = asyncio.ensure_future(one.set("name", b"new", ttl=60))
    await asyncio.sleep(0)
    assert await one.get("name") == b"new"
    await setting


async def test_other_processes_drop_their_copy_when_a_value_is_set(redis: RedisServer) -> None:
    """Within milliseconds; and once the new one was seen, never the old one again, and never nothing."""
    one, other = await caches(Fleet(redis), 2)
    old = b"0"
    await one.set("name", old, ttl=60)
    assert await other.get("name") == old
    for number in range(1, 30):
        new = str(number).encode()
        await one.set("name", new, ttl=60)
        seen = await seen_until(other, new)
        assert set(seen[:-1]) <= {old}, seen
        assert await other.get("name") == new
        old = new


async def seen_until(cache: Cache, new: bytes | None) -> list[bytes | None]:
    """What a process gets, up to the first ``new``."""
    seen = [await cache.get("name")]
    deadline = asyncio.get_running_loop().time() + 5
    while seen[-1] != new:
        assert asyncio.get_running_loop().time() < deadline, seen[-10:]
        await asyncio.sleep(0)
        seen.append(await cache.get("name"))
    return seen


async def test_a_process_that_has_read_the_log_has_no_older_copy(fleet: Fleet) -> None:
    one, other = await fleet.nodes(2)
    await one.cache.set("name", b"old", ttl=60)
    assert await other.cache.get("name") == b"old"
    await one.cache.set("name", b"new", ttl=60)
    await other.reads_to(2)
    assert await other.cache.get("name") == b"new"


async def test_a_deleted_value_is_gone_for_all(fleet: Fleet) -> None:
    one, other = await fleet.nodes(2)
    await one.cache.set("name", b"value", ttl=60)
    assert await other.cache.get("name") == b"value"
    assert await other.cache.delete("name") is True
    assert await other.cache.get("name") is None
    await one.reads_to(2)
    assert await one.cache.get("name") is None
    await eventually(lambda: not fleet.names(":v"), "removed from the server")


async def test_without_memory_a_deleted_value_is_gone_at_once(redis: RedisServer) -> None:
    one, other = await caches(Fleet(redis, local=False), 2)
    for number in range(50):
        await one.set("name", str(number).encode(), ttl=60)
        await other.delete("name")
        assert await one.get("name") is None


async def test_what_is_set_after_a_deletion_is_there(fleet: Fleet) -> None:
    one, other = await fleet.nodes(2)
    for number in range(50):
        value = str(number).encode()
        await one.cache.delete("name")
        await one.cache.set("name", value, ttl=60)
        await other.reads_to(2 * number + 2)
        assert await other.cache.get("name") == value


async def test_deleting_what_is_not_there_is_no_error(fleet: Fleet) -> None:
    (one,) = await caches(fleet, 1)
    assert await one.delete("name") is True


async def test_of_two_sets_at_once_one_wins_for_all(fleet: Fleet) -> None:
    one, other = await fleet.nodes(2)
    third = await fleet.node()
    for number in range(50):
        values = [f"{place} of turn {number}".encode() for place in range(2)]
        told = await asyncio.gather(
            *[node.cache.set("name", value, ttl=60) for node, value in zip((one, other), values, strict=True)]
        )
        assert told == [True, True]
        assert await agreed(fleet, [one, other, third]) in values, (
            "set, and told that it is shared, and yet nobody has it"
        )


async def test_of_a_set_and_a_deletion_at_once_one_wins_for_all(fleet: Fleet) -> None:
    one, other = await fleet.nodes(2)
    third = await fleet.node()
    for number in range(50):
        value = str(number).encode()
        await asyncio.gather(one.cache.set("name", value, ttl=60), other.cache.delete("name"))
        assert await agreed(fleet, [one, other, third]) in (value, None)


async def test_of_two_sets_at_once_in_one_process_the_later_wins_for_all(fleet: Fleet) -> None:
    one, other = await fleet.nodes(2)
    for number in range(50):
        values = [f"{place} of turn {number}".encode() for place in range(3)]
        assert all(await asyncio.gather(*[one.cache.set("name", value, ttl=60) for value in values]))
        assert await agreed(fleet, [one, other]) == values[-1]


async def test_a_reader_never_goes_back_to_an_older_value(fleet: Fleet) -> None:
    one, other = await fleet.nodes(2)
    stopped = False

    async def read(node: Node) -> int:
        last = 0
        while not stopped:
            value = await node.cache.get("name")
            assert value is None or int(value) >= last
            last = last if value is None else int(value)
            await asyncio.sleep(0)
        return last

    readers = [asyncio.create_task(read(node)) for node in (one, other, other)]
    for number in range(200):
        await one.cache.set("name", str(number).encode(), ttl=60)
    stopped = True
    await asyncio.gather(*readers)
    assert await agreed(fleet, [one, other]) == b"199"


async def agreed(fleet: Fleet, nodes: list[Node]) -> Any:
    """The value all have once all have read the whole log."""
    for node in nodes:
        await node.reads_to(fleet.position)
    values = {await node.cache.get("name") for node in nodes}
    assert len(values) == 1, values
    return values.pop()


# Lifetimes.


@pytest.mark.parametrize("ttl", [60, 60.0, "60s", "1m", timedelta(minutes=1)])
async def test_a_value_expires_in_every_process(fleet: Fleet, ttl: Any) -> None:
    one, other = await caches(fleet, 2)
    await one.set("name", b"value", ttl=ttl)
    fleet.clock.advance(59.9)
    assert [await cache.get("name") for cache in (one, other)] == [b"value", b"value"]
    fleet.clock.advance(0.1)
    assert [await cache.get("name") for cache in (one, other)] == [None, None]


async def test_the_server_keeps_a_value_no_longer_than_its_lifetime(fleet: Fleet) -> None:
    (one,) = await caches(fleet, 1)
    await one.set("name", b"value", ttl=60)
    (name,) = fleet.names(":v")
    left = fleet.redis.command("PTTL", name)
    assert isinstance(left, int)
    assert 0 < left <= 60_000


async def test_the_server_lets_go_of_a_value_when_its_time_is_over(fleet: Fleet) -> None:
    (one,) = await caches(fleet, 1)
    await one.set("name", b"value", ttl="50ms")
    await eventually(lambda: not fleet.names(":v"), "the server forgets it")


async def test_setting_again_begins_a_new_lifetime(fleet: Fleet) -> None:
    one, other = await fleet.nodes(2)
    await one.cache.set("name", b"old", ttl=3600)
    await other.cache.set("name", b"new", ttl=60)
    for node in (one, other):
        await node.reads_to(2)
    fleet.clock.advance(60)
    assert [await node.cache.get("name") for node in (one, other)] == [None, None]


# Tags.


async def test_a_tag_invalidates_values_in_every_process(fleet: Fleet) -> None:
    one, other = await fleet.nodes(2)
    await one.cache.set("red", b"1", ttl=60, tags=["color", "warm"])
    await one.cache.set("blue", b"2", ttl=60, tags=["color", "cold"])
    for node in (one, other):
        assert [await node.cache.get(name) for name in ("red", "blue")] == [b"1", b"2"]
    position = await other.cache.invalidate(tags=["warm"])
    for node in (one, other):
        await node.reads_to(position)
        assert [await node.cache.get(name) for name in ("red", "blue")] == [None, b"2"]


async def test_a_tag_is_the_same_for_values_and_responses(fleet: Fleet) -> None:
    one, other = await fleet.nodes(2, rules=[Rule("*", tags=["all"])])
    await one.get("/")
    await one.shares(1)
    await one.cache.set("name", b"value", ttl=60, tags=["all"])
    await other.reads_to(await one.cache.invalidate(tags=["all"]))
    assert await other.cache.get("name") is None
    assert not (await other.get("/")).hit


@pytest.mark.parametrize("way", [{"paths": ["/name"]}, {"prefixes": ["/name"]}], ids=["path", "prefix"])
async def test_paths_do_not_reach_values(fleet: Fleet, way: dict[str, list[str]]) -> None:
    one, other = await fleet.nodes(2)
    await one.cache.set("/name", b"value", ttl=60)
    await other.reads_to(await one.cache.invalidate(**way))  # type: ignore[arg-type]
    assert await other.cache.get("/name") == b"value"


async def test_what_is_set_after_an_invalidation_of_its_tag_is_there(fleet: Fleet) -> None:
    one, other = await fleet.nodes(2)
    for number in range(20):
        value = str(number).encode()
        await one.cache.invalidate(tags=["tag"])
        await one.cache.set("name", value, ttl=60, tags=["tag"])
        await other.reads_to(2 * number + 2)
        assert await other.cache.get("name") == value


async def test_a_soft_invalidation_hides_a_value(fleet: Fleet) -> None:
    """Nobody refreshes a value but who sets it: stale, it is none."""
    one, other = await fleet.nodes(2)
    await one.cache.set("name", b"value", ttl=60, tags=["tag"])
    position = await one.cache.invalidate(tags=["tag"], soft=True)
    for node in (one, other):
        await node.reads_to(position)
        assert await node.cache.get("name") is None


# What cannot be meant.


@pytest.mark.parametrize("ttl", [None, 0, -1, "never", True], ids=repr)
@pytest.mark.parametrize("url", ["memory", "redis"])
async def test_a_lifetime_that_cannot_be_meant_is_refused(redis: RedisServer, url: str, ttl: Any) -> None:
    cache = Cache() if url == "memory" else Fleet(redis).cache()
    with pytest.raises(ConfigError, match="ttl"):
        await cache.set("name", b"value", ttl=ttl)


@pytest.mark.parametrize("value", [object(), [object()], {"a": len}], ids=["object", "list", "dict"])
async def test_a_value_that_would_not_come_back_is_refused(fleet: Fleet, value: Any) -> None:
    (one,) = await caches(fleet, 1)
    with pytest.raises(EncodeError, match=r"\$"):
        await one.set("name", value, ttl=60)
    assert await one.get("name") is None


@pytest.mark.parametrize("kind", [bytearray, memoryview])
async def test_octets_in_another_object_are_taken_as_they_are_now_or_refused(fleet: Fleet, kind: type) -> None:
    """What the caller changes later does not change what is stored."""
    one, other = await caches(fleet, 2)
    octets = bytearray(b"value")
    try:
        await one.set("name", octets if kind is bytearray else memoryview(octets), ttl=60)
    except TypeError:
        return
    octets[0] = 0
    assert [await cache.get("name") for cache in (one, other)] == [b"value", b"value"]


async def test_one_text_as_tags_is_refused(fleet: Fleet) -> None:
    (one,) = await caches(fleet, 1)
    with pytest.raises(ConfigError, match=r"write tags=\['x'\]"):
        await one.set("name", b"value", ttl=60, tags="x")


@pytest.mark.parametrize("key", [None, 1, b"name"], ids=repr)
async def test_a_key_that_is_no_text_is_refused(fleet: Fleet, key: Any) -> None:
    (one,) = await caches(fleet, 1)
    for asking in (one.get(key), one.delete(key), one.set(key, b"value", ttl=60)):
        with pytest.raises(TypeError):
            await asking


async def test_a_lone_surrogate_as_a_key_is_refused_clearly(fleet: Fleet) -> None:
    (one,) = await caches(fleet, 1)
    with pytest.raises((UnicodeEncodeError, ConfigError)):
        await one.get("\ud800")


async def test_a_cache_in_memory_has_values_too() -> None:
    cache = Cache()
    assert await cache.set("name", b"", ttl=60) is True
    assert await cache.get("name") == b""
    assert await cache.delete("name") is True
    assert await cache.get("name") is None
    assert cache.shared_stats() is None
