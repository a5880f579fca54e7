"""A hit of `@cache.cached` in process, beside a plain call and other caches' decorators."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from bench import decorators
from bench.calls import THREADS, Calls, at_once, awaited, loop, of_each, timed
from bench.decorators import CAPACITY, STORED, TTL, Decorate, Runs, hits
from bench.figures import Effort, Section, Table, rows
from hotplate import Cache, memoize
from tests.redis_servers import RedisServer

PRODUCT = STORED // 2
TEMPLATE = "product:{product}"
TAGS = ["products", "product:{product}"]
ROUNDS = {Effort.QUICK: (75, 0.004), Effort.FULL: (301, 0.01)}
"""Rounds, and the seconds of one."""
ROUNDS_OF_THREADS = {Effort.QUICK: (7, 0.08), Effort.FULL: (31, 0.25)}
"""The interpreter changes threads every 5 ms: a round is long enough for many changes."""
NAMES = decorators.NAMES | {
    "plain": "a plain call, nothing cached",
    "hotplate": "hotplate, key template",
    "hotplate-arguments": "hotplate, key from the arguments",
    "hotplate-refresh-ahead": "hotplate, key template, refresh_ahead",
    "hotplate-redis": "hotplate on Redis, key template",
    "hotplate-memoize": "hotplate.memoize",
}
HOW = f"""
A function of an integer returns a dictionary. {STORED:,} results are stored, and one of them is asked for again and
again. Contenders take turns in short rounds (of some milliseconds, and some hundredths of a second with threads); each
ratio is to the plain call of the same round. What the loop of the measurement takes is in every figure.

Each form of hotplate has two tags a result and counts its hits, which cannot be turned off; the one on Redis answers
from its local tier, as it does unless told otherwise. Peers have their store in memory, a ttl where they know one, and
the cheapest form that their documentation shows. The event loop is asyncio's own: cashews, and aiocache with the
timeout that it has unasked, go through it for every hit. What a caller gets is the object that is stored; of
fastapi-cache2 it is a new one made from JSON.

Verified: what is asked for is what was stored, and a function that runs once more than it took to store fails the run.
"""


def a_function(decorate: Decorate, runs: Runs) -> Any:
    """What is cached."""

    @decorate
    def found(product: int) -> dict[str, Any]:
        runs.number += 1
        return {"id": product, "name": "a product"}

    return found


def a_coroutine_function(decorate: Decorate, runs: Runs) -> Any:
    """What is cached, awaited."""

    @decorate
    async def found(product: int) -> dict[str, Any]:
        runs.number += 1
        return {"id": product, "name": "a product"}

    return found


def plain(product: int) -> int:
    """A call without a cache."""
    return product


async def plain_async(product: int) -> int:
    """The same, awaited."""
    return product


# --- Contenders ------------------------------------------------------------------------------------------------------


def of_hotplate(shared: Cache) -> Mapping[str, Decorate]:
    """The forms of the decorator."""
    return {
        "hotplate": Cache().cached(TTL, key=TEMPLATE, tags=TAGS),
        "hotplate-arguments": Cache().cached(TTL, tags=TAGS),
        "hotplate-refresh-ahead": Cache().cached(TTL, key=TEMPLATE, tags=TAGS, refresh_ahead=0.8),
        "hotplate-redis": shared.cached(TTL, key=TEMPLATE, tags=TAGS),
        "hotplate-memoize": memoize(CAPACITY, ttl=TTL),
    }


@contextmanager
def shared_cache() -> Iterator[Cache]:
    """A cache on a server of its own, which has been reached."""
    with RedisServer() as server:
        cache = Cache(server.url, prefix="values", command_timeout="5s")
        while not cache.sync.set("reached", True, ttl=TTL):
            pass
        yield cache


def filled(decorate: Decorate, runs: Runs) -> Any:
    """A cached function that has its results."""
    function = a_function(decorate, runs)
    for product in range(STORED):
        function(product)
    assert function(PRODUCT)["id"] == PRODUCT
    return function


def filled_async(decorate: Decorate, runs: Runs) -> Any:
    """A cached coroutine function that has its results."""
    function = a_coroutine_function(decorate, runs)

    async def fill() -> None:
        for product in range(STORED):
            await function(product)
        assert (await function(PRODUCT))["id"] == PRODUCT

    loop().run_until_complete(fill())
    return function


def functions(decorated: Mapping[str, Decorate]) -> Mapping[str, Calls]:
    """A hit of a cached function."""
    contenders = {"plain": timed("f(k)", f=plain, k=PRODUCT)}
    for name, decorate in decorated.items():
        runs = Runs()
        contenders[name] = hits(timed("f(k)", f=filled(decorate, runs), k=PRODUCT), runs, name)
    return contenders


def coroutine_functions(decorated: Mapping[str, Decorate]) -> Mapping[str, Calls]:
    """An awaited hit of a cached coroutine function."""
    contenders = {"plain": awaited(plain_async, PRODUCT)}
    for name, decorate in decorated.items():
        runs = Runs()
        contenders[name] = hits(awaited(filled_async(decorate, runs), PRODUCT), runs, name)
    return contenders


def by_threads(contenders: Mapping[str, Calls]) -> Mapping[str, Calls]:
    """The same hits by several threads at once."""
    return {name: at_once(*[calls] * THREADS) for name, calls in contenders.items()}


# --- Tables ----------------------------------------------------------------------------------------------------------


def table(name: str, title: str, contenders: Mapping[str, Calls], rounds: int, seconds: float, note: str = "") -> Table:
    """Of one way to call."""
    return Table(name, title, "ns", False, rows(of_each(contenders, rounds, seconds), NAMES), note)


def measure(effort: Effort) -> Sequence[Table]:
    """Called by one thread, awaited, and called by four threads."""
    with shared_cache() as shared:
        sync = functions({**of_hotplate(shared), **decorators.for_functions()})
        found = [table("sync", "A hit of a cached function", sync, *ROUNDS[effort])]
    with shared_cache() as shared:
        coroutines = coroutine_functions({**of_hotplate(shared), **decorators.for_coroutine_functions()})
        title = "An awaited hit of a cached coroutine function"
        found.append(table("async", title, coroutines, *ROUNDS[effort]))
    ours: dict[str, Decorate] = {
        "hotplate": Cache().cached(TTL, key=TEMPLATE, tags=TAGS),
        "hotplate-memoize": memoize(CAPACITY, ttl=TTL),
    }
    threads = by_threads(functions({**ours, **decorators.for_threads()}))
    title = f"{THREADS} threads at once: a hit of a cached function"
    note = (
        "A call's time as if one thread had made them all: what a single thread takes, where nobody waits for anybody "
        "but for the interpreter."
    )
    return [*found, table("threads", title, threads, *ROUNDS_OF_THREADS[effort], note)]


SECTION = Section("values", "Cached functions: a hit in process", HOW, measure)
