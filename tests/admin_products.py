"""The product API of the examples with its admin page beside it, and clients who keep it busy."""

import asyncio
import random
from collections import Counter

from starlette.applications import Starlette
from starlette.routing import Mount

from examples.products.app import app as products
from examples.products.app import cache
from examples.products.drive import Client
from hotplate import admin_app

TOKEN = "correct-horse-battery-staple"
MEMBER = {"Authorization": "Bearer ada-token"}
PAN = {"name": "Cast-iron pan", "category": "pans", "price_cents": 5900}

# Beside the API, and not inside of it: other tests use that as it is.
app = Starlette(
    lifespan=cache.lifespan, routes=[Mount("/_cache", admin_app(cache, auth=TOKEN)), Mount("/", app=products)]
)


async def shop_around(client: Client, seed: int, enough: asyncio.Event, pause_seconds: float = 0.0) -> Counter[str]:
    """One client's requests until it is ``enough``: what the cache said of each, counted."""
    chosen = random.Random(seed)
    seen: Counter[str] = Counter()
    while not enough.is_set():
        product = min(200, int(chosen.paretovariate(0.6)))
        kind = chosen.random()
        if kind < 0.02:
            answer = await client.put(f"/products/{product}", PAN)
        elif kind < 0.04:
            answer = await client.get("/admin/report")
        elif kind < 0.2:
            answer = await client.get(f"/products/{product}/price", MEMBER if kind < 0.1 else None)
        elif kind < 0.4:
            answer = await client.get(f"/products?page={product % 5 + 1}")
        else:
            answer = await client.get(f"/products/{product}")
        seen[answer.cache] += 1
        await asyncio.sleep(pause_seconds)
    return seen
