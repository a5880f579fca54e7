"""hotplate: the cache FastAPI and every ASGI application should have had from the start.

from hotplate import CacheMiddleware

app.add_middleware(CacheMiddleware, ttl=30)
"""

from hotplate.admin import admin_app, admin_router
from hotplate.cache import Cache, Stats
from hotplate.errors import ConfigError, EncodeError, HotplateError, UnkeyableError
from hotplate.headers import RequestHead
from hotplate.middleware import CacheMiddleware
from hotplate.objects import LocalCache, memoize
from hotplate.rules import Query, Rule, by_cookie, by_field

__all__ = [
    "Cache",
    "CacheMiddleware",
    "ConfigError",
    "EncodeError",
    "HotplateError",
    "LocalCache",
    "Query",
    "RequestHead",
    "Rule",
    "Stats",
    "UnkeyableError",
    "admin_app",
    "admin_router",
    "by_cookie",
    "by_field",
    "memoize",
]
