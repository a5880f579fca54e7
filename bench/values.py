"""A hit of `@cache.cached` in process, relative to a plain call and to other caches' decorators: `make bench-values`.

As in `bench/objects.py`, contenders take turns in short rounds and each ratio is to the plain call of the same turn.
Each function takes an integer and returns a dictionary; one of 1,000 stored results is asked for, and a run of the
function in a round ends the bench. Peers have their store in memory. The loop is asyncio's own: cashews, and aiocache
with the timeout that it has unasked, go through it for every hit. What a caller gets is the object that is stored; of
fastapi-cache2 it is a new one made from JSON.
`make bench-values BENCH='--rounds 101'` takes longer and is steadier; `--only hotplate` looks at some.
"""

import argparse
import functools
import os
import platform
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from bench.objects import LOOP, Round, awaited, measure, peer, report, timed
from hotplate import Cache, memoize
from tests.redis_servers import RedisServer

STORED = 1_000
CAPACITY = 2_000
TTL = 600
NUMBER = STORED // 2
TEMPLATE = "product:{product_id}"
TAGS = ["products", "product:{product_id}"]
PACKAGES = ("cashews", "aiocache", "fastapi-cache2", "cachetools")

Decorate = Callable[[Any], Any]


@dataclass
class Runs:
    """How often a function has run."""

    number: int = 0


def a_function(decorate: Decorate, runs: Runs) -> Any:
    """What is cached."""

    @decorate
    def product(product_id: int) -> dict[str, Any]:
        runs.number += 1
        return {"id": product_id, "name": "a product"}

    return product


def a_coroutine_function(decorate: Decorate, runs: Runs) -> Any:
    """What is cached, awaited."""

    @decorate
    async def product(product_id: int) -> dict[str, Any]:
        runs.number += 1
        return {"id": product_id, "name": "a product"}

    return product


def plain(product_id: int) -> int:
    """A call without a cache."""
    return product_id


async def plain_async(product_id: int) -> int:
    """The same, awaited."""
    return product_id


# --- Contenders ------------------------------------------------------------------------------------------------------


def of_hotplate(shared: Cache) -> dict[str, Decorate]:
    """The forms of the decorator; each with tags, and counted."""
    memory = Cache()
    return {
        "hotplate, key template": memory.cached(TTL, key=TEMPLATE, tags=TAGS),
        "hotplate, key from the arguments": memory.cached(TTL, tags=TAGS),
        "hotplate, key template, refresh_ahead": memory.cached(
            TTL, key="ahead:{product_id}", tags=TAGS, refresh_ahead=0.8
        ),
        "hotplate on Redis, key template": shared.cached(TTL, key=TEMPLATE, tags=TAGS),
        "hotplate.memoize": memoize(CAPACITY, ttl=TTL),
    }


def decorators(shared: Cache) -> dict[str, Decorate]:
    """For functions."""
    cachetools = peer("cachetools")
    return of_hotplate(shared) | {
        "functools.lru_cache, no ttl": functools.lru_cache(CAPACITY),
        "cachetools, lock": cachetools.cached(cachetools.TTLCache(CAPACITY, TTL), lock=threading.Lock()),
    }


def by_number(function: object, product_id: int) -> str:
    """A key for aiocache."""
    return f"product:{product_id}"


def async_decorators(shared: Cache) -> dict[str, Decorate]:
    """For coroutine functions."""
    cashews = peer("cashews").Cache()
    cashews.setup(f"mem://?size={CAPACITY}")
    peer("fastapi_cache").FastAPICache.init(peer("fastapi_cache.backends.inmemory").InMemoryBackend())
    return of_hotplate(shared) | {
        "cashews, key template": cashews(ttl=TTL, key=TEMPLATE),
        "aiocache, no timeout": peer("aiocache").cached(ttl=TTL, key_builder=by_number, timeout=None),
        "aiocache": peer("aiocache").cached(ttl=TTL, key_builder=by_number),
        "fastapi-cache2": peer("fastapi_cache.decorator").cache(expire=TTL),
    }


@contextmanager
def shared_cache() -> Iterator[Cache]:
    """A cache on a server of its own, which has been reached."""
    with RedisServer() as server:
        cache = Cache(server.url, prefix="values", command_timeout="5s")
        while not cache.sync.set("reached", True, ttl=TTL):
            pass
        yield cache


# --- The bench -------------------------------------------------------------------------------------------------------


def checked(call: Round, runs: Runs, name: str) -> Round:
    """The round, in which nothing was loaded."""

    def calls(number: int) -> float:
        seconds = call(number)
        if runs.number != STORED:
            raise ValueError(f"{name}: not every call was a hit: the function ran {runs.number} times, not {STORED}")
        return seconds

    return calls


def functions(shared: Cache) -> dict[str, Round]:
    """A hit of a cached function."""
    rounds: dict[str, Round] = {"a plain function": timed("f(k)", f=plain, k=NUMBER)}
    for name, decorate in decorators(shared).items():
        runs = Runs()
        function = a_function(decorate, runs)
        for number in range(STORED):
            function(number)
        assert function(NUMBER)["id"] == NUMBER
        rounds[name] = checked(timed("f(k)", f=function, k=NUMBER), runs, name)
    return rounds


def coroutine_functions(shared: Cache) -> dict[str, Round]:
    """An awaited hit of a cached coroutine function."""
    rounds: dict[str, Round] = {"a plain coroutine": awaited(plain_async, NUMBER)}
    for name, decorate in async_decorators(shared).items():
        runs = Runs()
        function = a_coroutine_function(decorate, runs)

        async def fill(function: Any = function) -> None:
            for number in range(STORED):
                await function(number)
            assert (await function(NUMBER))["id"] == NUMBER

        LOOP.run_until_complete(fill())
        rounds[name] = checked(awaited(function, NUMBER), runs, name)
    return rounds


TABLES = {
    "a hit of a cached function": (functions, 10_000),
    "an awaited hit of a cached coroutine function": (coroutine_functions, 5_000),
}


def main() -> None:
    """Measure and print."""
    arguments = argparse.ArgumentParser(prog="make bench-values", description=__doc__)
    arguments.add_argument("--rounds", type=int, default=31, help="turns of each contender (default 31)")
    arguments.add_argument("--only", help="contenders whose name has this text, and the plain call")
    chosen = arguments.parse_args()
    print(f"{platform.platform()}, {os.cpu_count()} cores; Python {platform.python_version()}")
    print(", ".join(f"{name} {version(name)}" for name in PACKAGES), end="; ")
    print(f"{chosen.rounds} rounds; load average before: {os.getloadavg()[0]:.2f}")
    for title, (make, calls) in TABLES.items():
        with shared_cache() as shared:
            contenders = make(shared)
            if chosen.only:
                first = next(iter(contenders))
                contenders = {name: one for name, one in contenders.items() if name == first or chosen.only in name}
            report(title, measure(contenders, chosen.rounds, calls))


if __name__ == "__main__":
    main()
