"""Event loops that share one cache in this process: many at once, or one after another."""

import asyncio
import gc
import importlib
import os
import threading
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import uvloop

from bench.in_process import receive, request, send
from bench.rules import twenty
from hotplate import Cache, CacheMiddleware, Rule
from hotplate.asgi import Receive, Scope, Send

STORED = 1_000
NUMBER = STORED // 2
VALUE = bytes(range(256)) * 4
PLAIN = "plain"
"""What the server has the same bytes under, without an envelope."""
PATIENCE_SECONDS = 20.0
RULES = twenty(Rule("/{item_id}", ttl=3600, tags=["item:{item_id}"], vary=["accept-encoding"]))

Call = Callable[[], Awaitable[object]]


# --- Many at once ----------------------------------------------------------------------------------------------------


@dataclass
class Shape:
    """What each loop does."""

    call: Call
    """Awaited again and again by each task; raises if its answer is not right."""
    check: Callable[[int], None]
    """Told how many calls there were in a round; raises if they were not all hits."""
    in_flight: int
    """Calls at a time, over all loops; no loop has less than one task."""
    before_yielding: int
    """How many calls a task makes between two turns of its loop: 1 for calls that wait themselves."""


@dataclass
class Together:
    """So many loops, each in a thread of its own, and what came of their rounds."""

    loops: int
    shape: Shape
    slowest: list[float] = field(default_factory=list)
    """The calls of the loop that made the fewest, of the mean: one figure a round."""

    def round(self, seconds: float) -> float:
        """Calls a second of all loops."""
        calls = [0] * self.loops
        began, ended = [0.0], [0.0] * self.loops
        errors: list[BaseException] = []

        def begin() -> None:
            began[0] = time.perf_counter()

        ready = threading.Barrier(self.loops, begin, PATIENCE_SECONDS)

        async def work() -> int:
            made, call, number = 0, self.shape.call, self.shape.before_yielding
            deadline = began[0] + seconds
            while time.perf_counter() < deadline:
                for _ in range(number):
                    await call()
                made += number
                await asyncio.sleep(0)
            return made

        async def loop(index: int) -> None:
            await self.shape.call()  # what a loop does once
            ready.wait()  # nothing else is to run in this loop
            tasks = max(1, self.shape.in_flight // self.loops)
            calls[index] = sum(await asyncio.gather(*(work() for _ in range(tasks))))
            ended[index] = time.perf_counter()  # closing a loop is not part of the figure

        def thread(index: int) -> None:
            try:
                uvloop.run(loop(index))
            except BaseException as error:
                ready.abort()
                errors.append(error)

        threads = [threading.Thread(target=thread, args=(index,)) for index in range(self.loops)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        if errors:
            raise errors[0]
        self.shape.check(sum(calls) + self.loops)
        self.slowest.append(min(calls) / (sum(calls) / self.loops))
        return sum(calls) / (max(ended) - began[0])


async def stored(scope: Scope, receive: Receive, send: Send) -> None:
    """An application whose responses are stored."""
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(VALUE))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": VALUE})


async def nothing() -> None:
    """A coroutine that does nothing."""


def http_hits() -> Shape:
    """Hits of the middleware: a request as a server tells it, and a client that keeps nothing."""
    cache = Cache()
    middleware = CacheMiddleware(stored, cache=cache, rules=RULES)
    scope = request(f"/{NUMBER}")

    async def fill() -> None:
        for number in range(STORED):
            await middleware(request(f"/{number}"), receive, send)

    async def call() -> None:
        await middleware(scope, receive, send)

    asyncio.run(fill())
    return Shape(call, _all_hits(cache), in_flight=1, before_yielding=16)


def function_hits() -> Shape:
    """Hits of a cached coroutine function."""
    cache = Cache()
    runs = 0

    @cache.cached(600, key="product:{product_id}", tags=["products", "product:{product_id}"])
    async def product(product_id: int) -> dict[str, Any]:
        nonlocal runs
        runs += 1
        return {"id": product_id}

    async def fill() -> None:
        for number in range(STORED):
            await product(number)

    asyncio.run(fill())

    def check(calls: int) -> None:
        if runs != STORED:
            raise ValueError(f"not every call was a hit: the function ran {runs} times, not {STORED}")

    return Shape(lambda: product(NUMBER), check, in_flight=1, before_yielding=16)


def _all_hits(cache: Cache) -> Callable[[int], None]:
    before = cache.stats().hits

    def check(calls: int) -> None:
        nonlocal before
        hits = cache.stats().hits
        if hits - before != calls:
            raise ValueError(f"{hits - before} hits in {calls} calls")
        before = hits

    return check


def shared_gets(url: str) -> Shape:
    """Values got from Redis, each call a command."""
    cache = connected(url, "together")

    async def call() -> None:
        if await cache.get(str(NUMBER)) != VALUE:
            raise ValueError("a get did not give the value")

    seen = cache.shared_stats()
    assert seen is not None
    before = seen.hits

    def check(calls: int) -> None:
        nonlocal before
        seen = cache.shared_stats()
        assert seen is not None
        if seen.hits - before != calls:
            raise ValueError(f"{seen.hits - before} values found in Redis in {calls} calls")
        before = seen.hits

    return Shape(call, check, in_flight=64, before_yielding=1)


def connected(url: str, prefix: str) -> Cache:
    """A cache that has reached its server, has stored the value there and keeps nothing in memory."""
    cache = Cache(url, prefix=prefix, local=False, command_timeout="5s")
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not cache.sync.set(str(NUMBER), VALUE, ttl="1h") or cache.sync.get(str(NUMBER)) != VALUE:
        if time.monotonic() > deadline:
            raise TimeoutError(f"no value can be stored: {cache.shared_stats()}")
    return cache


# --- One after another -----------------------------------------------------------------------------------------------


class OneAfterAnother:
    """Loops that live for one get each, and what they leave behind."""

    def __init__(self, get: Call) -> None:
        self._get = get
        self.round(20)  # what is made once stays
        self._descriptors, self._threads = _held()

    def round(self, loops: int) -> float:
        """Microseconds a loop, from its making to its end."""
        begin = time.perf_counter()
        for _ in range(loops):
            asyncio.run(self._once())
        return (time.perf_counter() - begin) / loops * 1e6

    async def _once(self) -> None:
        if await self._get() != VALUE:
            raise ValueError("a get did not give the value")

    def left(self) -> tuple[int, int]:
        """File descriptors and threads that are there and were not before the rounds."""
        descriptors, threads = _held()
        return descriptors - self._descriptors, threads - self._threads


def _held() -> tuple[int, int]:
    """Open file descriptors and threads of this process, those that are not Python's included."""
    gc.collect()
    return len(os.listdir("/proc/self/fd")), len(os.listdir("/proc/self/task"))  # noqa: PTH208 - names are enough


def redis_py(url: str) -> Call:
    """A client made, used and closed in each loop: redis-py's cannot outlive one."""
    redis = importlib.import_module("redis.asyncio")  # is in .venv-bench only, where no types are checked

    async def get() -> object:
        client = redis.Redis.from_url(url)
        try:
            return await client.get(PLAIN)
        finally:
            await client.aclose()

    return get


def hotplate(url: str) -> Call:
    """One cache for all loops."""
    cache = connected(url, "one-after-another")
    return lambda: cache.get(str(NUMBER))
