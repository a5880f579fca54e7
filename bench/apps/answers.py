"""What every contender answers, byte by byte the same: 200 URLs with a JSON of 190 bytes, one with 49 kB.

`GET /products/0` to `/products/199` give `BODY`, `GET /large/0` gives `LARGE`. `POST /runs`, which no cache answers,
tells how often a handler has run; `GET /slow/{number}` answers after a while. Only the standard library is imported
here: each peer's environment has this module.
"""

import asyncio
import json
import os
from dataclasses import dataclass
from functools import cache
from typing import Any

PRODUCT = {"id": 17, "name": "Cast-iron pan", "category": "pans", "price_cents": 5400, "text": "x" * 111}
BODY = json.dumps(PRODUCT, separators=(",", ":")).encode()
LARGE = json.dumps([PRODUCT] * 256, separators=(",", ":")).encode()


@dataclass
class Runs:
    """How often handlers have run."""

    made: int = 0


RUNS = Runs()


def product() -> dict[str, Any]:
    """What a handler of `/products/{product_id}` returns; counted."""
    RUNS.made += 1
    return PRODUCT


def products() -> list[dict[str, Any]]:
    """What a handler of `/large/{number}` returns; counted."""
    RUNS.made += 1
    return [PRODUCT] * 256


def rendered(path: str) -> bytes:
    """The body of a path, for applications that have no framework to render it; counted, but for `/runs`."""
    if path == "/runs":
        return str(RUNS.made).encode()
    RUNS.made += 1
    return LARGE if path == "/large/0" else BODY


SLOW_SECONDS = 0.2


async def slow(number: int) -> dict[str, int]:
    """What a handler of `/slow/{number}` returns, after a while; each run is a byte more in the file `BENCH_RUNS`."""
    os.write(_runs_file(), b".")
    await asyncio.sleep(SLOW_SECONDS)
    return {"number": number}


@cache
def _runs_file() -> int:
    """Where all processes of a contender append."""
    return os.open(os.environ["BENCH_RUNS"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
