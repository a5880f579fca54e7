"""fastapi-cachex' decorator on the endpoint; with `BENCH_STAMPEDE`, coalescing."""

import os
from urllib.parse import urlsplit

from fastapi_cachex import BackendProxy, cache  # type: ignore[import-not-found]  # is in this peer's environment only
from fastapi_cachex.backends import AsyncRedisCacheBackend, MemoryBackend  # type: ignore[import-not-found]

from bench.apps.endpoint import application

if "BENCH_REDIS_URL" in os.environ:
    url = urlsplit(os.environ["BENCH_REDIS_URL"])
    BackendProxy.set(AsyncRedisCacheBackend(host=url.hostname, port=url.port, db=int(url.path[1:])))
else:
    BackendProxy.set(MemoryBackend())
app = application(cache(ttl=3600, coalesce="BENCH_STAMPEDE" in os.environ))
