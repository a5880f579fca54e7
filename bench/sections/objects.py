"""`memoize` and `LocalCache` in process, beside `functools.lru_cache`, `dict` and other caches."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from bench import decorators
from bench.calls import THREADS, Calls, at_once, awaited, loop, of_each, peer, timed
from bench.decorators import CAPACITY, STORED, TTL, Decorate, Runs, hits
from bench.figures import Effort, Section, Table, rows
from hotplate import LocalCache, memoize

KEYS = [f"product:{number}" for number in range(STORED)]
KEY = KEYS[STORED // 2]
ROUNDS = {Effort.QUICK: (75, 0.004), Effort.FULL: (301, 0.01)}
"""Rounds, and the seconds of one."""
ROUNDS_OF_THREADS = {Effort.QUICK: (7, 0.08), Effort.FULL: (31, 0.25)}
"""The interpreter changes threads every 5 ms: a round is long enough for many changes."""
NAMES = decorators.NAMES | {
    "plain": "a plain call, nothing cached",
    "hotplate": "hotplate, ttl",
    "hotplate-no-ttl": "hotplate, no ttl",
    "dict": "a dict",
}
CACHE_NAMES = NAMES | {"theine": "theine"}
HOW = f"""
{STORED:,} entries are stored, with room for {CAPACITY:,}. A hit and `get` ask for one of them again and again; `set`
stores each of them in turn, of {THREADS} threads each a part of its own. Contenders take turns in short rounds (of some
milliseconds, and some hundredths of a second with threads); each ratio is to the reference of the same round. What the
loop of the measurement takes is in every figure. Peers are as their documentation has them cheapest, with a ttl where
they know one; statements are written as a user of each would write them.

Verified: a memoized function that runs once more than it took to store fails the run; so does a cache that, before or
after a round, does not have what was stored.
"""


def plain(key: str) -> str:
    """A call without a cache."""
    return key


async def plain_async(key: str) -> str:
    """The same, awaited."""
    return key


# --- Memoized functions ----------------------------------------------------------------------------------------------


def memoized(decorate: Decorate, name: str) -> Calls:
    """Hits of a function whose results are stored."""
    runs = Runs()

    @decorate
    def found(key: str) -> str:
        runs.number += 1
        return key

    if any(found(key) != key for key in KEYS):
        raise ValueError(f"{name}: a call gave another one's result")
    return hits(timed("f(k)", f=found, k=KEY), runs, name)


def memoized_async(decorate: Decorate, name: str) -> Calls:
    """Awaited hits of a coroutine function whose results are stored."""
    runs = Runs()

    @decorate
    async def found(product: str) -> str:
        runs.number += 1
        return product

    async def fill() -> None:
        for key in KEYS:
            if await found(key) != key:
                raise ValueError(f"{name}: a call gave another one's result")

    loop().run_until_complete(fill())
    return hits(awaited(found, KEY), runs, name)


def memoizing() -> Mapping[str, Decorate]:
    """Ours, for functions of both kinds."""
    return {"hotplate": memoize(CAPACITY, ttl=TTL), "hotplate-no-ttl": memoize(CAPACITY)}


def sync_hits() -> Mapping[str, Calls]:
    """Of memoized functions."""
    made = {**memoizing(), **decorators.for_functions()}
    reference = {"plain": timed("f(k)", f=plain, k=KEY)}
    return reference | {name: memoized(decorate, name) for name, decorate in made.items()}


def async_hits() -> Mapping[str, Calls]:
    """Of memoized coroutine functions."""
    made = {**memoizing(), **decorators.for_coroutine_functions()}
    reference = {"plain": awaited(plain_async, KEY)}
    return reference | {name: memoized_async(decorate, name) for name, decorate in made.items()}


# --- Caches of objects -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Objects:
    """A cache of objects, and how its users store in it."""

    cache: Any
    statement: str = "c[k] = k"
    """Where `c` is the cache, `k` the key and the value."""

    def store(self, keys: Sequence[str]) -> Calls:
        """Stores each in turn."""
        names = {"c": self.cache, "keys": keys, "lock": threading.Lock(), "ttl": timedelta(seconds=TTL)}
        return timed(f"for k in keys: {self.statement}", each=len(keys), **names)

    def has_all(self) -> bool:
        """Whether each value is there."""
        found = [self.cache.get(key) for key in KEYS]
        # Theine says beside the value whether there is one.
        return [one[0] if isinstance(one, tuple) else one for one in found] == KEYS

    def checked(self, calls: Calls, name: str) -> Calls:
        """The same calls; raises `ValueError` if a value is not there before or after them."""

        def with_all(number: int) -> float:
            before = self.has_all()
            seconds = calls(number)
            if not (before and self.has_all()):
                raise ValueError(f"{name}: a value that was stored is not there")
            return seconds

        return with_all


def caches() -> Mapping[str, Objects]:
    """With nothing in them but the keys, which a first round of `store` puts there."""
    cachetools, theine = peer("cachetools"), peer("theine")
    made = {
        "dict": Objects({}),
        "hotplate": Objects(LocalCache(CAPACITY, ttl=TTL), "c.set(k, k)"),
        "hotplate-no-ttl": Objects(LocalCache(CAPACITY), "c.set(k, k)"),
        "cachebox": Objects(peer("cachebox").TTLCache(CAPACITY, TTL)),
        "moka-py": Objects(peer("moka_py").Moka(CAPACITY, ttl=TTL), "c.set(k, k)"),
        "cachetools": Objects(cachetools.TTLCache(CAPACITY, TTL)),
        "theine": Objects(theine.Cache(CAPACITY), "c.set(k, k, ttl)"),
    }
    for objects in made.values():
        objects.store(KEYS)(STORED)
    return made


def gets() -> Mapping[str, Calls]:
    """`cache.get(key)`."""
    return {name: one.checked(timed("c.get(k)", c=one.cache, k=KEY), name) for name, one in caches().items()}


def sets(threads: int) -> Mapping[str, Calls]:
    """Storing by so many threads at once, each under keys of its own."""
    share = STORED // threads
    parts = [KEYS[begin : begin + share] for begin in range(0, STORED, share)]
    made = dict(caches())
    if threads > 1:
        made["cachetools-lock"] = replace(made.pop("cachetools"), statement="\n with lock: c[k] = k")
    return {name: one.checked(at_once(*map(one.store, parts)), name) for name, one in made.items()}


# --- Tables ----------------------------------------------------------------------------------------------------------


def measure(effort: Effort) -> Sequence[Table]:
    """Hits of memoized functions, then what a cache of objects takes to read and to store."""
    one, several = ROUNDS[effort], ROUNDS_OF_THREADS[effort]

    def table(name: str, title: str, found: Mapping[str, list[float]], names: Mapping[str, str] = CACHE_NAMES) -> Table:
        return Table(name, title, "ns", False, rows(found, names))

    return [
        table("memoize-sync", "A hit of a memoized function", of_each(sync_hits(), *one), NAMES),
        table("memoize-async", "An awaited hit of a memoized coroutine function", of_each(async_hits(), *one), NAMES),
        table("get", "get of an object", of_each(gets(), *one)),
        table("set-1", "set of an object, one thread", of_each(sets(1), *one, step=STORED)),
        table(
            f"set-{THREADS}",
            f"set of an object, {THREADS} threads, as if one had made all calls",
            of_each(sets(THREADS), *several, step=STORED),
        ),
    ]


SECTION = Section("objects", "Memoized functions and caches of objects, in process", HOW, measure)
