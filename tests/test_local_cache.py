"""`LocalCache`: a mapping that forgets, safe for threads, tasks and keys that are programs."""

import asyncio
import copy
import gc
import pickle
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any, NamedTuple

import pytest

from hotplate import ConfigError, LocalCache
from hotplate.objects import LocalCacheInfo
from hotplate.testing import ManualClock

Cache = LocalCache[Any, Any]


def run_in_threads(number: int, work: Callable[[int], object]) -> list[object]:
    """What `work` gives in each thread, or raises there; all of them begin together."""
    barrier = threading.Barrier(number)
    results: list[object] = [None] * number

    def begin(thread: int) -> None:
        barrier.wait(30)
        try:
            results[thread] = work(thread)
        except Exception as error:
            results[thread] = error

    threads = [threading.Thread(target=begin, args=(thread,)) for thread in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    return results


@pytest.fixture
def _switching() -> Iterator[None]:
    """Threads take turns as often as they can."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


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


# --- Keys and values that are programs -------------------------------------------------------------------------------


class Key:
    """Its hash and its `__eq__` are the test's."""

    def __init__(self, name: str, number: int = 1, eq: Callable[[], object] = lambda: None) -> None:
        self.name, self.number, self.eq = name, number, eq

    def __hash__(self) -> int:
        return self.number

    def __eq__(self, other: object) -> bool:
        self.eq()
        return isinstance(other, Key) and self.name == other.name


def test_of_two_keys_with_one_hash_the_last_is_there() -> None:
    cache: Cache = LocalCache()
    cache[Key("a")] = 1
    cache[Key("b")] = 2
    assert (cache.get(Key("a")), cache.get(Key("b")), len(cache)) == (None, 2, 1)
    assert Key("a") not in cache
    assert cache.pop(Key("a"), None) is None
    assert cache.setdefault(Key("c"), 3) == 3
    assert cache.get(Key("b")) is None
    info = cache.info()
    assert (info.hits, info.misses) == (1, 2)


def test_an_eq_that_raises_reaches_the_caller_and_breaks_nothing() -> None:
    def fail() -> None:
        raise LookupError("no")

    cache: Cache = LocalCache()
    key = Key("a", eq=fail)
    cache[key] = 1
    uses: list[Callable[[], object]] = [
        lambda: cache.get(Key("a")),
        lambda: Key("a") in cache,
        lambda: cache.pop(Key("a")),
        lambda: cache.setdefault(Key("a"), 2),
        lambda: cache.get_or_set(Key("a"), int),
    ]
    for use in uses:
        with pytest.raises(LookupError):
            use()
    assert cache[key] == 1  # the very object is not compared
    cache.clear()


def test_an_eq_may_use_the_cache() -> None:
    cache: Cache = LocalCache(2)
    seen: list[object] = []

    def use() -> None:
        seen.append(cache.info().size)
        cache["other"] = 1
        cache.pop("other")
        cache.get("other")
        cache.clear()

    for ask in (
        cache.get,
        lambda key: key in cache,
        lambda key: cache.pop(key, 0),
        lambda key: cache.setdefault(key, 1),
    ):
        cache[Key("a", eq=use)] = 1
        ask(Key("a"))
    assert len(seen) >= 4


def test_a_hash_may_use_the_cache_and_may_raise() -> None:
    cache: Cache = LocalCache()

    class Hashed:
        def __hash__(self) -> int:
            cache["inside"] = 1
            cache.clear()
            raise LookupError("no")

    for use in (cache.get, lambda key: cache.set(key, 1), lambda key: key in cache, lambda key: cache.get((1, key))):
        with pytest.raises(LookupError):
            use(Hashed())


def test_a_value_may_use_the_cache_when_it_goes() -> None:
    cache: Cache = LocalCache(2)
    gone: list[str] = []

    class Value:
        def __init__(self, name: str) -> None:
            self.name = name

        def __del__(self) -> None:
            gone.append(self.name)
            cache.get("anything")
            cache.info()
            cache.pop("anything", None)

    cache["a"] = Value("replaced")
    cache["a"] = Value("popped")
    cache.pop("a")
    cache["a"] = Value("deleted")
    del cache["a"]
    for number in range(3):
        cache[number] = Value("evicted or cleared")
    cache.clear()
    assert sorted(set(gone)) == ["deleted", "evicted or cleared", "popped", "replaced"]
    assert gone.count("evicted or cleared") == 3


def test_a_value_that_has_ended_may_use_the_cache_when_it_goes(clock: ManualClock) -> None:
    cache: Cache = LocalCache(clock=clock)
    sizes: list[int] = []

    class Value:
        def __del__(self) -> None:
            sizes.append(cache.info().size)

    cache.set("a", Value(), ttl=1)
    clock.advance(1)
    assert cache.get("a") is None
    assert sizes == [0]


def test_a_key_may_use_the_cache_when_it_goes() -> None:
    cache: Cache = LocalCache(1)
    sizes: list[int] = []

    class Going(Key):
        def __del__(self) -> None:
            sizes.append(cache.info().size)

        __hash__ = Key.__hash__

    cache[Going("a")] = 1
    cache["b"] = 2
    assert sizes == [1]


def test_a_weigh_may_use_the_cache_and_may_raise() -> None:
    cache: Cache = LocalCache(None, max_bytes=100, weigh=lambda value: cache.info().size + len(value))
    cache["a"] = "text"
    with pytest.raises(TypeError):
        cache["b"] = 5
    assert cache.get_or_set("c", lambda: "text") == "text"
    with pytest.raises(TypeError):
        cache.get_or_set("d", lambda: 5)
    assert cache.get_or_set("d", lambda: "after") == "after"


# --- Garbage, weak references, pickling ------------------------------------------------------------------------------


def test_a_cache_that_holds_itself_is_collected() -> None:
    cache: Cache = LocalCache()
    cache["self"] = [cache]
    gone = weakref.ref(cache)
    del cache
    gc.collect()
    assert gone() is None


def test_a_cache_in_its_own_key_or_weigh_is_collected() -> None:
    class Holder:
        cache: Cache

    holder = Holder()
    holder.cache = LocalCache(None, max_bytes=100, weigh=lambda _, holder=holder: 1)  # type: ignore[misc]
    holder.cache[holder] = 1
    gone = weakref.ref(holder.cache)
    del holder
    gc.collect()
    assert gone() is None


def test_values_that_only_a_cache_holds_are_not_collected() -> None:
    cache: Cache = LocalCache()
    cache["a"] = [1, 2, 3]
    gc.collect()
    assert cache["a"] == [1, 2, 3]


def test_a_cache_is_not_pickled_or_copied() -> None:
    cache: Cache = LocalCache()
    for refused in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="a LocalCache cannot be pickled or copied"):
            refused(cache)


