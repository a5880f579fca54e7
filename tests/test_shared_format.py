"""What stands in the server: unreadable without the key, and worth nothing when it is not what was written there."""

import asyncio
import base64
import os
from collections.abc import Callable
from typing import Any

import pytest

from hotplate import Cache, ConfigError
from tests.driver import Header, Reply
from tests.fleet import Fleet, Node, total
from tests.redis_servers import RedisServer
from tests.waiting import eventually

pytestmark = pytest.mark.asyncio

KEY = base64.b64encode(bytes(range(32))).decode()
OTHER_KEY = "ab" * 32
BODY = b"the body that nobody may read " * 20
HEADERS: list[Header] = [
    ("x-header", "the header that nobody may read"),
    ("vary", "x-field-that-nobody-may-read"),
    ("cache-groups", '"group-that-nobody-may-read"'),
]
MAGIC, KIND, FLAGS, STAMP, PAYLOAD = 0, 4, 5, 8, 40


@pytest.fixture
def fleet(redis: RedisServer) -> Fleet:
    return Fleet(redis, local=False)


def encrypted(redis: RedisServer, *keys: str, prefix: str | None = None) -> Fleet:
    fleet = Fleet(redis, local=False, encryption_keys=list(keys))
    fleet.prefix = prefix or fleet.prefix
    return fleet


def clear(redis: RedisServer, prefix: str) -> Fleet:
    fleet = Fleet(redis, local=False)
    fleet.prefix = prefix
    return fleet


async def stored(fleet: Fleet, target: str = "/", answer: Reply | bytes = b"stored") -> tuple[Node, str]:
    """A process that has stored one response, and the name it has in the server."""
    before = set(fleet.names(":v"))
    node = await fleet.node(answer)
    await node.get(target)
    await node.shares(1)
    await eventually(lambda: not fleet.names(":l"), "the load is over")
    (name,) = set(fleet.names(":v")) - before
    return node, name


# Damage. Each: octets in, octets out.


def flipped(place: int, bit: int = 0) -> Callable[[bytes], bytes]:
    def flip(value: bytes) -> bytes:
        at = place % len(value)
        return value[:at] + bytes([value[at] ^ 1 << bit]) + value[at + 1 :]

    return flip


def cut(length: int) -> Callable[[bytes], bytes]:
    return lambda value: value[:length]


def replaced(other: bytes) -> Callable[[bytes], bytes]:
    return lambda value: other


DAMAGE: list[tuple[str, Callable[[bytes], bytes], str]] = [
    ("magic", flipped(MAGIC), "version"),
    ("next version", lambda value: b"HPS2" + value[4:], "version"),
    ("kind", flipped(KIND), "checksum"),
    ("flags", flipped(FLAGS, 5), "version"),
    ("reserved", flipped(6), "version"),
    ("epoch up", flipped(STAMP + 7, 6), "checksum"),
    ("epoch", flipped(STAMP), "checksum"),
    ("position up", flipped(STAMP + 15, 6), "checksum"),
    ("time up", flipped(STAMP + 23, 6), "checksum"),
    ("time", flipped(STAMP + 16), "checksum"),
    ("checksum", flipped(32), "checksum"),
    ("payload", flipped(PAYLOAD), "checksum"),
    ("middle", flipped(60), "checksum"),
    ("last", flipped(-1), "checksum"),
    ("one more", lambda value: value + b"\0", "checksum"),
    ("one less", lambda value: value[:-1], "checksum"),
    ("payload gone", cut(PAYLOAD), "checksum"),
    ("header cut", cut(PAYLOAD - 1), "length"),
    ("stamp cut", cut(20), "length"),
    ("magic alone", cut(4), "length"),
    ("three octets", cut(3), "version"),
    ("nothing", cut(0), "version"),
    ("text", replaced(b"hello"), "version"),
    ("pickle", replaced(b"\x80\x04\x95" + b"x" * 100), "version"),
    ("zeros", replaced(b"\0" * 4096), "version"),
    ("random", replaced(os.urandom(4096)), "version"),
]
CLEAR_WORDS = {"checksum": {"checksum"}, "version": {"version", "length"}, "length": {"length"}}
"""Under which words damage is counted, by what it damages."""
ENCRYPTED_WORDS = {**CLEAR_WORDS, "checksum": {"forged", "unknown-key", "length"}}


