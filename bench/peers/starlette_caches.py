"""starlette-caches' middleware before the application."""

import os
from typing import Any
from urllib.parse import urlsplit

from aiocache import Cache  # type: ignore[import-not-found]  # is in this peer's environment only
from starlette_caches.middleware import CacheMiddleware  # type: ignore[import-not-found]

from bench.apps.endpoint import application

options: dict[str, Any] = {"ttl": 3600}
if "BENCH_REDIS_URL" in os.environ:
    url = urlsplit(os.environ["BENCH_REDIS_URL"])
    options |= {"cache_class": Cache.REDIS, "endpoint": url.hostname, "port": url.port, "db": int(url.path[1:])}
app = CacheMiddleware(application(), cache=Cache(**options))
