"""hotplate before the application, with all switched on that users switch on: rules, tags, `Vary` and metrics.

`BENCH_REDIS_URL` names the Redis, if it is to use one. `BENCH_HOTPLATE` is `outermost` (the middleware wraps the
application), `add-middleware` (it is added to it, so FastAPI's own outer layers are before it) or `local-off`
(outermost, without the local tier).
"""

import os

from fastapi import Depends, Response

from bench.apps.endpoint import application
from bench.rules import twenty
from hotplate import Cache, CacheMiddleware, Rule, metrics
from hotplate.asgi import ASGIApp

RULES = twenty(Rule("/{kind}/{item_id}", ttl=3600, tags=["{kind}", "{kind}:{item_id}"]))

FORM = os.environ.get("BENCH_HOTPLATE", "outermost")
cache = Cache(
    os.environ.get("BENCH_REDIS_URL", "memory://"),
    max_bytes="64MiB",
    # Each form a cache of its own, where several run beside one another on one server.
    prefix=f"bench-{FORM}" if "BENCH_REDIS_URL" in os.environ else None,
    local=False if FORM == "local-off" else None,
)


def varying(response: Response) -> None:
    """Every response has variants to choose from."""
    response.headers["Vary"] = "Accept-Encoding"


site = application(lifespan=cache.lifespan, dependencies=[Depends(varying)])


@site.get("/metrics")
async def prometheus() -> Response:
    """The numbers of this process, as a monitoring system asks for them."""
    return Response(await metrics.scrape(cache, processes="own"), media_type=metrics.CONTENT_TYPE)


def _served() -> ASGIApp:
    if FORM == "add-middleware":
        site.add_middleware(CacheMiddleware, cache=cache, ttl=3600, rules=RULES, exclude=["/metrics"])
        return site
    return CacheMiddleware(site, cache=cache, ttl=3600, rules=RULES, exclude=["/metrics"])


app = _served()