@pytest.mark.parametrize(("damage", "word"), [case[1:] for case in DAMAGE], ids=[case[0] for case in DAMAGE])
@pytest.mark.parametrize("keys", [[], [KEY]], ids=["clear", "encrypted"])
async def test_a_damaged_response_is_a_miss_that_is_counted_and_then_repaired(
    redis: RedisServer, keys: list[str], damage: Callable[[bytes], bytes], word: str
) -> None:
    fleet = encrypted(redis, *keys) if keys else Fleet(redis, local=False)
    _, name = await stored(fleet)
    fleet.write(name, damage(fleet.read(name)))
    reader = await fleet.node(b"loaded anew")
    assert (await reader.get("/")).body == b"loaded anew"
    unreadable = reader.seen.unreadable
    assert unreadable
    assert set(unreadable) <= (ENCRYPTED_WORDS if keys else CLEAR_WORDS)[word], unreadable
    await eventually(lambda: not fleet.names(":l"), "the load is over")
    late = await fleet.node(b"loaded a third time")
    response = await late.get("/")
    assert (response.body, response.hit, late.seen.unreadable) == (b"loaded anew", True, {})


@pytest.mark.parametrize(("damage", "word"), [case[1:] for case in DAMAGE], ids=[case[0] for case in DAMAGE])
async def test_a_damaged_value_is_none_and_set_again(fleet: Fleet, damage: Callable[[bytes], bytes], word: str) -> None:
    one, other = await fleet.nodes(2)
    await one.cache.set("name", b"value", ttl=60)
    (name,) = fleet.names(":v")
    fleet.write(name, damage(fleet.read(name)))
    assert await other.cache.get("name") is None
    assert set(other.seen.unreadable) <= CLEAR_WORDS[word], other.seen.unreadable
    await one.cache.set("name", b"again", ttl=60)
    assert await other.cache.get("name") == b"again"


async def test_every_flipped_bit_is_noticed(redis: RedisServer) -> None:
    """Each octet of a small value, clear and encrypted."""
    for fleet in (Fleet(redis, local=False), encrypted(redis, KEY)):
        (one,) = await fleet.nodes(1)
        await one.cache.set("name", b"value", ttl=60)
        (name,) = fleet.names(":v")
        whole = fleet.read(name)
        with fleet.redis.connect() as connection:
            for place in range(len(whole)):
                for bit in (0, 3, 7):
                    damaged = flipped(place, bit)(whole)
                    before = one.seen.unreadable
                    # Its removal may be on its way still when the next is written.
                    while one.seen.unreadable == before:
                        connection.command("SET", name, damaged, "PX", 60_000)
                        assert await one.cache.get("name") is None, f"bit {bit} of octet {place}"
        await one.cache.set("name", b"again", ttl=60)
        assert await one.cache.get("name") == b"again"


async def test_what_repairs_a_damaged_value_is_not_taken_for_it(fleet: Fleet) -> None:
    """One process finds the damage while another stores what is right."""
    one, other = await fleet.nodes(2)
    await one.cache.set("name", b"0", ttl=60)
    (name,) = fleet.names(":v")
    for number in range(1, 100):
        fleet.write(name, flipped(-1)(fleet.read(name)))
        value = str(number).encode()
        setting = asyncio.create_task(one.cache.set("name", value, ttl=60))
        while not setting.done():
            await other.cache.get("name")
        assert await setting is True
        for _ in range(3):
            assert await other.cache.get("name") == value


TYPES: list[tuple[str, ...]] = [
    ("HSET", "{}", "field", "value"),
    ("RPUSH", "{}", "item"),
    ("SADD", "{}", "member"),
    ("ZADD", "{}", "1", "member"),
    ("XADD", "{}", "*", "field", "value"),
]


@pytest.mark.parametrize("command", TYPES, ids=[command[0] for command in TYPES])
async def test_another_type_under_a_name_is_a_miss_and_then_repaired(fleet: Fleet, command: tuple[str, ...]) -> None:
    _, name = await stored(fleet)
    fleet.redis.command("DEL", name)
    fleet.redis.command(*[part.format(name) for part in command])
    fleet.redis.command("EXPIRE", name, 60)
    reader = await fleet.node(b"loaded anew")
    assert (await reader.get("/")).body == b"loaded anew"
    await eventually(lambda: reader.seen.stored + sum(reader.seen.faults.values()) > 0, "written, or refused")
    late = await fleet.node(b"loaded a third time")
    assert (await late.get("/")).body == b"loaded anew"


