"""The applications that `http_hits` measures, each answering 200 URLs with the same JSON.

All answer `GET /products/0` to `/products/199` with `BODY` (about 190 bytes) and `/large/0` with `LARGE` (about 49 kB).
"""

import json
from typing import Any

from fastapi import FastAPI

from hotplate import Cache, CacheMiddleware, Rule
from hotplate.asgi import Receive, Scope, Send

PRODUCT = {"id": 17, "name": "Cast-iron pan", "category": "pans", "price_cents": 5400, "text": "x" * 96}
BODY = json.dumps(PRODUCT).encode()
LARGE = json.dumps([PRODUCT] * 256).encode()


def fields(body: bytes) -> list[tuple[bytes, bytes]]:
    """The response fields of the raw application; `Vary` is there so that a cache has variants to choose from."""
    length = str(len(body)).encode()
    return [(b"content-type", b"application/json"), (b"content-length", length), (b"vary", b"accept-encoding")]


MESSAGES = {
    body: (
        {"type": "http.response.start", "status": 200, "headers": fields(body)},
        {"type": "http.response.body", "body": body},
    )
    for body in (BODY, LARGE)
}


async def constant(scope: Scope, receive: Receive, send: Send) -> None:
    """The reference: an ASGI application that sends constant bytes and does nothing else."""
    if scope["type"] != "http":
        return
    start, body = MESSAGES[LARGE if scope["path"] == "/large/0" else BODY]
    await send(start)
    await send(body)


# Nineteen rules that do not match come before the one that does: the price of rules is part of the figure.
RULES = [Rule(f"/section-{number}/{{item}}/*", ttl=60, tags=[f"section:{number}"]) for number in range(19)]
RULES += [Rule("/{kind}/{item_id}", ttl=3600, tags=["{kind}", "{kind}:{item_id}"])]

cached = CacheMiddleware(constant, cache=Cache("memory://", max_bytes="64MiB"), ttl=3600, rules=RULES)

endpoint = FastAPI()


@endpoint.get("/products/{product_id}")
async def read_product(product_id: int) -> dict[str, Any]:
    """A handler that has nothing to wait for."""
    return PRODUCT


@endpoint.get("/large/{number}")
async def read_large(number: int) -> list[dict[str, Any]]:
    """The same with a large body."""
    return [PRODUCT] * 256
