"""starlette-caches' middleware before the application."""

from aiocache import Cache  # type: ignore[import-not-found]  # is in this peer's environment only
from starlette_caches.middleware import CacheMiddleware  # type: ignore[import-not-found]

from bench.apps.endpoint import application

app = CacheMiddleware(application(), cache=Cache(ttl=3600))