@pytest.mark.parametrize("command", TYPES, ids=[command[0] for command in TYPES])
async def test_another_type_under_the_name_of_a_value_is_none_and_then_set(
    fleet: Fleet, command: tuple[str, ...]
) -> None:
    one, other = await fleet.nodes(2)
    await one.cache.set("name", b"value", ttl=60)
    (name,) = fleet.names(":v")
    fleet.redis.command("DEL", name)
    fleet.redis.command(*[part.format(name) for part in command])
    assert await other.cache.get("name") is None
    assert await one.cache.set("name", b"again", ttl=60) is True
    assert await other.cache.get("name") == b"again"


@pytest.mark.parametrize("keys", [[], [KEY]], ids=["clear", "encrypted"])
async def test_two_responses_that_were_exchanged_are_both_misses(redis: RedisServer, keys: list[str]) -> None:
    fleet = encrypted(redis, *keys) if keys else Fleet(redis, local=False)
    _, first = await stored(fleet, "/public", b"public")
    _, second = await stored(fleet, "/secret", b"secret")
    public, secret = fleet.read(first), fleet.read(second)
    fleet.write(first, secret)
    fleet.write(second, public)
    reader = await fleet.node(b"anew")
    assert (await reader.get("/public")).body == b"anew"
    assert (await reader.get("/secret")).body == b"anew"
    assert reader.seen.unreadable == {"forged" if keys else "checksum": 2}


@pytest.mark.parametrize("keys", [[], [KEY]], ids=["clear", "encrypted"])
async def test_a_value_under_the_name_of_a_response_is_a_miss(redis: RedisServer, keys: list[str]) -> None:
    fleet = encrypted(redis, *keys) if keys else Fleet(redis, local=False)
    _, response = await stored(fleet)
    (one,) = await fleet.nodes(1)
    await one.cache.set("name", b"value", ttl=60)
    (value,) = set(fleet.names(":v")) - {response}
    fleet.write(response, fleet.read(value))
    reader = await fleet.node(b"anew")
    assert (await reader.get("/")).body == b"anew"


async def test_a_response_of_another_cache_is_a_miss(redis: RedisServer) -> None:
    """Of the same key even: it was stamped by another log."""
    fleet, foreign = Fleet(redis, local=False), Fleet(redis, local=False)
    _, name = await stored(fleet, answer=b"own")
    _, foreign_name = await stored(foreign, answer=b"foreign")
    fleet.write(name, foreign.read(foreign_name))
    reader = await fleet.node(b"anew")
    assert (await reader.get("/")).body == b"anew"


async def test_an_older_response_that_is_put_back_stays_invalid(redis: RedisServer) -> None:
    fleet = encrypted(redis, KEY)
    node, name = await stored(fleet, answer=b"old")
    old = fleet.read(name)
    await node.cache.invalidate(paths=["/"])
    fleet.redis.command("SET", name, old, "EX", 60)
    reader = await fleet.node(b"new")
    assert (await reader.get("/")).body == b"new"
    assert reader.seen.outdated == 1


# Encryption.


async def test_without_keys_the_body_stands_there(redis: RedisServer) -> None:
    """That the tests of what does not stand there look in the right place."""
    fleet = Fleet(redis)
    await stored(fleet, answer=Reply(BODY, headers=HEADERS[:1]))
    assert BODY in fleet.dump()
    assert b"the header that nobody may read" in fleet.dump()


async def test_with_keys_nothing_can_be_read(redis: RedisServer) -> None:
    fleet = encrypted(redis, KEY)
    one, other = await fleet.nodes(2, Reply(BODY, headers=HEADERS))
    await one.get("/path-that-nobody-may-read")
    await one.shares(1)
    await one.cache.set("name", BODY, ttl=60, tags=["tag-that-nobody-may-read"])
    dump = fleet.dump()
    assert len(fleet.names(":v")) == 3, "a variant, the record of what selects, and a value"
    assert b"nobody" not in dump
    assert b"read" not in dump
    assert KEY.encode() not in dump
    assert bytes(range(32)) not in dump
    found = await other.get("/path-that-nobody-may-read")
    assert (found.body, found["x-header"], found.hit) == (BODY, "the header that nobody may read", True)
    assert await other.cache.get("name") == BODY


async def test_the_same_response_is_never_the_same_octets_twice(redis: RedisServer) -> None:
    fleet = encrypted(redis, KEY)
    node, name = await stored(fleet)
    first = fleet.read(name)
    await node.cache.invalidate(paths=["/"])
    await node.get("/")
    await node.shares(2)
    assert fleet.read(name)[PAYLOAD:] != first[PAYLOAD:]


