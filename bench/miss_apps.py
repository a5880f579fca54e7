"""The applications that `sections/misses.py` measures: one trivial handler, alone and behind middleware.

Each function makes an application for `uvicorn --factory`; those in `_raw` have a raw ASGI application in FastAPI's
place. All count the runs of their handlers, and tell them at `/admin/counted`, which no cache answers.
"""

import asyncio
import itertools
import os
from collections import defaultdict
from collections.abc import AsyncIterator
from typing import Any

from fastapi import FastAPI
from fastapi.responses import StreamingResponse

from bench.apps.answers import BODY, PRODUCT
from bench.first_byte import EXCLUDED, PART
from bench.in_process import receive, request, send
from bench.rules import twenty
from hotplate import Cache, CacheMiddleware, Rule
from hotplate.asgi import ASGIApp, Receive, Scope, Send

RAW_START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(BODY))],
}
RAW_CONTENT = {"type": "http.response.body", "body": BODY}

MAX_BYTES = "8MiB"
FILL_AT_ONCE = 64
RULES = twenty(Rule("/{kind}/{item_id}", ttl=3600, tags=["{kind}", "{kind}:{item_id}"], vary=["accept-encoding"]))


class Counted:
    """What has happened in this process."""

    def __init__(self) -> None:
        self.runs = 0
        """Of handlers."""
        self.looks = 0
        """Requests for these numbers: each is a bypass too."""
        self.cache: Cache | None = None

    def told(self) -> dict[str, Any]:
        """As JSON has it."""
        self.looks += 1
        told: dict[str, Any] = {"runs": self.runs, "looks": self.looks, "misses": 0, "stored": 0, "bypass": {}}
        told |= {"evictions": 0}
        if self.cache is not None:
            stats = self.cache.stats()
            told |= {"misses": stats.misses, "stored": stats.stored, "bypass": dict(stats.bypass)}
            told |= {"evictions": stats.evictions}
        return told


COUNTED = Counted()


class PassThrough:
    """The least that a middleware can be."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Runs the application."""
        await self.app(scope, receive, send)


# --- With FastAPI ----------------------------------------------------------------------------------------------------


def endpoint() -> FastAPI:
    """The reference: handlers that have nothing to wait for, and no middleware."""
    app = FastAPI()
    told_to_go_on: dict[int, asyncio.Event] = defaultdict(asyncio.Event)

    @app.get("/products/{product_id}")
    async def read_product(product_id: int) -> dict[str, Any]:
        COUNTED.runs += 1
        return PRODUCT

    @app.post("/products/{product_id}")
    async def update_product(product_id: int, product: dict[str, Any]) -> dict[str, Any]:
        COUNTED.runs += 1
        return product

    @app.get(EXCLUDED + "/products/{product_id}")
    async def read_excluded(product_id: int) -> dict[str, Any]:
        COUNTED.runs += 1
        return PRODUCT

    @app.get("/streams/{number}")
    async def read_stream(number: int) -> StreamingResponse:
        COUNTED.runs += 1

        async def parts() -> AsyncIterator[bytes]:
            yield PART
            await told_to_go_on[number].wait()
            del told_to_go_on[number]
            yield PART

        return StreamingResponse(parts(), media_type="application/octet-stream")

    @app.get(EXCLUDED + "/go-on/{number}")
    async def let_go_on(number: int) -> None:
        told_to_go_on[number].set()

    @app.get(EXCLUDED + "/counted")
    async def read_counted() -> dict[str, Any]:
        return COUNTED.told()

    @app.get(EXCLUDED + "/fill")
    async def read_filled() -> None:
        await fill(app)

    return app


def pass_through() -> FastAPI:
    """Behind a middleware that does nothing."""
    app = endpoint()
    app.add_middleware(PassThrough)
    return app


def hotplate() -> FastAPI:
    """Behind a cache in memory."""
    return _cached(Cache(max_bytes=MAX_BYTES))


def hotplate_redis() -> FastAPI:
    """Behind a cache on Redis, with its local tier."""
    return _cached(_on_redis("fastapi"))


def _cached(cache: Cache) -> FastAPI:
    app = endpoint()
    COUNTED.cache = cache
    app.add_middleware(CacheMiddleware, cache=cache, rules=RULES, exclude=[EXCLUDED])
    return app


def _on_redis(prefix: str) -> Cache:
    # A command that takes long on a busy core is part of the figure, not an outage.
    return Cache(os.environ["BENCH_REDIS_URL"], prefix=prefix, max_bytes=MAX_BYTES, command_timeout="5s")


# --- Raw -------------------------------------------------------------------------------------------------------------


def endpoint_raw() -> ASGIApp:
    """The reference of the second table: constant bytes."""
    return _raw(lambda app: app)


def pass_through_raw() -> ASGIApp:
    """Behind a middleware that does nothing."""
    return _raw(PassThrough)


def hotplate_raw() -> ASGIApp:
    """Behind a cache in memory."""
    return _cached_raw(Cache(max_bytes=MAX_BYTES))


def hotplate_redis_raw() -> ASGIApp:
    """Behind a cache on Redis, with its local tier."""
    return _cached_raw(_on_redis("raw"))


def _cached_raw(cache: Cache) -> ASGIApp:
    COUNTED.cache = cache
    return _raw(lambda app: CacheMiddleware(app, cache=cache, rules=RULES, exclude=[EXCLUDED]))


def _raw(behind: Any) -> ASGIApp:
    telling = endpoint()

    async def constant(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].startswith(EXCLUDED):
            if scope["path"] == EXCLUDED + "/fill":
                await fill(app)
            await telling(scope, receive, send)
            return
        COUNTED.runs += 1
        await send(RAW_START)
        await send(RAW_CONTENT)

    app: ASGIApp = behind(constant)
    return app


# --- A full cache ----------------------------------------------------------------------------------------------------


async def fill(app: Any) -> None:
    """Asks the application for one thing after another, in process, until its cache has had to evict something."""
    cache = COUNTED.cache
    if cache is None:
        return
    numbers = itertools.count()
    while cache.stats().evictions == 0:
        paths = [f"/products/{number}" for number in itertools.islice(numbers, FILL_AT_ONCE)]
        await asyncio.gather(*(app(request(path), receive, send) for path in paths))
