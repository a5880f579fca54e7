"""A `LocalCache` that threads share: one load for each key, and what is written meanwhile counts."""

import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from hotplate import LocalCache
from tests.threads import run_in_threads
from tests.watched import Key

Cache = LocalCache[Any, Any]


@pytest.fixture
def _switching() -> Iterator[None]:
    """Threads take turns as often as they can."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


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
