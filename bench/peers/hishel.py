"""hishel's ASGI middleware before the application, in its cheaper mode: by method and URL, for a fixed time."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anysqlite  # type: ignore[import-not-found]  # is in this peer's environment only
from hishel import AsyncRedisStorage, AsyncSqliteStorage  # type: ignore[import-not-found]
from hishel.asgi import ASGICacheMiddleware  # type: ignore[import-not-found]
from redis import asyncio as redis  # type: ignore[import-not-found]

from bench.apps.endpoint import application

url = os.environ.get("BENCH_REDIS_URL")
storage = AsyncRedisStorage(redis.Redis.from_url(url)) if url else AsyncSqliteStorage(default_ttl=3600)


@asynccontextmanager
async def in_memory(_: Any) -> AsyncIterator[None]:
    """Gives SQLite a database in memory, where it would have a file."""
    if not url:
        storage.connection = await anysqlite.connect(":memory:", isolation_level=None)
    yield
    await storage.close()


app = ASGICacheMiddleware(application(lifespan=in_memory), storage, rfc=False)