@pytest.mark.parametrize(
    "text",
    [
        base64.b64encode(bytes(range(32))).decode(),
        base64.urlsafe_b64encode(bytes(range(32))).decode().rstrip("="),
        bytes(range(32)).hex(),
        bytes(range(32)).hex().upper() + "\n",
    ],
    ids=["base64", "urlsafe", "hex", "HEX"],
)
async def test_a_key_may_be_written_in_any_of_its_forms(redis: RedisServer, text: str) -> None:
    fleet = encrypted(redis, KEY)
    await stored(fleet)
    reader = await encrypted(redis, text, prefix=fleet.prefix).node()
    assert (await reader.get("/")).body == b"stored"


async def test_keys_are_rotated_without_a_miss(redis: RedisServer) -> None:
    old = encrypted(redis, KEY)
    await stored(old)
    both = encrypted(redis, OTHER_KEY, KEY, prefix=old.prefix)
    reader = await both.node(b"new")
    assert (await reader.get("/")).body == b"stored"
    await reader.get("/new")
    await reader.shares(1)
    only_new = await encrypted(redis, OTHER_KEY, prefix=old.prefix).node(b"by the new key alone")
    assert (await only_new.get("/new")).body == b"new"
    assert (await only_new.get("/")).body == b"by the new key alone"
    assert only_new.seen.unreadable == {"unknown-key": 1}


async def test_before_the_new_key_writes_every_process_can_be_given_it(redis: RedisServer) -> None:
    """A new key in the second place reads and does not write: nobody is left out while it is rolled out."""
    old = encrypted(redis, KEY)
    prepared = encrypted(redis, KEY, OTHER_KEY, prefix=old.prefix)
    await stored(prepared)
    reader = await old.node(b"anew")
    assert (await reader.get("/")).body == b"stored"


async def test_what_an_unknown_key_wrote_is_replaced(redis: RedisServer) -> None:
    fleet = encrypted(redis, KEY)
    await stored(fleet)
    reader = await encrypted(redis, OTHER_KEY, prefix=fleet.prefix).node(b"anew")
    assert (await reader.get("/")).body == b"anew"
    assert reader.seen.unreadable == {"unknown-key": 1}
    await reader.shares(1)
    assert (await reader.get("/")).hit


async def test_a_clear_response_is_refused_by_a_cache_with_keys(redis: RedisServer) -> None:
    fleet = Fleet(redis, local=False)
    await stored(fleet)
    reader = await encrypted(redis, KEY, prefix=fleet.prefix).node(b"anew")
    assert (await reader.get("/")).body == b"anew"
    assert reader.seen.unreadable == {"clear": 1}
    await reader.shares(1)
    assert (await reader.get("/")).hit


async def test_a_clear_value_is_refused_by_a_cache_with_keys(redis: RedisServer) -> None:
    fleet = Fleet(redis, local=False)
    (one,) = await fleet.nodes(1)
    await one.cache.set("name", b"forged", ttl=60)
    reader = await encrypted(redis, KEY, prefix=fleet.prefix).node()
    assert await reader.cache.get("name") is None
    assert reader.seen.unreadable == {"clear": 1}


async def test_a_clear_record_of_what_selects_is_refused_by_a_cache_with_keys(redis: RedisServer) -> None:
    fleet = Fleet(redis, local=False)
    reply = Reply(b"clear", headers=[("vary", "x-color")])
    node = await fleet.node(reply)
    await node.get("/")
    await node.shares(1)
    await eventually(lambda: len(fleet.names(":v")) == 2, "the record too")
    reader = await encrypted(redis, KEY, prefix=fleet.prefix).node(b"anew")
    assert (await reader.get("/")).body == b"anew"
    assert reader.seen.unreadable == {"clear": 1}


async def test_an_encrypted_response_is_a_miss_for_a_cache_without_keys(redis: RedisServer) -> None:
    fleet = encrypted(redis, KEY)
    await stored(fleet)
    reader = await clear(redis, fleet.prefix).node(b"anew")
    assert (await reader.get("/")).body == b"anew"
    assert reader.seen.unreadable == {"unknown-key": 1}


