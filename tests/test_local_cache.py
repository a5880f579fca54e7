"""`LocalCache`: a mapping that forgets, for want of room or when an entry has ended."""

import copy
import pickle
from collections.abc import Callable
from datetime import timedelta
from typing import Any, NamedTuple

import pytest

from hotplate import ConfigError, LocalCache
from hotplate.objects import LocalCacheInfo
from hotplate.testing import ManualClock

Cache = LocalCache[Any, Any]


# --- A mapping -------------------------------------------------------------------------------------------------------


def test_it_is_used_like_a_dict() -> None:
    cache: LocalCache[str, int] = LocalCache()
    cache["a"] = 1
    cache.set("b", 2)
    cache.update({"c": 3}, d=4)
    cache.update([("e", 5)])
    assert cache["a"] == cache.get("a") == 1
    assert sorted(cache) == sorted(cache.keys()) == ["a", "b", "c", "d", "e"]
    assert sorted(cache.values()) == [1, 2, 3, 4, 5]
    assert dict(cache.items()) == {"a": 1, "b": 2, "c": 3, "d": 4, "e": 5}
    del cache["a"]
    assert "a" not in cache
    assert len(cache) == 4
    assert cache.pop("b") == 2
    assert cache.setdefault("b", 7) == cache.setdefault("b", 8) == 7
    cache.clear()
    assert len(cache) == 0
    assert cache.get("b", 9) == 9


def test_what_is_not_there_raises_the_key() -> None:
    cache: Cache = LocalCache()
    with pytest.raises(KeyError) as caught:
        cache[("a", 1)]
    assert caught.value.args == (("a", 1),)
    with pytest.raises(KeyError):
        del cache["a"]
    with pytest.raises(KeyError):
        cache.pop("a")
    assert cache.pop("a", None) is None


@pytest.mark.parametrize("value", [None, 0, "", (), False, []])
def test_none_and_falsy_values_are_values(value: object) -> None:
    cache: Cache = LocalCache()
    cache["key"] = value
    assert cache.get("key", "default") is value
    assert "key" in cache
    assert cache.get_or_set("key", lambda: "loaded") is value
    assert cache.setdefault("key", "default") is value
    assert cache.pop("key", "default") is value


class Point(NamedTuple):
    x: int
    y: int


@pytest.mark.parametrize(
    ("stored", "asked"),
    [
        (1, 1.0),
        (1, True),
        (-1, -1.0),
        (-1, complex(-1)),
        ((-1, (1, "a")), (-1.0, (True, "a"))),
        (Point(-1, 2), (-1, 2)),
        ("".join(["a", "b"]), "ab"),
        (frozenset({1}), frozenset({1.0})),
        (2**70, float(2**70)),
    ],
)
def test_keys_are_the_same_as_in_a_dict(stored: object, asked: object) -> None:
    assert {stored: 1}[asked] == 1
    cache: Cache = LocalCache()
    cache[stored] = "value"
    assert cache[asked] == "value"
    cache[asked] = "other"
    assert len(cache) == 1


def test_a_nan_is_found_by_identity() -> None:
    nan = float("nan")
    cache: Cache = LocalCache()
    cache[nan] = 1
    assert cache[nan] == 1
    assert float("nan") not in cache


@pytest.mark.parametrize("wrap", [lambda key: key, lambda key: (key, 0), lambda key: ("a", (key, "b"))])
def test_minus_one_and_minus_two_are_beside_each_other_although_they_hash_alike(wrap: Callable[[int], Any]) -> None:
    assert hash(-1) == hash(-2)
    cache: Cache = LocalCache()
    for key in (-1, -2):
        cache[wrap(key)] = key
    assert [cache.get(wrap(key)) for key in (-1, -2)] == [-1, -2]


def test_an_unhashable_key_raises_as_in_a_dict() -> None:
    cache: Cache = LocalCache()
    uses: list[Callable[[Any], object]] = [
        lambda key: cache[key],
        lambda key: cache.get(key),
        lambda key: cache.set(key, 1),
        lambda key: key in cache,
        lambda key: cache.pop(key, None),
        lambda key: cache.get_or_set(key, int),
    ]
    keys: list[Any] = [[], ([],)]
    for use in uses:
        for key in keys:
            with pytest.raises(TypeError, match="unhashable type: 'list'"):
                use(key)


def test_lists_of_entries_are_snapshots() -> None:
    cache: LocalCache[int, int] = LocalCache()
    cache.update({1: 1, 2: 2})
    for key in cache:
        del cache[key]
    assert len(cache) == 0


def test_a_cache_is_not_pickled_or_copied() -> None:
    cache: Cache = LocalCache()
    for refused in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="a LocalCache cannot be pickled or copied"):
            refused(cache)


# --- Bounds ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("most", [1, 2, 10, 1000])
def test_there_is_room_for_maxsize_entries_and_for_no_more(most: int) -> None:
    cache: LocalCache[int, int] = LocalCache(most)
    for number in range(most):
        cache[number] = number
    assert sorted(cache) == list(range(most))
    for number in range(most, 4 * most):
        cache[number] = number
        assert len(cache) == most
    assert cache.info().evictions == 3 * most


