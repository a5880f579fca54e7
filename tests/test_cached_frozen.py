"""``freeze=True``: what callers share cannot be changed, whatever the annotation, in memory and on Redis alike."""

from types import MappingProxyType
from typing import Any

import pytest
from pydantic import BaseModel

from hotplate import Cache
from tests.fleet import Fleet
from tests.redis_servers import RedisServer

pytestmark = pytest.mark.asyncio


class Product(BaseModel):
    id: int


async def plain() -> dict[str, list[int]]:
    return {"a": [1]}


async def typed() -> list[Product]:
    return [Product(id=1)]


async def unsaid():  # type: ignore[no-untyped-def]  # noqa: ANN201
    return {"a": [{1}]}


CASES = [
    (plain, MappingProxyType({"a": (1,)})),
    (typed, (Product(id=1),)),
    (unsaid, MappingProxyType({"a": (frozenset({1}),)})),
]


@pytest.mark.parametrize(("function", "wanted"), CASES, ids=["plain", "typed", "unsaid"])
async def test_what_is_frozen_in_memory_is_immutable(function: Any, wanted: object) -> None:
    cached = Cache().cached("1m", freeze=True)(function)
    for _ in range(2):
        assert await cached() == wanted
        assert type(await cached()) is type(wanted)


@pytest.mark.parametrize(("function", "wanted"), CASES, ids=["plain", "typed", "unsaid"])
async def test_what_is_frozen_is_the_same_for_every_process(redis: RedisServer, function: Any, wanted: object) -> None:
    one, other = [node.cache.cached("1m", freeze=True)(function) for node in await Fleet(redis).nodes(2)]
    for cached in (one, other, one):
        found = await cached()
        assert (type(found), found) == (type(wanted), wanted)
    assert (one.cache_info().loads, other.cache_info().loads) == (1, 0)
