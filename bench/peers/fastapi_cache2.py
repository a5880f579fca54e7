"""fastapi-cache2's decorator on the endpoint."""

import os

from fastapi_cache import FastAPICache  # type: ignore[import-not-found]  # is in this peer's environment only
from fastapi_cache.backends.inmemory import InMemoryBackend  # type: ignore[import-not-found]
from fastapi_cache.backends.redis import RedisBackend  # type: ignore[import-not-found]
from fastapi_cache.decorator import cache  # type: ignore[import-not-found]
from redis import asyncio as redis  # type: ignore[import-not-found]

from bench.apps.endpoint import application

url = os.environ.get("BENCH_REDIS_URL")
FastAPICache.init(RedisBackend(redis.from_url(url)) if url else InMemoryBackend(), prefix="fastapi-cache")
app = application(cache(expire=3600))
