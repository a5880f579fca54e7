"""The FastAPI application that every cache is put before, and that runs without one for comparison."""

from collections.abc import Callable
from typing import Any, TypeVar

from fastapi import FastAPI

from bench.apps.answers import RUNS, product, products, slow

Handler = TypeVar("Handler", bound=Callable[..., Any])


def unchanged(handler: Handler) -> Handler:
    """No decorator."""
    return handler


def application(decorated: Callable[[Any], Any] = unchanged, **options: Any) -> FastAPI:
    """The application, its handlers `decorated` as a library's documentation shows: route first, cache below it."""
    app = FastAPI(**options)

    async def read_product(product_id: int) -> dict[str, Any]:
        return product()

    async def read_large(number: int) -> list[dict[str, Any]]:
        return products()

    async def read_slow(number: int) -> dict[str, int]:
        return await slow(number)

    app.get("/products/{product_id}")(decorated(read_product))
    app.get("/large/{number}")(decorated(read_large))
    app.get("/slow/{number}")(decorated(read_slow))
    app.post("/runs")(runs)
    return app


async def runs() -> int:
    """How often a handler has run; not decorated, and not a GET, so that no cache answers."""
    return RUNS.made


asynchronous = application()
"""`async def` handlers, nothing else."""

synchronous = FastAPI()
"""`def` handlers, which Starlette runs in threads."""


@synchronous.get("/products/{product_id}")
def read_product(product_id: int) -> dict[str, Any]:
    """A handler that has nothing to wait for."""
    return product()


@synchronous.get("/large/{number}")
def read_large(number: int) -> list[dict[str, Any]]:
    """The same with a large body."""
    return products()


synchronous.post("/runs")(runs)
