"""A store as a process that fills it: `python -m bench.stores NAME COUNT` says what memory that took.

It prints two numbers of bytes: the resident memory before and after so many entries were stored, each with a key and a
body of 1,024 bytes of its own. Then it asks for them, and fails unless they are there. `bench/sections/memory.py`
starts it; what a store needs is imported where it is made, because some have an environment without the others'
packages.
"""

import asyncio
import gc
import os
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from bench.calls import peer
from bench.in_process import receive, request

TTL = 3_600
BODY_BYTES = 1_024
CHECKED = 250
"""How many entries of a slow store are asked for, evenly spread from the first on; of others all are."""


def own_rss() -> int:
    """Resident bytes of this process."""
    gc.collect()
    # Linux only.
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


@dataclass(frozen=True)
class Store:
    """Something that has nothing in it."""

    put: Callable[[int], Awaitable[object]]
    """Stores the entry of that number."""
    found: Callable[[int], Awaitable[object]]
    """Its body; nothing may be stored by that."""
    rss: Callable[[], int] = own_rss
    checked: int | None = None
    """How many are asked for at the end; all if nothing is said."""


def key(number: int) -> str:
    """An entry's own."""
    return f"product:{number}"


def body(number: int) -> bytes:
    """An entry's own."""
    return b"%0*d" % (BODY_BYTES, number)


# --- Objects ---------------------------------------------------------------------------------------------------------


def of_objects(put: Callable[[str, bytes], object], get: Callable[[str], object]) -> Store:
    """A store that is called."""

    async def put_one(number: int) -> None:
        put(key(number), body(number))

    async def found(number: int) -> object:
        return get(key(number))

    return Store(put_one, found)


def a_dict(room: int) -> Store:
    """The least that Python takes."""
    entries: dict[str, bytes] = {}
    return of_objects(entries.__setitem__, entries.get)


def local_cache(room: int) -> Store:
    """`hotplate.LocalCache`."""
    from hotplate import LocalCache

    cache: LocalCache[str, bytes] = LocalCache(room, ttl=TTL)
    return of_objects(cache.set, cache.get)


def cachebox(room: int) -> Store:
    """Its cache with a ttl."""
    cache = peer("cachebox").TTLCache(room, TTL)
    return of_objects(cache.__setitem__, cache.get)


def cachetools(room: int) -> Store:
    """Its cache with a ttl."""
    cache = peer("cachetools").TTLCache(room, TTL)
    return of_objects(cache.__setitem__, cache.get)


def theine(room: int) -> Store:
    """Its cache, each entry with a ttl."""
    cache = peer("theine").Cache(room)
    ttl = timedelta(seconds=TTL)
    return of_objects(lambda key, value: cache.set(key, value, ttl), lambda key: cache.get(key)[0])


def moka(room: int) -> Store:
    """moka-py's cache with a ttl."""
    cache = peer("moka_py").Moka(room, ttl=TTL)
    return of_objects(cache.set, cache.get)


def cashews(room: int) -> Store:
    """Its store in memory."""
    cache = peer("cashews").Cache()
    cache.setup(f"mem://?size={room}")
    return Store(
        lambda number: cache.set(key(number), body(number), expire=TTL),
        lambda number: cache.get(key(number)),
    )


# --- Responses -------------------------------------------------------------------------------------------------------


@dataclass
class Runs:
    """How often what is cached has run."""

    number: int = 0


class Asked:
    """An ASGI application, asked in process; each of its runs counts."""

    def __init__(self, runs: Runs) -> None:
        self._runs = runs
        self.app: Any = None

    async def put(self, number: int) -> None:
        """A miss."""
        before = self._runs.number
        await self._ask(number)
        if self._runs.number != before + 1:
            raise ValueError(f"{path(number)}: the handler did not run once")

    async def found(self, number: int) -> bytes | None:
        """A hit, or nothing."""
        before = self._runs.number
        answered = await self._ask(number)
        return answered if self._runs.number == before else None

    async def _ask(self, number: int) -> bytes:
        chunks: list[bytes] = []

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                assert message["status"] == 200
            chunks.append(message.get("body", b""))

        await self.app(request(path(number), [(b"accept-encoding", b"gzip")]), receive, send)
        return b"".join(chunks)


def path(number: int) -> str:
    """Of an entry."""
    return f"/products/{number}"


def fields(number: int, varies: bool = True) -> list[tuple[bytes, bytes]]:
    """Six header fields, as an application sends them: one is this response's own."""
    return [
        (b"content-type", b"application/json"),
        (b"content-length", b"1024"),
        (b"cache-control", b"public, max-age=3600"),
        (b"vary", b"accept-encoding") if varies else (b"content-language", b"en-GB"),
        (b"last-modified", b"Thu, 19 Nov 2026 08:00:00 GMT"),
        (b"etag", b'"%d"' % number),
    ]


