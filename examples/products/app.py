"""A product API whose slow reads are cached: the whole of hotplate's use is in this file.

Run it: `make serve`, then http://127.0.0.1:8000/docs. Try `curl -i http://127.0.0.1:8000/products` twice. With a
`CACHE_TOKEN` of 16 characters or more in the environment the cache can be watched at http://127.0.0.1:8000/_cache/.
"""

import os
from collections import Counter
from dataclasses import asdict
from typing import Annotated

from fastapi import FastAPI, HTTPException, Query, Response

from examples.products.members import AuthStateDep, partition_by_auth_state
from examples.products.store import NewProduct, Product, open_store
from hotplate import Cache, CacheMiddleware, Rule, admin_router
from hotplate.fastapi import CacheDep

store = open_store()
loads: Counter[str] = Counter()  # how often each handler really ran: for the demo, and for the curious

cache = Cache("memory://", max_bytes="64MiB")
app = FastAPI(title="Products", lifespan=cache.lifespan)
app.add_middleware(
    CacheMiddleware,
    cache=cache,
    ttl="30s",  # for every GET that no rule below names
    exclude=["/admin", "/debug"],
    rules=[
        Rule("/products", ttl="1m", tags=["products"]),
        Rule("/products/{product_id}", ttl="5m", tags=["product:{product_id}"]),
        Rule(
            "/products/{product_id}/price",
            ttl="5m",
            tags=["product:{product_id}"],
            partition=partition_by_auth_state,
        ),
    ],
    x_cache=True,
)
if token := os.environ.get("CACHE_TOKEN"):
    app.include_router(admin_router(cache, auth=token), prefix="/_cache")  # the page is at /_cache/


@app.get("/products")
async def list_products(
    category: str | None = None,
    page: Annotated[int, Query(ge=1)] = 1,
    size: Annotated[int, Query(ge=1, le=100)] = 20,
) -> list[Product]:
    """One page of products. Each combination of query parameters is stored on its own."""
    loads["list"] += 1
    return await store.page(category, page, size)


@app.get("/products/{product_id}")
async def read_product(product_id: int) -> Product:
    """One product."""
    loads["item"] += 1
    return await find_or_404(product_id)


@app.get("/products/{product_id}/price")
async def read_price(product_id: int, auth_state: AuthStateDep) -> dict[str, int | str]:
    """The price for this caller: members pay a tenth less. Stored once for the public and once for members."""
    loads["price"] += 1
    product = await find_or_404(product_id)
    price_cents = product.price_cents * 9 // 10 if auth_state == "member" else product.price_cents
    return {"for": auth_state, "price_cents": price_cents}


@app.post("/products", status_code=201)
async def create_product(new: NewProduct, response: Response, cache: CacheDep) -> Product:
    """Add a product. Every list may show it, and somebody may have been told 404 for its path: both are invalidated."""
    product = store.create(new)
    await cache.invalidate(tags=["products"], paths=[f"/products/{product.id}"])
    response.headers["Location"] = f"/products/{product.id}"
    return product


@app.put("/products/{product_id}")
async def update_product(product_id: int, new: NewProduct, cache: CacheDep) -> Product:
    """Replace a product. What was stored of it and of the lists is invalidated after the write, never before."""
    product = store.update(product_id, new)
    if product is None:
        raise HTTPException(status_code=404)
    await cache.invalidate(tags=["products", f"product:{product_id}"])
    return product


@app.delete("/products/{product_id}", status_code=204)
async def delete_product(product_id: int, cache: CacheDep) -> None:
    """Remove a product. Paths work as well as tags: everything under /products is invalidated here."""
    if not store.delete(product_id):
        raise HTTPException(status_code=404)
    await cache.invalidate(prefixes=["/products"])


@app.get("/admin/report")
async def report() -> dict[str, int]:
    """Figures that must always be today's: excluded from the cache."""
    loads["report"] += 1
    return {"value_cents": await store.value_cents()}


@app.get("/debug/loads")
async def read_loads() -> dict[str, int]:
    """How often each handler ran."""
    return dict(loads)


@app.get("/debug/stats")
async def read_stats(cache: CacheDep) -> dict[str, object]:
    """What the cache did so far."""
    stats = cache.stats()
    return asdict(stats) | {"hit_rate": stats.hit_rate}


async def find_or_404(product_id: int) -> Product:
    """The product, or the answer 404 (which is cached like any other)."""
    product = await store.find(product_id)
    if product is None:
        raise HTTPException(status_code=404)
    return product
