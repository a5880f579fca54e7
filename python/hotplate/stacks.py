"""Which caches stand before an application: the stack of middleware, followed from the outside in.

Nothing of a framework is imported. What is followed is what ASGI middleware has in common, the attribute ``app``, and
two attributes of Starlette's applications: ``middleware_stack``, there once it has begun to serve, and
``user_middleware``, what was added to it.
"""

from collections.abc import Iterator
from typing import Any

from hotplate.asgi import Receive, Scope, Send
from hotplate.cache import Cache
from hotplate.middleware import CacheMiddleware

__all__ = ["cache_middlewares", "caches", "layers", "user_middleware"]


async def _nothing(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that is never called."""


def layers(app: object) -> Iterator[Any]:
    """The applications that stand around each other, outermost first; ``app`` itself is the first."""
    seen: set[int] = set()
    while app is not None and id(app) not in seen:
        seen.add(id(app))
        yield app
        stack = getattr(app, "middleware_stack", None)
        app = stack if callable(stack) else getattr(app, "app", None)


def user_middleware(app: object) -> list[Any]:
    """What was added to a Starlette application, outermost first: each has ``cls``, ``args`` and ``kwargs``."""
    added = getattr(app, "user_middleware", None)
    return [one for one in added if hasattr(one, "cls")] if isinstance(added, list) else []


def caches(app: object) -> list[Cache | None]:
    """The caches before an application and before what is mounted in it, outermost first.

    ``None`` is one of its own that a middleware is to make.
    """
    found: list[Cache | None] = []
    for layer in layers(app):
        if isinstance(layer, CacheMiddleware):
            found.append(layer.cache)
        found += [added.kwargs.get("cache") for added in _to_be_made(layer)]
        routes = getattr(layer, "routes", None)
        for route in routes if isinstance(routes, list) else ():
            if getattr(route, "methods", None) is None and hasattr(route, "app"):
                found += caches(route.app)
    return found


def cache_middlewares(app: object) -> list[CacheMiddleware]:
    """The cache middlewares before an application, outermost first, to look at.

    Those that Starlette has not made yet are made here, by the same settings, and serve nothing: ``ConfigError`` for
    what the application would refuse at its start. Each that is made takes a place among the middlewares of its cache,
    and what one stores, no other finds: not for a process whose application is to serve afterwards.
    """
    found: list[CacheMiddleware] = []
    for layer in layers(app):
        if isinstance(layer, CacheMiddleware):
            found.append(layer)
        found += [
            added.cls(_nothing, *getattr(added, "args", ()), **added.kwargs) for added in reversed(_to_be_made(layer))
        ][::-1]  # as Starlette does, the innermost first
    return found


def _to_be_made(layer: object) -> list[Any]:
    if getattr(layer, "middleware_stack", None) is not None:
        return []
    return [one for one in user_middleware(layer) if isinstance(one.cls, type) and issubclass(one.cls, CacheMiddleware)]