def test_what_is_asked_for_often_outlives_a_scan() -> None:
    cache: LocalCache[int, int] = LocalCache(100)
    for number in range(100):
        cache[number] = number
    for _ in range(3):
        for number in range(50):
            cache.get(number)
    for number in range(1000, 3000):
        cache[number] = number
    assert sum(number in cache for number in range(50)) >= 45


def test_max_bytes_bounds_what_weigh_says() -> None:
    cache: LocalCache[int, bytes] = LocalCache(None, max_bytes=1000, weigh=len)
    for number in range(100):
        cache[number] = bytes(100)
        assert cache.info().bytes <= 1000
    assert len(cache) == 10
    cache.set(1000, bytes(1001))
    assert 1000 not in cache
    cache[7] = bytes(100)
    cache[7] = bytes(2000)  # too large, and what it replaces is outdated
    assert 7 not in cache


def test_both_bounds_hold_together() -> None:
    cache: LocalCache[int, bytes] = LocalCache(5, max_bytes="1kB", weigh=len)
    for number in range(50):
        cache[number] = bytes(number * 20)
        assert len(cache) <= 5
        assert cache.info().bytes <= 1000


@pytest.mark.parametrize(("given", "error"), [(-1, ValueError), ("5", TypeError), (2**70, ValueError)])
def test_a_weight_that_is_none_raises(given: object, error: type[Exception]) -> None:
    cache: Cache = LocalCache(None, max_bytes=100, weigh=lambda _: given)  # type: ignore[arg-type,return-value]
    with pytest.raises(error, match="weigh="):
        cache["key"] = 1
    assert "key" not in cache


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"maxsize": 0}, "maxsize=0"),
        ({"maxsize": -5}, "maxsize=-5"),
        ({"maxsize": True}, "maxsize=True"),
        ({"maxsize": "many"}, "maxsize='many'"),
        ({"maxsize": None}, "maxsize=None cannot be used: without max_bytes="),
        ({"max_bytes": 100}, "weigh=len"),
        ({"max_bytes": "much", "weigh": len}, "max_bytes='much'"),
        ({"weigh": 5}, "weigh=5"),
        ({"ttl": 0}, "ttl=0"),
        ({"ttl": "5 parsecs"}, 'ttl="5 parsecs"'),
    ],
)
def test_a_setting_that_cannot_be_meant_is_refused(settings: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        LocalCache(**settings)
    assert text in str(caught.value)


# --- Time ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ttl", [30, 30.0, "30s", timedelta(seconds=30)])
def test_an_entry_is_there_until_its_end(ttl: Any, clock: ManualClock) -> None:
    cache: Cache = LocalCache(ttl=ttl, clock=clock)
    cache["key"] = 1
    clock.advance(29.9)
    assert cache["key"] == 1
    clock.advance(0.1)
    assert cache.info().size == 1
    assert "key" not in cache
    assert (len(cache), cache.keys(), cache.values(), cache.items(), list(cache)) == (0, [], [], [], [])
    assert cache.get("key") is None
    assert cache.info().size == 0
    with pytest.raises(KeyError):
        del cache["key"]


def test_an_entry_may_have_a_lifetime_of_its_own(clock: ManualClock) -> None:
    cache: Cache = LocalCache(ttl=30, clock=clock)
    cache.set("short", 1, ttl="1s")
    cache.set("long", 1, ttl="1h")
    cache.set("usual", 1, None)
    cache.get_or_set("loaded", int, ttl="1h")
    clock.advance(1)
    assert sorted(cache) == ["loaded", "long", "usual"]
    clock.advance(29)
    assert sorted(cache) == ["loaded", "long"]


def test_what_has_ended_can_be_set_again(clock: ManualClock) -> None:
    cache: Cache = LocalCache(ttl=30, clock=clock)
    cache["key"] = 1
    clock.advance(30)
    assert cache.setdefault("key", 2) == 2
    clock.advance(30)
    assert cache.get_or_set("key", lambda: 3) == 3


def test_size_and_lifetime_may_be_given_by_position_as_to_a_ttl_cache_of_cachetools() -> None:
    clock = ManualClock()
    cache: LocalCache[str, int] = LocalCache(2, 300, clock=clock)
    cache["a"] = 1
    clock.advance(299)
    assert cache["a"] == 1
    clock.advance(2)
    assert "a" not in cache


# --- Numbers ---------------------------------------------------------------------------------------------------------


def test_the_numbers_count_what_happened() -> None:
    cache: LocalCache[str, bytes] = LocalCache(2, max_bytes=100, weigh=len)
    cache["a"] = b"12345"
    cache.get("a")
    cache.get("b")
    cache.get_or_set("b", lambda: b"123")
    cache.get_or_set("b", lambda: b"")
    cache["c"] = b""
    assert "zzz" not in cache
    assert cache.info() == LocalCacheInfo(hits=2, misses=2, evictions=1, size=2, bytes=cache.info().bytes)
    cache.clear()
    assert cache.info()._replace(bytes=-1) == (2, 2, 1, 0, -1)


def test_a_cache_shows_what_it_may_hold() -> None:
    assert repr(LocalCache(5, max_bytes=7, weigh=len)) == "<hotplate.LocalCache: 0 of at most 5 entries and 7 bytes>"
    alias: Any = LocalCache[str, int]
    assert alias.__origin__ is LocalCache
