"""What an operator has of a running cache, over HTTP and behind a token: numbers, what is stored and why, invalidation.

from hotplate import admin_router

app.include_router(admin_router(cache, auth=os.environ["CACHE_TOKEN"]), prefix="/_cache")

Off unless it is mounted. ``admin_router`` is for FastAPI, ``admin_app`` for Starlette and whatever can mount an ASGI
application: one API, made in ``operations``. ``PurgeMiddleware`` needs neither framework. Importing this imports none.
"""

from typing import TYPE_CHECKING, Any

from hotplate.admin.auth import Auth
from hotplate.admin.purging import PurgeMiddleware

if TYPE_CHECKING:
    from collections.abc import Callable

    from fastapi import APIRouter
    from starlette.applications import Starlette

    from hotplate.cache import Cache

__all__ = ["PurgeMiddleware", "admin_app", "admin_router"]


def admin_router(cache: "Cache", *, auth: "Auth | Callable[..., Any]" = ...) -> "APIRouter":
    """The admin API as a router for FastAPI.

        app.include_router(admin_router(cache, auth=os.environ["CACHE_TOKEN"]), prefix="/_cache")

    - ``auth``: a token of at least 16 characters; several, while one takes the place of another; or a dependency
      (``Depends(...)`` or what would stand in it) that raises, or returns ``False``, for whom it does not admit.
      ``None`` by name lets everybody in, which is logged.

    Every request but those for the page's own files needs ``Authorization: Bearer <token>``; all are in the OpenAPI
    schema. None of the answers is stored by a ``CacheMiddleware``, whatever its rules say. Raises ``ConfigError``
    without ``auth``.
    """
    from hotplate.admin.fastapi import router

    return router(cache, auth)


def admin_app(cache: "Cache", *, auth: Auth = ...) -> "Starlette":
    """The admin API as an application, to be mounted in any other.

        Mount("/_cache", admin_app(cache, auth=os.environ["CACHE_TOKEN"]))

    - ``auth``: as for ``admin_router``, but in place of a dependency a function that is given a
      ``hotplate.RequestHead`` and returns (or awaits) whether it is admitted.

    The paths and answers are those of ``admin_router``; there is no OpenAPI schema.
    """
    from hotplate.admin.starlette import application

    return application(cache, auth)