def test_a_cache_shows_what_it_may_hold() -> None:
    assert repr(LocalCache(5, max_bytes=7, weigh=len)) == "<hotplate.LocalCache: 0 of at most 5 entries and 7 bytes>"
    alias: Any = LocalCache[str, int]
    assert alias.__origin__ is LocalCache


def test_a_cache_whose_load_never_ended_is_collected() -> None:
    loop = asyncio.new_event_loop()
    cache: Cache = LocalCache()
    task = loop.create_task(cache.aget_or_set("key", asyncio.Event().wait))
    for _ in range(3):
        loop.run_until_complete(asyncio.sleep(0))
    for left in asyncio.all_tasks(loop):
        left._log_destroy_pending = False  # type: ignore[attr-defined]
    loop.close()
    gone = weakref.ref(cache)
    del cache, task, left, loop
    gc.collect()
    assert gone() is None


# --- Threads ---------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("_switching")
def test_eight_threads_at_once_find_only_what_belongs_to_a_key() -> None:
    cache: LocalCache[Any, Any] = LocalCache(50, ttl=60)

    def work(thread: int) -> int:
        wrong = 0
        for step in range(1500):
            number = (step * 7 + thread) % 80
            key: Any = number if number % 3 else f"key {number}"
            match step % 8:
                case 0 | 1:
                    cache[key] = number
                case 2:
                    cache.pop(key, None)
                case 3:
                    wrong += cache.setdefault(key, number) != number
                case 4:
                    wrong += cache.get_or_set(key, lambda number=number: number) != number  # type: ignore[misc]
                case 5 if step % 200 == 5:
                    cache.clear()
                case _:
                    wrong += cache.get(key, number) != number
            wrong += len(cache) > 50
        return wrong

    assert run_in_threads(8, work) == [0] * 8


@pytest.mark.usefixtures("_switching")
def test_setdefault_gives_all_threads_one_value() -> None:
    for _ in range(20):
        cache: Cache = LocalCache()
        assert len(set(run_in_threads(8, lambda thread, cache=cache: cache.setdefault(Key("a"), thread)))) == 1  # type: ignore[misc]


