"""A Redis client as a process that answers rounds: `python -m bench.redis_clients NAME URL`.

Each line `IN_FLIGHT SECONDS` of standard input is a round: so many tasks, each of which asks again as soon as it has
its answer. It is answered by a line `CALLS SECONDS CPU_SECONDS`, the last of all threads. `bench/sections/border.py`
starts these, and `crates/hotplate/benches/border.rs`, which does the same.
"""

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from urllib.parse import urlsplit

from bench.calls import peer
from hotplate import Cache

VALUE = bytes(range(256)) * 4
KEY = "value"
PLAIN = "plain"
"""What the server has the same bytes under, without an envelope."""
PREFIX = "border"
MOST_IN_FLIGHT = 512

Call = Callable[[], Awaitable[object]]


async def calls_of(call: Call, deadline: float) -> int:
    """How often one task gets its answer until then; at least once, so that a first round makes all connections."""
    calls = 0
    while not calls or time.perf_counter() < deadline:
        if await call() != VALUE:
            raise ValueError("a GET did not give the value")
        calls += 1
    return calls


async def answer_rounds(call: Call) -> None:
    """One round for each line of standard input, until it ends."""
    for line in sys.stdin:  # nothing else is to run between rounds
        in_flight, seconds = line.split()
        begin, cpu = time.perf_counter(), time.process_time()
        tasks = [calls_of(call, begin + float(seconds)) for _ in range(int(in_flight))]
        calls = sum(await asyncio.gather(*tasks))
        print(calls, time.perf_counter() - begin, time.process_time() - cpu, flush=True)


async def connected(url: str) -> Cache:
    """A cache that has reached its server and stored the value."""
    cache = Cache(url, prefix=PREFIX, local=False, command_timeout="5s")
    deadline = time.monotonic() + 10
    while not await cache.set(KEY, VALUE, ttl="1h") or await cache.get(KEY) != VALUE:
        if time.monotonic() > deadline:
            raise TimeoutError(f"no value can be stored: {cache.shared_stats()}")
        await asyncio.sleep(0.005)
    return cache


async def hotplate(url: str) -> None:
    """The bridge: it also reads where the log stands, and checks the envelope."""
    cache = await connected(url)
    await answer_rounds(lambda: cache.get(KEY))


async def redis_py(url: str) -> None:
    """As an application asks: one client, whose pool has a connection for each task."""
    redis = peer("redis.asyncio")
    client = redis.Redis.from_pool(redis.ConnectionPool.from_url(url, max_connections=MOST_IN_FLIGHT))
    await answer_rounds(lambda: client.get(PLAIN))
    await client.aclose()


async def coredis(url: str) -> None:
    """One client; its pool may have a connection for each task."""
    client = peer("coredis").Redis.from_url(url, max_connections=MOST_IN_FLIGHT)
    async with client:
        await answer_rounds(lambda: client.get(PLAIN))


async def valkey_glide(url: str) -> None:
    """One client, which has one connection for all tasks."""
    glide, address = peer("glide"), urlsplit(url)
    node = glide.NodeAddress(address.hostname, address.port)
    settings = glide.GlideClientConfiguration([node], request_timeout=5_000)
    client = await glide.GlideClient.create(settings)
    await answer_rounds(lambda: client.get(PLAIN))
    await client.close()


CLIENTS: Mapping[str, Callable[[str], Coroutine[None, None, None]]] = {
    "hotplate": hotplate,
    "redis-py": redis_py,
    "coredis": coredis,
    "valkey-glide": valkey_glide,
}

if __name__ == "__main__":
    _, _name, _url = sys.argv
    peer("uvloop").run(CLIENTS[_name](_url))
