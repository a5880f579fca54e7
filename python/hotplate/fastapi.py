"""What FastAPI applications use inside their routes: a policy for one route, and the cache itself.

Needs FastAPI (the extra ``hotplate[fastapi]``). Both find the cache through the request's scope, where the
middleware leaves it, so neither looks into FastAPI.
"""

import inspect
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Annotated, Any

from fastapi import Depends
from starlette.requests import HTTPConnection

from hotplate._core import Exchange, PolicyCore
from hotplate.cache import Cache
from hotplate.errors import ConfigError
from hotplate.keys import names_text

__all__ = ["CacheDep", "Policy", "current_cache"]

logger = logging.getLogger("hotplate")


class Policy:
    """A dependency that says how the response of one route is cached; made by ``Cache.policy``."""

    def __init__(self, **settings: Any) -> None:
        self._core = PolicyCore(**settings)
        self._warned = False

    async def __call__(self, connection: HTTPConnection) -> None:
        """Says it for the request under way; called by FastAPI."""
        exchange = connection.scope.get("hotplate")
        if isinstance(exchange, Exchange):
            exchange.set_policy(self._core, {name: str(value) for name, value in connection.path_params.items()})
        elif not self._warned:
            self._warned = True
            # Said by each policy once; there is no cache here that could say it for all.
            text = "a cache policy has no effect: the application has no CacheMiddleware"
            logger.warning(text, extra={"reason": "no-middleware", "left_out": 0})


def current_cache(connection: HTTPConnection) -> Cache:
    """The cache of the middleware this request came through."""
    exchange = connection.scope.get("hotplate")
    if not isinstance(exchange, Exchange):
        raise ConfigError("CacheDep needs CacheMiddleware: write app.add_middleware(CacheMiddleware, cache=cache)")
    cache: Cache = exchange.cache
    return cache


CacheDep = Annotated[Cache, Depends(current_cache)]
"""``async def update(cache: CacheDep)``: the cache of the middleware this request came through."""


def after_endpoint(cache: Cache, templates: Mapping[str, Sequence[str]], soft: bool) -> inspect.Signature:
    """The signature of a dependency that invalidates when the endpoint has returned, before its response is sent.

    ``templates`` name path parameters, by the settings of ``Cache.invalidate``. An endpoint that raises, an
    ``HTTPException`` too, invalidates nothing.
    """
    fill = {
        setting: [names_text(text, setting, percent_encode=setting == "keys") for text in texts]
        for setting, texts in templates.items()
    }

    async def after(connection: HTTPConnection) -> AsyncIterator[None]:
        names = connection.path_params
        targets = {setting: [text(names) for text in texts] for setting, texts in fill.items()}
        yield
        await cache.invalidate(**targets, soft=soft)

    # From 0.121 on a dependency may end before the response is sent; before, all did.
    is_scoped = "scope" in inspect.signature(Depends).parameters
    dependency = Depends(after, scope="function") if is_scoped else Depends(after)
    parameter = inspect.Parameter("_invalidates", inspect.Parameter.KEYWORD_ONLY, default=dependency)
    return inspect.Signature([parameter])
