"""The application that ``test_metrics_served.py`` runs: ``uvicorn tests.metrics_app:app``.

The URL of its cache is in ``METRICS_CACHE``.
"""

import asyncio
import os

from fastapi import FastAPI, Response

from hotplate import Cache, CacheMiddleware, Rule, metrics

RULES = [
    Rule("/products/{number}", ttl=300, tags=["products"]),
    Rule("/news", ttl=0.001, stale_while_revalidate=300),
    Rule("/account", cache=False),
]


def make(cache: Cache) -> FastAPI:
    """Handlers that answer at once, slowly, and in ways that are not stored."""
    api = FastAPI(lifespan=cache.lifespan)
    api.add_middleware(CacheMiddleware, cache=cache, rules=RULES, exclude=["/metrics"])

    @api.get("/products/{number}")
    async def product(number: int) -> dict[str, int]:
        return {"number": number}

    @api.get("/slow/{number}")
    async def slow(number: int) -> Response:
        await asyncio.sleep(0.05)
        return Response(str(number), headers={"cache-control": "max-age=300"})

    @api.get("/news")
    async def news() -> str:
        return "news"

    @api.get("/account")
    async def account() -> str:
        return "mine"

    @api.get("/secret")
    async def secret() -> Response:
        return Response("secret", headers={"cache-control": "no-store"})

    @api.post("/products")
    async def create() -> str:
        return "made"

    @api.get("/metrics")
    async def told(openmetrics: bool = False) -> Response:
        kind = metrics.OPENMETRICS_CONTENT_TYPE if openmetrics else metrics.CONTENT_TYPE
        return Response(await metrics.scrape(cache, openmetrics=openmetrics), media_type=kind)

    return api


if "METRICS_CACHE" in os.environ:
    app = make(Cache(os.environ["METRICS_CACHE"], prefix="metrics"))
