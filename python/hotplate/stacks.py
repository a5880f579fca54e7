"""Which caches stand before an application: the stack of middleware, followed from the outside in.

Nothing of a framework is imported. What is followed is what ASGI middleware has in common, the attribute ``app``, and
two attributes of Starlette's applications: ``middleware_stack``, there once it has begun to serve, and
``user_middleware``, what was added to it.
"""

from collections.abc import Iterator
from typing import Any

from hotplate.asgi import Receive, Scope, Send
from hotplate.middleware import CacheMiddleware

__all__ = ["cache_middlewares", "layers", "user_middleware"]


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


def cache_middlewares(app: object) -> list[CacheMiddleware]:
    """The cache middlewares before an application, outermost first.

    Those that Starlette has not made yet are made here with the same settings, and serve nothing: ``ConfigError`` for
    what the application would refuse at its start.
    """
    found: list[CacheMiddleware] = []
    for layer in layers(app):
        if isinstance(layer, CacheMiddleware):
            found.append(layer)
        elif getattr(layer, "middleware_stack", None) is None:
            found += [
                added.cls(_nothing, *getattr(added, "args", ()), **added.kwargs)
                for added in user_middleware(layer)
                if isinstance(added.cls, type) and issubclass(added.cls, CacheMiddleware)
            ]
    return found
