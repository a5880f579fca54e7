"""The decorators that sections measure hotplate's beside, each in the cheapest form that its documentation shows.

All keep their results in memory, for ``TTL`` seconds where they can, and have room for more than is stored.
"""

import functools
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from bench.calls import Calls, peer

STORED = 1_000
"""Results that are stored before a hit is measured."""
CAPACITY = 2_000
TTL = 600

Decorate = Callable[[Any], Any]


@dataclass
class Runs:
    """How often a function has run."""

    number: int = 0


def hits(calls: Calls, runs: Runs, name: str) -> Calls:
    """The same calls; raises `ValueError` if the function ran for one of them."""

    def checked(number: int) -> float:
        seconds = calls(number)
        if runs.number != STORED:
            raise ValueError(f"{name}: not every call was a hit: the function ran {runs.number} times, not {STORED}")
        return seconds

    return checked


def for_functions() -> Mapping[str, Decorate]:
    """By the ids of their rows."""
    cachetools = peer("cachetools")
    return {
        "lru_cache": functools.lru_cache(CAPACITY),
        "cachebox": _cachebox(),
        "moka-py": peer("moka_py").cached(maxsize=CAPACITY, ttl=TTL),
        "cachetools": cachetools.cached(cachetools.TTLCache(CAPACITY, TTL)),
        "cachetools-lock": cachetools.cached(cachetools.TTLCache(CAPACITY, TTL), lock=threading.Lock()),
        "theine": _theine,
    }


def for_threads() -> Mapping[str, Decorate]:
    """Those that several threads may call at once."""
    return {name: decorate for name, decorate in for_functions().items() if name != "cachetools"}


def for_coroutine_functions() -> Mapping[str, Decorate]:
    """By the ids of their rows."""
    cashews = peer("cashews").Cache()
    cashews.setup(f"mem://?size={CAPACITY}")
    peer("fastapi_cache").FastAPICache.init(peer("fastapi_cache.backends.inmemory").InMemoryBackend())
    aiocache = peer("aiocache").cached
    return {
        "cachebox": _cachebox(),
        "moka-py": peer("moka_py").cached(maxsize=CAPACITY, ttl=TTL),
        "async-lru": peer("async_lru").alru_cache(maxsize=CAPACITY, ttl=TTL),
        "theine": _theine,
        "fastapi-cache2": peer("fastapi_cache.decorator").cache(expire=TTL),
        "aiocache-no-timeout": aiocache(ttl=TTL, key_builder=_by_argument, timeout=None),
        "aiocache": aiocache(ttl=TTL, key_builder=_by_argument),
        "cashews": cashews(ttl=TTL, key="product:{product}"),
    }


NAMES = {
    "lru_cache": "functools.lru_cache, no ttl",
    "cachebox": "cachebox",
    "moka-py": "moka-py",
    "cachetools": "cachetools, no lock",
    "cachetools-lock": "cachetools with a lock",
    "theine": "theine, key from a function",
    "aiocache": "aiocache, with its timeout",
    "aiocache-no-timeout": "aiocache, timeout=None",
    "cashews": "cashews, key template",
}
"""For people, by the ids of rows; the others have their packages' names."""


def _cachebox() -> Any:
    cachebox = peer("cachebox")
    return cachebox.cached(cachebox.TTLCache(CAPACITY, TTL), postprocess=None, lock=None)


def _theine(function: Any) -> Any:
    decorated = peer("theine").Memoize(CAPACITY, timedelta(seconds=TTL))(function)
    decorated.key(lambda argument: argument)
    return decorated


def _by_argument(function: object, argument: object) -> str:
    return f"product:{argument}"