def test_fifty_threads_that_ask_for_one_key_run_one_load() -> None:
    cache: Cache = LocalCache()
    begun, go_on = threading.Event(), threading.Event()
    runs: list[int] = []

    def load() -> str:
        runs.append(1)
        begun.set()
        assert go_on.wait(30)
        return "value"

    def work(thread: int) -> object:
        if thread == 0:
            assert begun.wait(30)
            go_on.set()
        return cache.get_or_set("key", load)

    assert run_in_threads(50, work) == ["value"] * 50
    assert len(runs) == 1
    assert cache.info().misses == 1


def hold(cache: Cache, key: object, outcome: Callable[[], Any]) -> tuple[threading.Thread, threading.Event, list[Any]]:
    """A thread that loads `key` until the event is set."""
    begun, go_on = threading.Event(), threading.Event()
    got: list[Any] = []

    def load() -> Any:
        begun.set()
        assert go_on.wait(30)
        return outcome()

    def ask() -> None:
        try:
            got.append(cache.get_or_set(key, load))
        except BaseException as error:
            got.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    assert begun.wait(30)
    return thread, go_on, got


def test_an_exception_reaches_each_waiting_thread_and_nothing_is_stored() -> None:
    cache: Cache = LocalCache()
    barrier = threading.Barrier(2)

    def fail() -> None:
        raise LookupError("no")

    thread, go_on, got = hold(cache, "key", fail)

    def wait(number: int) -> object:
        if number == 1:
            barrier.wait(30)
            go_on.set()
            return None
        barrier.wait(30)
        try:
            return cache.get_or_set("key", fail)
        except LookupError as error:
            return error

    waited = run_in_threads(2, wait)[0]
    thread.join(30)
    assert isinstance(waited, LookupError)
    assert isinstance(got[0], LookupError)
    assert "key" not in cache
    assert cache.get_or_set("key", lambda: 5) == 5


def test_the_end_of_a_thread_is_not_told_to_the_others() -> None:
    cache: Cache = LocalCache()

    def leave() -> None:
        raise SystemExit

    thread, go_on, got = hold(cache, "key", leave)
    threading.Timer(0.01, go_on.set).start()
    assert cache.get_or_set("key", lambda: "loaded here") == "loaded here"
    thread.join(30)
    assert isinstance(got[0], SystemExit)


@pytest.mark.parametrize("write", ["set", "delete", "clear"])
def test_what_is_written_during_a_load_is_not_overwritten_by_it(write: str) -> None:
    cache: Cache = LocalCache()
    thread, go_on, got = hold(cache, "key", lambda: "old")
    match write:
        case "set":
            cache["key"] = "new"
        case "delete":
            cache.pop("key", None)
        case _:
            cache.clear()
    go_on.set()
    thread.join(30)
    assert got == ["old"]
    assert cache.get("key") == ("new" if write == "set" else None)


def test_a_load_may_load_other_keys_and_the_same_one_again() -> None:
    cache: LocalCache[int, int] = LocalCache()

    def number(n: int) -> int:
        return (
            n
            if n < 2
            else cache.get_or_set(n - 1, lambda: number(n - 1)) + cache.get_or_set(n - 2, lambda: number(n - 2))
        )

    assert number(60) == 1548008755920
    assert cache.get_or_set(-5, lambda: cache.get_or_set(-5, lambda: 7) + 1) in (7, 8)


def test_loads_that_wait_for_each_other_in_two_threads_come_to_an_end() -> None:
    cache: Cache = LocalCache()
    both = threading.Barrier(2)

    def work(thread: int) -> object:
        own, others = ("a", "b") if thread == 0 else ("b", "a")

        def load() -> str:
            both.wait(30)
            return f"{own}{cache.get_or_set(others, lambda: others.upper())}"

        return cache.get_or_set(own, load)

    first, second = run_in_threads(2, work)
    assert {first, second} <= {"aB", "bA", "abA", "baB"}


def test_a_colliding_key_is_loaded_beside_another_ones_load() -> None:
    cache: Cache = LocalCache()
    thread, go_on, got = hold(cache, Key("a"), lambda: "value of a")
    assert cache.get_or_set(Key("b"), lambda: "value of b") == "value of b"
    go_on.set()
    thread.join(30)
    assert got == ["value of a"]


# --- Tasks -----------------------------------------------------------------------------------------------------------


