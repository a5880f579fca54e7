"""A shop: FastAPI over SQLAlchemy, with a service layer whose results are cached.

Run it: `python -m uvicorn examples.shop.app:app`, then http://127.0.0.1:8000/docs.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import FastAPI, HTTPException, Query, Request, Response
from fastapi.responses import JSONResponse

from examples.shop import service
from examples.shop.cache import cache
from examples.shop.database import engine, prepare
from examples.shop.schemas import (
    Filters,
    NewOrder,
    NewProduct,
    Product,
    ProductChange,
    ProductPage,
    Receipt,
    Settings,
)
from examples.shop.users import UserDep
from hotplate import CacheMiddleware, Rule


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """The database is ready before the first request, and closed after the last load."""
    try:
        await prepare()
        async with cache.lifespan(app):
            yield
    finally:
        await engine.dispose()


app = FastAPI(title="Shop", lifespan=lifespan)
app.add_middleware(
    CacheMiddleware,
    cache=cache,
    # Above the values, the finished response of an item: with an ETag, and 304 for those who have it. Its tag is that
    # of the value, so what makes the one untrue makes the other untrue. Without a ttl for all, nothing else is stored.
    rules=[Rule("/products/{product_id}", ttl="1m", tags=["product:{product_id}"])],
)


@app.get("/products")
async def list_products(
    page: Annotated[int, Query(ge=1, le=10_000)] = 1,
    size: Annotated[int, Query(ge=1, le=100)] = 20,
    category: Annotated[list[str] | None, Query()] = None,
    max_price_cents: Annotated[int | None, Query(ge=0)] = None,
    search: Annotated[str | None, Query(max_length=80)] = None,
) -> ProductPage:
    """One page of products. However a client orders the query, equal requests find one stored page."""
    categories = frozenset(category or ())
    filters = Filters(categories=categories, max_price_cents=max_price_cents, search=search)
    return await service.list_products(page, size, filters)


@app.get("/products/{product_id}")
async def read_product(product_id: int) -> Product:
    """One product."""
    return found(await service.find_product(product_id))


@app.post("/products", status_code=201)
async def create_product(new: NewProduct, response: Response) -> Product:
    """Put a product on sale."""
    product = await service.create_product(new)
    response.headers["Location"] = f"/products/{product.id}"
    return product


@app.patch("/products/{product_id}")
async def update_product(product_id: int, change: ProductChange) -> Product:
    """Change a product. The next reader, here and of the lists, sees it changed."""
    return found(await service.update_product(product_id, change))


@app.delete("/products/{product_id}", status_code=204)
async def delete_product(product_id: int) -> None:
    """Take a product off sale."""
    if not await service.delete_product(product_id):
        raise HTTPException(status_code=404)


@app.post("/orders", status_code=201)
async def place_order(order: NewOrder) -> Receipt:
    """Order products: all of them, or none and the answer 409."""
    return await service.place_order(order.lines)


@app.get("/me/settings")
async def read_settings(user: UserDep) -> Settings:
    """The caller's settings."""
    return await service.find_settings(user)


@app.put("/me/settings")
async def save_settings(user: UserDep, settings: Settings) -> Settings:
    """Choose settings."""
    return await service.save_settings(user, settings)


@app.get("/debug/cache")
async def read_numbers() -> dict[str, dict[str, int]]:
    """How often each cached function was answered from the cache, and how often it ran."""
    functions = (service.find_product, service.list_products, service.find_settings)
    return {function.__name__: function.cache_info()._asdict() for function in functions}


@app.exception_handler(service.OutOfStockError)
async def out_of_stock(_: Request, error: service.OutOfStockError) -> JSONResponse:
    """What is answered to an order that cannot be filled."""
    return JSONResponse({"detail": str(error), "product_id": error.product_id}, status_code=409)


def found(product: Product | None) -> Product:
    """The product, or the answer 404."""
    if product is None:
        raise HTTPException(status_code=404)
    return product
