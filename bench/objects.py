"""A hit in process: what a call costs, relative to `functools.lru_cache` and `dict`: `make bench-objects`.

Contenders take turns in short rounds, so that what else the machine does meets all of them; each figure is the median
of its rounds, and each ratio is to the reference of the same turn. One key of 1,000 stored ones is asked for. What the
loop takes is in every figure. Peers are measured in the cheapest form their documentation shows.
`make bench-objects BENCH='--rounds 101'` takes longer and is steadier; `--only LocalCache` looks at some.
"""

import argparse
import asyncio
import functools
import importlib
import os
import platform
import statistics
import threading
import time
import timeit
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from typing import Any

from hotplate import LocalCache, memoize

STORED = 1_000
CAPACITY = 2_000
TTL = 300
KEYS = [f"product:{number}" for number in range(STORED)]
KEY = KEYS[STORED // 2]
THREADS = 4

LOOP = asyncio.new_event_loop()
"""One for all rounds: async-lru forgets everything in another one."""

Round = Callable[[int], float]
"""Runs that many calls; gives the seconds they took."""


def peer(name: str) -> Any:
    """A package of requirements/bench.txt: it is in .venv-bench only, where no types are checked."""
    return importlib.import_module(name)


def plain(key: str) -> str:
    """What is memoized."""
    return key


async def plain_async(key: str) -> str:
    """What is memoized, awaited."""
    return key


# --- How a round is run ----------------------------------------------------------------------------------------------


def timed(statement: str, **names: object) -> Round:
    """A statement, with `k` as the key."""
    timer = timeit.Timer(statement, globals={"k": KEY, **names})
    return timer.timeit


def awaited(function: Callable[[Any], Awaitable[object]], key: object = KEY) -> Round:
    """`await function(key)`, in a running loop."""

    async def calls(number: int) -> float:
        begin = time.perf_counter()
        for _ in range(number):
            await function(key)
        return time.perf_counter() - begin

    return lambda number: LOOP.run_until_complete(calls(number))


def by_threads(store: Callable[[str, str], object]) -> Round:
    """Stores by several threads at once; seconds a call, as if one thread had made them all."""

    def work(keys: list[str], number: int) -> None:
        for _ in range(number // len(keys)):
            for key in keys:
                store(key, key)

    def calls(number: int) -> float:
        share = STORED // THREADS
        parts = [KEYS[part * share : (part + 1) * share] for part in range(THREADS)]
        threads = [threading.Thread(target=work, args=(part, number // THREADS)) for part in parts]
        begin = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return time.perf_counter() - begin

    return calls


# --- Contenders ------------------------------------------------------------------------------------------------------


def decorators() -> dict[str, Round]:
    """A hit of a memoized function."""
    made = {
        "functools.lru_cache": functools.lru_cache(CAPACITY)(plain),
        "a plain function": plain,
        "hotplate.memoize, ttl": memoize(CAPACITY, ttl=TTL)(plain),
        "hotplate.memoize": memoize(CAPACITY)(plain),
        "cachebox, ttl": peer("cachebox").cached(peer("cachebox").TTLCache(CAPACITY, TTL), postprocess=None, lock=None)(
            plain
        ),
        "moka-py, ttl": peer("moka_py").cached(maxsize=CAPACITY, ttl=TTL)(plain),
        "cachetools, ttl": peer("cachetools").cached(peer("cachetools").TTLCache(CAPACITY, TTL))(plain),
        "cachetools, ttl, lock": peer("cachetools").cached(
            peer("cachetools").TTLCache(CAPACITY, TTL), lock=threading.Lock()
        )(plain),
        "theine, ttl": theine(plain),
    }
    for function in made.values():
        for key in KEYS:
            function(key)
    return {name: timed("f(k)", f=function) for name, function in made.items()}


def async_decorators() -> dict[str, Round]:
    """An awaited hit of a memoized coroutine function."""
    made = {
        "a plain coroutine": plain_async,
        "hotplate.memoize, ttl": memoize(CAPACITY, ttl=TTL)(plain_async),
        "cachebox, ttl": peer("cachebox").cached(peer("cachebox").TTLCache(CAPACITY, TTL), postprocess=None, lock=None)(
            plain_async
        ),
        "moka-py, ttl": peer("moka_py").cached(maxsize=CAPACITY, ttl=TTL)(plain_async),
        "async-lru, ttl": peer("async_lru").alru_cache(maxsize=CAPACITY, ttl=TTL)(plain_async),
        "theine, ttl": theine(plain_async),
    }
    return {name: awaited(function) for name, function in made.items()}


def theine(function: Callable[..., Any]) -> Any:
    """Theine's decorator, with the key made by a function as its documentation advises."""
    decorated = peer("theine").Memoize(CAPACITY, peer("datetime").timedelta(seconds=TTL))(function)
    decorated.key(lambda key: key)
    return decorated


def caches() -> dict[str, Any]:
    """What stores objects."""
    return {
        "dict": {},
        "LocalCache, ttl": LocalCache(CAPACITY, ttl=TTL),
        "LocalCache": LocalCache(CAPACITY),
        "cachebox, ttl": peer("cachebox").TTLCache(CAPACITY, TTL),
        "moka-py, ttl": peer("moka_py").Moka(CAPACITY, ttl=TTL),
        "cachetools, ttl": peer("cachetools").TTLCache(CAPACITY, TTL),
        "theine, ttl": peer("theine").Cache(CAPACITY),
    }


def setter(cache: Any) -> Callable[[str, str], object]:
    """How a value is stored, by the cheapest way there is."""
    if "theine" in type(cache).__module__:
        return lambda key, value: cache.set(key, value, peer("datetime").timedelta(seconds=TTL))
    name = next(name for name in ("set", "insert", "__setitem__") if hasattr(cache, name))
    found: Callable[[str, str], object] = getattr(cache, name)
    return found


def gets() -> dict[str, Round]:
    """`cache.get(key)`."""
    made = caches()
    for cache in made.values():
        for key in KEYS:
            setter(cache)(key, key)
    return {name: timed("c.get(k)", c=cache) for name, cache in made.items()}


def sets() -> dict[str, Round]:
    """One thread stores again and again under one key."""
    return {name: timed("s(k, k)", s=setter(cache)) for name, cache in caches().items()}


def sets_by_threads() -> dict[str, Round]:
    """Four threads store under keys of their own."""
    rounds = {name: by_threads(setter(cache)) for name, cache in caches().items()}
    cachetools, lock = peer("cachetools").TTLCache(CAPACITY, TTL), threading.Lock()

    def locked(key: str, value: str) -> None:
        with lock:
            cachetools[key] = value

    return rounds | {"cachetools, ttl": by_threads(locked)}


TABLES = {
    "a hit of a decorated function": (decorators, 20_000),
    "an awaited hit of a decorated coroutine function": (async_decorators, 10_000),
    "get of an object": (gets, 20_000),
    "set of an object, one thread": (sets, 20_000),
    f"set of an object, {THREADS} threads": (sets_by_threads, 20_000),
}

# --- The bench -------------------------------------------------------------------------------------------------------


def measure(contenders: dict[str, Round], rounds: int, calls: int) -> dict[str, list[float]]:
    """Nanoseconds a call, one figure for each turn."""
    found: dict[str, list[float]] = {name: [] for name in contenders}
    for contender in contenders.values():
        contender(calls)  # warm
    for _ in range(rounds):
        for name, contender in contenders.items():
            found[name].append(contender(calls) / calls * 1e9)
    return found


def report(title: str, found: dict[str, list[float]]) -> None:
    """Print a table: medians, the fastest round, and ratios to the first contender with their middle half."""
    reference = next(iter(found.values()))
    print(f"\n{title:<50} {'median':>8} {'fastest':>8}   ratio (middle half)")
    for name, figures in found.items():
        ratios = [one / other for one, other in zip(figures, reference, strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        median = statistics.median(figures)
        print(f"  {name:<48} {median:>5,.0f} ns {min(figures):>5,.0f} ns   {middle:.2f} ({low:.2f} to {high:.2f})")


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(prog="make bench-objects", description=__doc__)
    arguments.add_argument("--rounds", type=int, default=31, help="turns of each contender (default 31)")
    arguments.add_argument("--only", help="contenders whose name has this text, and the reference")
    chosen = arguments.parse_args()
    packages = ("cachebox", "moka-py", "cachetools", "theine", "async-lru")
    print(f"{platform.platform()}, {os.cpu_count()} cores; Python {platform.python_version()}")
    print(", ".join(f"{name} {version(name)}" for name in packages), end="; ")
    print(f"{chosen.rounds} rounds; load average before: {os.getloadavg()[0]:.2f}")
    for title, (make, calls) in TABLES.items():
        contenders = make()
        if chosen.only:
            first = next(iter(contenders))
            contenders = {name: one for name, one in contenders.items() if name == first or chosen.only in name}
        report(title, measure(contenders, chosen.rounds, calls))


if __name__ == "__main__":
    main()