@pytest.mark.parametrize("keys", [["short"], ["z" * 64], ["A" * 43 + "!"], [KEY, "short"], [""]])
async def test_a_key_that_is_none_is_refused_and_not_printed(redis: RedisServer, keys: list[str]) -> None:
    with pytest.raises(ConfigError, match="encryption_keys") as refused:
        Cache(redis.url, encryption_keys=keys)
    assert not any(key and key in str(refused.value) for key in keys)


@pytest.mark.parametrize(
    "keys", [KEY, KEY.encode(), [KEY.encode()], {KEY: 1}, [KEY, None], [[KEY]], 1], ids=lambda keys: type(keys).__name__
)
async def test_keys_in_another_form_are_refused_and_not_printed(redis: RedisServer, keys: Any) -> None:
    with pytest.raises((ConfigError, TypeError), match="encryption_keys") as refused:
        Cache(redis.url, encryption_keys=keys)
    assert KEY not in str(refused.value)


# Compression.

TEXT = b"<p>the same again</p>\n" * 5000


def compressing(redis: RedisServer, *keys: str) -> Fleet:
    return Fleet(redis, local=False, compress_above="1KiB", encryption_keys=list(keys) or None)


@pytest.mark.parametrize("keys", [[], [KEY]], ids=["clear", "encrypted"])
async def test_a_large_text_takes_less_room_and_comes_back_the_same(redis: RedisServer, keys: list[str]) -> None:
    fleet = compressing(redis, *keys)
    one, name = await stored(fleet, answer=Reply(TEXT, headers=[("content-type", "text/html")]))
    assert len(fleet.read(name)) < len(TEXT) / 10
    own = await one.hit("/")
    reader = await fleet.node()
    found = await reader.get("/")
    assert (found.body, found.headers, reader.runs) == (TEXT, own.headers, 0)
    part = await reader.get("/", headers=[("range", "bytes=22-43")])
    assert (part.status, part.body) == (206, TEXT[22:44])


async def test_a_large_value_takes_less_room_and_comes_back_the_same(redis: RedisServer) -> None:
    fleet = compressing(redis)
    one, other = await fleet.nodes(2)
    await one.cache.set("name", TEXT, ttl=60)
    (name,) = fleet.names(":v")
    assert len(fleet.read(name)) < len(TEXT) / 10
    assert await other.cache.get("name") == TEXT


async def test_what_is_small_is_not_compressed(redis: RedisServer) -> None:
    fleet = compressing(redis)
    _, name = await stored(fleet, answer=TEXT[:500])
    assert TEXT[:500] in fleet.read(name)


async def test_what_does_not_shrink_is_not_compressed(redis: RedisServer) -> None:
    fleet = compressing(redis)
    octets = os.urandom(100_000)
    _, name = await stored(fleet, answer=octets)
    assert octets in fleet.read(name)
    assert (await (await fleet.node()).get("/")).body == octets


async def test_who_does_not_compress_reads_what_was_compressed(redis: RedisServer) -> None:
    fleet = compressing(redis)
    await stored(fleet, answer=TEXT)
    reader = await clear(redis, fleet.prefix).node()
    assert (await reader.get("/")).body == TEXT


async def test_without_the_setting_nothing_is_compressed(fleet: Fleet) -> None:
    _, name = await stored(fleet, answer=TEXT)
    assert TEXT in fleet.read(name)


@pytest.mark.parametrize("place", [PAYLOAD, PAYLOAD + 7, PAYLOAD + 8, PAYLOAD + 20, -1])
async def test_a_damaged_compressed_response_is_a_miss(redis: RedisServer, place: int) -> None:
    fleet = compressing(redis)
    _, name = await stored(fleet, answer=TEXT)
    fleet.write(name, flipped(place)(fleet.read(name)))
    reader = await fleet.node(b"anew")
    assert (await reader.get("/")).body == b"anew"
    assert sum(reader.seen.unreadable.values()) > 0


@pytest.mark.parametrize("size", ["many", -1, "1 parsec", 1.5])
async def test_a_size_that_cannot_be_meant_is_refused(redis: RedisServer, size: str | int) -> None:
    with pytest.raises(ConfigError, match="compress_above"):
        Cache(redis.url, compress_above=size)


async def test_everything_together_is_one_load_for_all(redis: RedisServer) -> None:
    fleet = compressing(redis, KEY)
    nodes = await fleet.nodes(3, TEXT)
    await nodes[0].get("/")
    await nodes[0].shares(1)
    for node in nodes:
        assert (await node.get("/")).body == TEXT
    assert total(nodes) == 1