@pytest.mark.asyncio
async def test_five_hundred_tasks_that_ask_for_one_key_run_one_load() -> None:
    cache: Cache = LocalCache()
    runs: list[int] = []

    async def load() -> str:
        runs.append(1)
        await asyncio.sleep(0)
        return "value"

    assert await asyncio.gather(*(cache.aget_or_set("key", load) for _ in range(500))) == ["value"] * 500
    assert len(runs) == 1
    assert await cache.aget_or_set("key", load) == "value"
    assert cache.info() == (500, 1, 0, 1, 0)


@pytest.mark.asyncio
async def test_a_cancelled_first_task_does_not_cancel_the_load() -> None:
    cache: Cache = LocalCache()
    go_on = asyncio.Event()

    async def load() -> str:
        await go_on.wait()
        return "value"

    first, second = (asyncio.create_task(cache.aget_or_set("key", load)) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    go_on.set()
    assert await second == "value"
    assert first.cancelled()
    assert cache["key"] == "value"


@pytest.mark.asyncio
async def test_a_load_that_nobody_waits_for_any_more_is_still_stored() -> None:
    cache: Cache = LocalCache()
    go_on, stored = asyncio.Event(), asyncio.Event()

    async def load() -> str:
        await go_on.wait()
        asyncio.get_running_loop().call_soon(stored.set)
        return "value"

    task = asyncio.create_task(cache.aget_or_set("key", load))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    go_on.set()
    await stored.wait()
    assert cache["key"] == "value"


@pytest.mark.asyncio
async def test_an_exception_reaches_each_waiting_task_and_nothing_is_stored() -> None:
    cache: Cache = LocalCache()

    async def fail() -> None:
        await asyncio.sleep(0)
        raise LookupError("no")

    results = await asyncio.gather(*(cache.aget_or_set("key", fail) for _ in range(10)), return_exceptions=True)
    assert [type(result) for result in results] == [LookupError] * 10
    assert "key" not in cache


@pytest.mark.asyncio
async def test_what_is_written_during_an_awaited_load_is_not_overwritten_by_it() -> None:
    cache: Cache = LocalCache()
    go_on = asyncio.Event()

    async def load() -> str:
        await go_on.wait()
        return "old"

    task = asyncio.create_task(cache.aget_or_set("key", load))
    await asyncio.sleep(0)
    cache["key"] = "new"
    go_on.set()
    assert await task == "old"
    assert cache["key"] == "new"


@pytest.mark.asyncio
async def test_an_awaited_load_may_have_a_lifetime(clock: ManualClock) -> None:
    cache: Cache = LocalCache(clock=clock)
    assert await cache.aget_or_set("key", lambda: asyncio.sleep(0, 5), ttl="1s") == 5
    clock.advance(1)
    assert "key" not in cache


@pytest.mark.asyncio
async def test_awaited_loads_that_wait_for_each_other_come_to_an_end() -> None:
    cache: Cache = LocalCache()
    both: list[str] = []
    begun = asyncio.Event()

    async def load(own: str, others: str) -> str:
        both.append(own)
        if len(both) == 2:
            begun.set()
        await begun.wait()
        inner: str = await cache.aget_or_set(others, lambda: asyncio.sleep(0, others.upper()))
        return own + inner

    found = await asyncio.wait_for(
        asyncio.gather(
            cache.aget_or_set("a", lambda: load("a", "b")),
            cache.aget_or_set("b", lambda: load("b", "a")),
        ),
        30,
    )
    assert set(found) <= {"aB", "bA", "abA", "baB"}


def test_a_load_whose_event_loop_was_closed_holds_nobody_up() -> None:
    cache: Cache = LocalCache()
    loop = asyncio.new_event_loop()
    task = loop.create_task(cache.aget_or_set("key", asyncio.Event().wait))
    loop.run_until_complete(asyncio.sleep(0))
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()
    assert asyncio.run(cache.aget_or_set("key", lambda: asyncio.sleep(0, "value"))) == "value"
    assert cache["key"] == "value"
    for left in (task, *asyncio.all_tasks(loop)):
        left._log_destroy_pending = False  # type: ignore[attr-defined]


def test_size_and_lifetime_may_be_given_by_position_as_to_a_ttl_cache_of_cachetools() -> None:
    clock = ManualClock()
    cache: LocalCache[str, int] = LocalCache(2, 300, clock=clock)
    cache["a"] = 1
    clock.advance(299)
    assert cache["a"] == 1
    clock.advance(2)
    assert "a" not in cache