def plain_application(runs: Runs, varies: bool) -> Any:
    """Without a framework."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        runs.number += 1
        number = int(scope["path"].rpartition("/")[2])
        await send({"type": "http.response.start", "status": 200, "headers": fields(number, varies)})
        await send({"type": "http.response.body", "body": body(number)})

    return app


def fastapi_application(runs: Runs, decorated: Callable[[Any], Any] = lambda handler: handler) -> Any:
    """With FastAPI, the handler `decorated`."""
    fastapi = peer("fastapi")
    app = fastapi.FastAPI()

    async def product(number: int) -> Any:
        runs.number += 1
        headers = {name.decode(): value.decode() for name, value in fields(number)}
        return fastapi.Response(body(number), headers=headers)

    app.get("/products/{number}")(decorated(product))
    return app


def a_dict_of_responses(room: int) -> Store:
    """What the application sends, kept as it is: the body, and a list of pairs."""
    entries: dict[str, tuple[bytes, list[tuple[bytes, bytes]]]] = {}

    async def put(number: int) -> None:
        entries[path(number)] = (body(number), fields(number))

    async def found(number: int) -> bytes:
        return entries[path(number)][0]

    return Store(put, found)


def responses(varies: bool) -> Callable[[int], Store]:
    """`CacheMiddleware` with a tag of its own on each response, and nineteen rules beside the one that matches."""

    def make(room: int) -> Store:
        from bench.rules import twenty
        from hotplate import Cache, CacheMiddleware, Rule

        runs = Runs()
        rules = twenty(Rule("/products/{number}", ttl=TTL, tags=["product:{number}"]))
        asked = Asked(runs)
        asked.app = CacheMiddleware(plain_application(runs, varies), cache=Cache(max_bytes="2GiB"), rules=rules)
        return Store(asked.put, asked.found)

    return make


def value(room: int) -> Store:
    """`@cache.cached`, with a tag on each value."""
    from hotplate import Cache

    runs = Runs()

    @Cache(max_bytes="2GiB").cached(TTL, key="product:{number}", tags=["product:{number}"])
    async def product(number: int) -> bytes:
        runs.number += 1
        return body(number)

    async def found(number: int) -> bytes | None:
        before = runs.number
        result = await product(number)
        return result if runs.number == before else None

    return Store(product, found)


def tutorial(room: int) -> Store:
    """What the middleware of tutorials keeps in its dict: an end, the status, the header as a dict, the body."""
    entries: dict[str, tuple[float, tuple[int, dict[str, str], bytes]]] = {}
    responses = peer("starlette.responses")

    async def put(number: int) -> None:
        headers = {name.decode(): value.decode() for name, value in fields(number)}
        response = responses.Response(body(number), headers=headers)
        entries[f"{path(number)}?"] = (time.time() + TTL, (200, dict(response.headers), response.body))

    async def found(number: int) -> bytes:
        return entries[f"{path(number)}?"][1][2]

    return Store(put, found)


def fastapi_cachex(room: int) -> Store:
    """Its decorator, with its store in memory."""
    package = peer("fastapi_cachex")
    package.BackendProxy.set(peer("fastapi_cachex.backends").MemoryBackend())
    runs = Runs()
    asked = Asked(runs)
    asked.app = fastapi_application(runs, package.cache(ttl=TTL))
    return Store(asked.put, asked.found, checked=CHECKED)


def starlette_caches(room: int) -> Store:
    """Its middleware, with aiocache's store in memory."""
    runs = Runs()
    asked = Asked(runs)
    cache = peer("aiocache").Cache(ttl=TTL)
    asked.app = peer("starlette_caches.middleware").CacheMiddleware(fastapi_application(runs), cache=cache)
    return Store(asked.put, asked.found, checked=CHECKED)


def redis_server(room: int) -> Store:
    """A server's memory, which has strings."""
    from tests.redis_servers import RedisServer

    server = RedisServer()
    server.start()
    client = peer("redis").Redis.from_url(server.url)
    pipeline = client.pipeline(transaction=False)

    async def put(number: int) -> None:
        pipeline.set(key(number), body(number), ex=TTL)
        if len(pipeline) == CHECKED:
            pipeline.execute()

    async def found(number: int) -> object:
        return client.get(key(number))

    def rss() -> int:
        pipeline.execute()
        return int(client.info("memory")["used_memory_rss"])

    return Store(put, found, rss, checked=CHECKED)


OBJECTS: Mapping[str, Callable[[int], Store]] = {
    "dict": a_dict,
    "hotplate": local_cache,
    "cachebox": cachebox,
    "cachetools": cachetools,
    "cashews": cashews,
    "theine": theine,
    "moka-py": moka,
}
RESPONSES: Mapping[str, Callable[[int], Store]] = {
    "dict": a_dict_of_responses,
    "hotplate": responses(varies=True),
    "hotplate-no-vary": responses(varies=False),
    "hotplate-value": value,
    "tutorial": tutorial,
    "fastapi-cachex": fastapi_cachex,
    "starlette-caches": starlette_caches,
    "redis-server": redis_server,
}
TABLES = {"objects": OBJECTS, "http": RESPONSES}


async def filled(make: Callable[[int], Store], count: int) -> tuple[int, int]:
    """The resident bytes before and after; raises `ValueError` if not all that was stored is there."""
    # A quarter more room than needed: some keep parts, which do not fill evenly.
    store = make(count + count // 4)
    before = store.rss()
    for number in range(count):
        await store.put(number)
    after = store.rss()
    for number in range(0, count, max(1, count // (store.checked or count))):
        if await store.found(number) != body(number):
            raise ValueError(f"entry {number} of {count} is not there")
    return before, after


if __name__ == "__main__":
    _, _table, _name, _count = sys.argv
    print(*asyncio.run(filled(TABLES[_table][_name], int(_count))))
